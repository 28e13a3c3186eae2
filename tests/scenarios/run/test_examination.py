"""Measuring a saved agent otherwise than its run did: drawn, many times, in another world."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from scenarios_runs import TINY, command, write_scenario

from peripatos.agents.language.engines import vllm_library
from peripatos.envs.errors import UserError
from peripatos.envs.vocabulary import Episode
from peripatos.scenarios.run.episode_statistics import pass_rates, wilson
from peripatos.scenarios.run.run_directory import RunDirectory

SUMS = """\
name: sums
world:
  id: peripatos/Arithmetic-v0
  options: {operators: ["+", "-"], digits: 1, prompt: bare, answer_tag: answer, reverse_digits: true}
agent: {kind: tiny_llama, hidden: 48, layers: 2, heads: 4}
sampling: {max_tokens: 6}
stages:
  - name: imitate
    method: sft
    demonstrations: {agent: {kind: oracle}}
    collect: {groups: 64}
    optimizer: {lr: 2e-3}
    budget: {updates: 150}
evaluation: {episodes: 20}
"""


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sums")
    assert command("run", write_scenario(folder, SUMS), "--out", folder / "run", "-q") == 0
    return folder / "run"


@pytest.fixture(scope="module")
def pole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pole")
    assert command("run", write_scenario(folder, TINY), "--out", folder / "run", "-q") == 0
    return folder / "run"


def numbers(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, float]:
    assert command("evaluate", *arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def episode(task: int, index: int, success: bool | None, reward: float | None = 0.0) -> Episode:
    return Episode(group=task, index=index, seed=0, version=0, split="test", reward=reward, success=success)


def test_pass_at_k_by_hand() -> None:
    """Two tasks with 1 and 3 of 4 right: pass@1 = (1/4 + 3/4)/2; pass@2 = ((1 − 3/6) + 1)/2; pass@4 = 1."""
    right = {0: 1, 1: 3}
    episodes = [episode(task, index, index < right[task]) for task in right for index in range(4)]
    rates = pass_rates(episodes, 4)
    means = {name: value for name, value in rates.items() if not name.endswith(("_low", "_high"))}
    assert means == {"pass_tasks": 2, "pass@1": 0.5, "pass@2": 0.75, "pass@4": 1.0}
    assert (rates["pass@4_low"], rates["pass@4_high"]) == pytest.approx(wilson(2, 2))
    # of (1/4, 3/4) the error is 1/4, so that ½·½/(¼)² = 4 of the 8 draws are independent
    assert (rates["pass@1_low"], rates["pass@1_high"]) == pytest.approx(wilson(2, 4))
    unknown = [episode(2, index, None, None if index else 0.0) for index in range(4)]
    assert pass_rates([*episodes, *unknown], 4) == pass_rates(episodes, 4)  # one of its four was scored
    with pytest.raises(UserError, match="says nothing about success"):
        pass_rates([episode(0, 0, None)], 1)


def test_more_episodes_of_a_task_give_pass_at_k(sums: Path, capsys: pytest.CaptureFixture[str]) -> None:
    greedy = numbers(capsys, sums)
    many = numbers(capsys, sums, "--k", 8)
    assert many["episodes"] == 8 * greedy["episodes"]
    assert many["tasks"] == greedy["episodes"]
    assert many["pass@1"] <= many["pass@2"] <= many["pass@4"] <= many["pass@8"]
    assert many["pass@8"] > many["pass@1"]
    assert many["pass@1"] == pytest.approx(many["success_rate"])
    assert many["pass@1_low"] == pytest.approx(many["success_low"])
    assert numbers(capsys, sums, "--k", 8) == many


def test_at_a_low_temperature_what_is_drawn_is_nearly_what_is_likeliest(
    sums: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    greedy, cold = numbers(capsys, sums), numbers(capsys, sums, "--temperature", 0.001)
    hot = numbers(capsys, sums, "--temperature", 50)
    # of some 100 tokens one may have two whose logits are 0.001 apart: an episode of 20, which earns 1.1 at most
    assert cold["return_mean"] == pytest.approx(greedy["return_mean"], abs=1.1 / 20)
    assert hot["return_mean"] < greedy["return_mean"]


def test_actions_of_a_control_agent_can_be_drawn(pole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert numbers(capsys, pole, "--sample") != numbers(capsys, pole)


def test_an_agent_is_measured_in_another_world(sums: Path, pole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    patient = numbers(capsys, sums, "--set", "world.options.attempts=3")
    assert patient["turns_mean"] > numbers(capsys, sums)["turns_mean"] == 1
    assert numbers(capsys, pole, "--world", "CartPole-v0", "--episodes", 3)["turns_mean"] <= 200


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--world", "Acrobot-v1"], "does not fit 'Acrobot-v1': "),
        (["--world", "CartPoul-v1"], "Did you mean 'CartPole-v1'?"),
        (["--world", "peripatos/Arithmetic-v0"], "cannot live in 'peripatos/Arithmetic-v0'"),
        (["--temperature", 1], "this agent has none"),
        (["--set", "agent.hidden=[8]"], "its agent cannot change"),
        (["--k", 4], "this world says nothing about success"),
    ],
)
def test_what_does_not_fit_is_refused(
    arguments: list[object], words: str, pole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("evaluate", pole, *arguments) == 2
    assert words in capsys.readouterr().err


SEES = """\
import gymnasium, numpy as np
from gymnasium.spaces import Box, Discrete

class Sees(gymnasium.Env):
    def __init__(self, picture=False, render_mode=None):
        self.observation_space = Box(0, 255, (8, 8, 3), np.uint8) if picture else Box(-1, 1, (2,), np.float32)
        self.action_space = Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, True, False, {}
"""


@pytest.mark.parametrize("what", ["evaluate", "record"])
def test_an_option_that_changes_what_is_seen_is_named_with_both_spaces(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sees.py").write_text(SEES)
    monkeypatch.chdir(tmp_path)
    data = {"name": "sees", "world": {"id": "sees:Sees"}, "agent": {"kind": "mlp", "hidden": [4]}}
    stage = {"name": "learn", "method": "ppo", "collect": {"groups": 2, "horizon": 4}, "budget": {"updates": 1}}
    path = write_scenario(tmp_path, yaml.safe_dump({**data, "stages": [stage], "evaluation": {"episodes": 2}}))
    assert command("run", path, "--out", "out", "-q") == 0
    capsys.readouterr()
    assert command(what, "out", "--set", "world.options.picture=true") == 2
    said = " ".join(capsys.readouterr().err.split())
    was, now = "Box(-1.0, 1.0, (2,), float32)", "Box(0, 255, (8, 8, 3), uint8)"
    assert f"with world.options.picture=true it shows {now}, and shows {was} where the agent learned; " in said


def test_an_agent_is_measured_by_another_engine_which_has_to_be_here(
    sums: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(vllm_library, "TESTED", "0.0.0")  # not here, wherever this is run
    assert command("evaluate", sums, "--set", "engine=vllm") == 2
    assert "; to measure without it: --set engine=transformers" in capsys.readouterr().err
    assert numbers(capsys, sums, "--set", "engine=transformers") == numbers(capsys, sums)


def test_another_version_of_the_reward_is_said(sums: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(sums, tmp_path / "run")
    run = RunDirectory(tmp_path / "run")
    run.write_summary({**run.summary(), "scored_by": "Arithmetic 0"})
    numbers_of_now = [command("evaluate", run.path), command("evaluate", run.path, "--set", "world.options.attempts=3")]
    told = capsys.readouterr().err
    assert numbers_of_now == [0, 0]
    assert told.count(f"{run.path} was scored by Arithmetic 0, and this is ") == 1  # elsewhere nobody expects the same


LISTED = """\
name: listed
world: {id: peripatos/Tasks-v0, options: {tasks: rows.jsonl, grader: number}}
agent: {kind: tiny_llama, hidden: 32, layers: 1}
sampling: {max_tokens: 2}
stages:
  - {name: learn, method: grpo, collect: {groups: 2, group_size: 2}, budget: {updates: 1}}
evaluation: {episodes: 12}
log: {episodes: 12}
"""


def test_twelve_episodes_of_four_listed_tasks_are_four_tasks_wherever_they_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = [{"question": f"{n}?", "answer": "-9", "split": "test" if n < 4 else "train"} for n in range(8)]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    assert command("run", write_scenario(tmp_path, LISTED), "--out", "run", "-q") == 0
    row = json.loads(Path("run/evaluations.jsonl").read_text().splitlines()[-1])
    assert (row["episodes"], row["tasks"], row["success_rate"]) == (12, 4, 0.0)
    assert row["success_high"] == pytest.approx(wilson(0, 4)[1])
    capsys.readouterr()
    assert numbers(capsys, "run")["success_high"] == row["success_high"]
    assert command("rescore", "run") == 0
    assert "success 0.0 % [0.0, 49.0], return 0 [0, 0], 4 tasks × 3" in capsys.readouterr().out
