"""A stage sees its own critic and nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from scenarios_runs import command, write_scenario

from peripatos.agents.control.control_actor import ControlActor
from peripatos.agents.mixture import MixedActor
from peripatos.agents.protocols import Weights
from peripatos.envs.control.mujoco_batch import MujocoBatch
from peripatos.scenarios.assembly.actors import make_stage
from peripatos.scenarios.assembly.learners import make_learner
from peripatos.scenarios.assembly.policies import make_policy
from peripatos.scenarios.assembly.worlds import WorldSources
from peripatos.scenarios.config.loading import load_scenario

CONTROL = """\
name: two
world: {id: Pendulum-v1, options: {max_episode_steps: 12}}
agent: {kind: mlp, hidden: [8]}
stages:
  - {name: a, method: METHOD, collect: {groups: 2, group_size: 3}, budget: {updates: 1}}
  - {name: b, method: ppo, collect: {groups: 2, horizon: 16}, budget: {updates: 1}}
"""
WORDS = """\
name: two
world: {id: peripatos/Arithmetic-v0, options: {attempts: 3}}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 200}
stages:
  - {name: a, method: METHOD, collect: {groups: 2, group_size: 3}, budget: {updates: 1}}
  - {name: b, method: ppo, collect: {groups: 6}, budget: {updates: 1}}
"""


@pytest.mark.parametrize("text", [CONTROL, WORDS], ids=["control", "language"])
@pytest.mark.parametrize("name", ["grpo", "rloo", "reinforce"])
def test_the_critic_of_a_later_stage_bootstraps_no_method_without_one(tmp_path: Path, text: str, name: str) -> None:
    scenario = load_scenario(str(write_scenario(tmp_path, text.replace("METHOD", name))))
    policy = make_policy(scenario, "cpu", WorldSources.of(scenario).first)
    assert policy is not None
    assert policy.has_critic
    with torch.no_grad():
        for number, parameter in enumerate(policy.module().parameters()):
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)))
    found = []
    for stage in scenario.stages:
        parts = make_stage(scenario, stage, policy, WorldSources.of(scenario))
        parts.collector.load(Weights(0))
        collect = stage.collect
        assert collect is not None
        batch = parts.collector.collect(range(collect.groups), collect.group_size, seed=0, version=0).batch
        parts.close()
        assert batch is not None
        learner = make_learner(scenario, stage, policy, {}, WorldSources.of(scenario), seed=0)
        found.append((batch.value_B_T is None, learner.update(batch)))
        mask = batch.mask_B_T
    assert found[0][0]
    assert "value/loss" not in found[0][1].metrics
    assert "value/loss" in found[1][1].metrics  # and the stage that has a critic reads it
    assert bool(found[1][1].units.value_B_T[mask].abs().min() > 0)


def test_a_punishment_that_begins_before_the_first_token_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    key = "stages.reinforce.overrides.rewards"
    assert command("run", "quickstart", "--dry-run", "--set", f"{key}.overlong_buffer=6") == 2
    assert "at most 6 tokens" in capsys.readouterr().err
    assert command("run", "quickstart", "--dry-run", "--set", f"{key}={{overlong_buffer: 3, overlong_limit: 2}}") == 2
    assert "allowed are 1 to 1" in capsys.readouterr().err
    assert command("run", "quickstart", "--dry-run", "--set", f"{key}.overlong_buffer=5") == 0


@pytest.mark.parametrize("buffer", ["overlong_buffer: 4", "overlong_share: 0.4"])
def test_a_punishment_that_no_reply_is_long_enough_for_is_refused(
    buffer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "stages.reinforce.overrides.rewards"
    assert command("run", "quickstart", "--dry-run", "--set", f"{key}={{{buffer}, overlong_limit: 10}}") == 2
    assert "begins to lose reward at 6 tokens, which none has: sampling.max_tokens is 6" in capsys.readouterr().err
    assert command("run", "quickstart", "--dry-run", "--set", f"{key}={{{buffer}, overlong_limit: 8}}") == 0


def test_a_penalty_to_the_old_policy_that_one_step_cannot_leave_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for steps, told in ((1, 1), (2, 0)):
        key = f"{{update: {{minibatches: {steps}}}, weighting: {{kl: k3, beta: 0.1, kl_to: old}}}}"
        assert command("run", "quickstart", "--dry-run", "--set", f"stages.reinforce.overrides={key}") == 0
        assert capsys.readouterr().err.count("holds nothing") == told


def test_one_engine_with_memory_of_its_own_speaks_in_all_worlds(tmp_path: Path) -> None:
    worlds = "worlds: [{id: peripatos/Arithmetic-v0}, {id: peripatos/ToolMaths-v0}]\n"
    text = WORDS.replace("METHOD", "grpo").partition("world:")[0] + worlds + "agent:" + WORDS.partition("agent:")[2]
    for engine, made in [("transformers", 2), ("vllm", 1)]:
        asked = f"{text.replace('METHOD', 'grpo')}engine: {engine}\n"
        scenario = load_scenario(str(write_scenario(tmp_path, asked)))
        sources = WorldSources.of(scenario)
        parts = make_stage(scenario, scenario.stages[0], make_policy(scenario, "cpu", sources.first), sources)
        assert isinstance(parts.collector, MixedActor)
        assert len({id(actor._who) for actor in parts.collector._actors.values()}) == made
        parts.close()
        sources.close()


@pytest.mark.parametrize(
    ("cores", "staleness", "given", "expected"),
    [(4, 1, None, 3), (3, 1, None, 2), (2, 1, None, 2), (1, 1, None, 1), (4, 0, None, 4), (4, 1, 1, 1)],
)
def test_a_learner_is_left_a_core_of_three_and_evaluations_have_all(
    cores: int, staleness: int, given: int | None, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("scenarios.assembly.actors", "envs.control.mujoco_batch"):
        monkeypatch.setattr(f"peripatos.{module}.usable_cores", lambda: cores)
        monkeypatch.setattr(f"peripatos.{module}.allowed_threads", lambda: cores)
    threads = "" if given is None else f", threads: {given}"
    text = CONTROL.replace("Pendulum-v1, options: {max_episode_steps: 12}", f"peripatos/CartpoleSwingup-v0{threads}")
    text = text.replace("METHOD, collect: {", f"grpo, collect: {{staleness: {staleness}, ")
    scenario = load_scenario(str(write_scenario(tmp_path, text)))
    with WorldSources.of(scenario) as sources:
        parts = make_stage(scenario, scenario.stages[0], make_policy(scenario, "cpu", sources.first), sources)
        actor = parts.collector
        assert isinstance(actor, ControlActor)
        pools = [actor._worlds(split, 8) for split in ("train", "test")]
        assert [pool._batch.nthread for pool in pools if isinstance(pool, MujocoBatch)] == [expected, given or cores]
        parts.close()
