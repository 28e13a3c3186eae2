"""Each invariance holds where it should, and its check finds the world, model or engine that breaks it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from doctor_worlds import Corridor
from faithful_templates import DEFAULT_SYSTEM, DROPS_THOUGHTS, EMPTY_THOUGHTS, LLAMA3
from scenarios_runs import command

from peripatos.agents.control.memory import GatedMemory
from peripatos.agents.control.mlp import ActorCritic
from peripatos.agents.language import language_policy
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.engines import policy_engine
from peripatos.agents.language.engines.policy_engine import PendingReply
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import END
from peripatos.agents.language.tiny_llama import TEMPLATE as PLAIN
from peripatos.agents.protocols import Scores
from peripatos.algorithms import learner
from peripatos.algorithms.optimizer import Masters
from peripatos.envs import time_limits
from peripatos.envs.vocabulary import Batch
from peripatos.scenarios.assembly.policies import make_policy
from peripatos.scenarios.assembly.worlds import WorldSources
from peripatos.scenarios.config.loading import check_scenario
from peripatos.scenarios.config.yaml_text import Source
from peripatos.scenarios.doctor.checkup import CHECKS, Finding, _found, examine
from peripatos.scenarios.doctor.measures import relative, unequal
from peripatos.scenarios.doctor.patient import Patient, of_scenario

SPEAKER = """\
name: speaker
world: {id: "doctor_worlds:Waiter"}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 8}
stages:
  - name: learn
    method: grpo
    collect: {groups: 4, group_size: 4}
    budget: {updates: 3}
evaluation: {episodes: 2}
"""
BODY = """\
name: body
world: {id: "doctor_worlds:Corridor"}
agent: {kind: mlp, hidden: [8]}
stages:
  - name: learn
    method: ppo
    collect: {groups: 4, horizon: 16}
    overrides: {update: {epochs: 2, minibatches: 2}}
    budget: {updates: 3}
evaluation: {episodes: 2}
"""
WHOLE = BODY.replace("ppo", "grpo").replace("horizon: 16", "group_size: 4")
REMEMBERING = BODY.replace("hidden: [8]", "hidden: [8], memory: {size: 4}")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@contextmanager
def patient_of(text: str, **options: str) -> Iterator[Patient]:
    data = yaml.safe_load(text)
    data["world"]["options"] = options
    scenario = check_scenario(data, Source("here"))
    with WorldSources.of(scenario) as sources:
        yield Patient(scenario, sources, make_policy(scenario, "cpu", sources.first), "cpu")


def finding(name: str, patient: Patient) -> Finding:
    (check,) = (check for check in CHECKS if check.name == name)
    return _found(check, patient)


def ask(name: str, text: str, then: Callable[[], None] = lambda: None, **options: str) -> Finding:
    """What one check finds, of a patient to which `then` is done: a model that is broken before is not even read."""
    with patient_of(text, **options) as patient:
        then()
        return finding(name, patient)


def every(text: str) -> dict[str, Finding]:
    with patient_of(text) as patient:
        return {check.name: _found(check, patient) for check in CHECKS}


ABOUT_SPEECH = {"packing", "template prefix", "stop token"}


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        pytest.param(SPEAKER, {"memory"}, id="speaker"),
        pytest.param(BODY, {*ABOUT_SPEECH, "memory"}, id="segments"),
        pytest.param(WHOLE, {*ABOUT_SPEECH, "memory"}, id="whole episodes"),
        pytest.param(REMEMBERING, ABOUT_SPEECH, id="remembering"),
    ],
)
def test_what_is_well_passes_and_what_has_no_meaning_does_not_apply(text: str, apart: set[str]) -> None:
    found = every(text)
    verdicts = {name: one.verdict for name, one in found.items()}
    assert verdicts == {name: "does not apply" if name in apart else "passed" for name in verdicts}
    for one in found.values():
        assert one.detail
        if one.verdict == "passed":
            assert one.figure is not None
            assert one.tolerance is not None
            assert one.figure <= one.tolerance


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quickstart", "tool-maths-grpo", "walker-ppo"])
def test_what_is_shipped_is_well(name: str) -> None:
    with of_scenario(name) as patient:
        assert {one.check: one.detail for one in examine(patient) if one.verdict == "FAILED"} == {}


def test_of_an_agent_that_learns_nothing_the_worlds_are_examined() -> None:
    found = every(SPEAKER.partition("agent:")[0] + "agent: {kind: random}\nstages: [{name: look}]\n")
    passed = [name for name, one in found.items() if one.verdict == "passed"]
    assert passed == ["observation values", "seeding", "joined parts"]
    assert {one.verdict for one in found.values()} == {"passed", "does not apply"}
    assert found["resume"].detail == "an agent of kind 'random' learns nothing"


# --- worlds


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("nan", "seed 0, after 3 steps: array([nan"),
        ("infinite", "is not finite"),
        ("outside", "its space says Box(-10.0, 10.0"),
        ("reward", "seed 0, step 3: the reward is nan"),
    ],
)
def test_a_value_that_is_not_as_declared_is_found_and_counted(fault: str, words: str) -> None:
    found = ask("observation values", BODY, fault=fault)
    assert found.verdict == "FAILED"
    assert found.figure == 3  # once in each of three episodes
    assert words in found.detail


def test_a_comparison_is_no_patient(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("doctor", "--scenario", "compare-credit") == 2
    assert "is a comparison; examine a scenario of it: peripatos doctor --scenario tool-maths-grpo" in (
        capsys.readouterr().err
    )


def test_an_observation_that_is_filled_in_place_is_looked_at_as_it_was() -> None:
    found = ask("observation values", BODY.replace("Corridor", "Filled"), fault="nan")
    assert (found.verdict, found.figure) == ("FAILED", 3)
    assert "seed 0, after 3 steps" in found.detail


@pytest.mark.parametrize(
    ("text", "checks"),
    [(WHOLE, ("seeding", "joined parts", "padding")), (WHOLE, ("micro-batches", "resume")), (BODY, ("resume",))],
)
def test_of_a_world_that_never_ends_that_is_said(
    text: str, checks: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_limits, "ENDLESS", 200)
    with patient_of(text, fault="endless") as patient:
        for name in checks:
            found = finding(name, patient)
            assert found.verdict == "FAILED"
            assert "an episode has not ended after 200 random steps; give it max_episode_steps" in found.detail


def test_how_much_of_an_episode_is_looked_at_is_said() -> None:
    found = ask("observation values", BODY)
    assert found.detail == "21 observations of the first 60 steps of 3 random episodes"  # 7 each


def test_a_world_that_raises_fails_with_its_own_words_and_line() -> None:
    found = ask("observation values", BODY, fault="raises")
    assert (found.verdict, found.figure) == ("FAILED", None)
    assert "RuntimeError: no corridor today" in found.detail
    assert "doctor_worlds.py, line" in found.detail
    assert "no corridor today" in ask("padding", BODY, fault="raises").detail


def test_where_worlds_wait_nothing_is_compared_bit_for_bit() -> None:
    with patient_of(SPEAKER, fault="waits") as patient:
        found = {name: finding(name, patient) for name in ("seeding", "joined parts", "resume", "padding")}
    verdicts = {name: one.verdict for name, one in found.items()}
    assert verdicts == {"joined parts": "does not apply", "resume": "does not apply"} | dict.fromkeys(
        ("seeding", "padding"), "passed"
    )
    assert "the agent's are not compared" in found["seeding"].detail


def test_in_several_worlds_each_is_looked_at() -> None:
    two = BODY.replace(
        'world: {id: "doctor_worlds:Corridor"}',
        'worlds: [{id: "doctor_worlds:Corridor"}, {id: "doctor_worlds:Corridor", name: dark, options: {fault: nan}}]',
    )
    data = yaml.safe_load(two)
    scenario = check_scenario(data, Source("here"))
    with WorldSources.of(scenario) as sources:
        policy = make_policy(scenario, "cpu", sources.first)
        patient = Patient(scenario, sources, policy, "cpu")
        values = finding("observation values", patient)
        assert (values.verdict, values.figure) == ("FAILED", 3)
        assert values.detail.startswith("dark: seed 0")
    del data["worlds"][1]["options"]
    scenario = check_scenario(data, Source("here"))
    with WorldSources.of(scenario) as sources:
        patient = Patient(scenario, sources, policy, "cpu")
        for name in ("seeding", "joined parts", "micro-batches"):
            assert finding(name, patient).verdict == "passed"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        *((BODY, fault) for fault in ("chance", "goes on", "shared", "one generator")),
        *((BODY, key) for key in ("success", "is_success", "metrics")),
        (SPEAKER, "chance"),
    ],
)
def test_a_world_that_does_not_heed_its_seed_is_found(text: str, fault: str) -> None:
    found = ask("seeding", text, fault=fault)
    assert found.verdict == "FAILED"
    assert "of a world differ when its seed is given again" in found.detail


def test_a_world_that_depends_on_its_process_is_found() -> None:
    found = ask("seeding", BODY, fault="process")
    assert found.verdict == "FAILED"
    assert re.fullmatch(
        r"21 of 21 moments of doctor_worlds:Corridor differ in another process with the same seed: it depends on the "
        r"process, such as on its number, on the order of a set \(PYTHONHASHSEED\), or on when it was imported",
        found.detail,
    )


def test_an_agent_whose_chance_is_not_its_seeds_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = torch.Generator().manual_seed(0)
    draw = ActorCritic.draw
    monkeypatch.setattr(
        ActorCritic, "draw", lambda self, rng, n: draw(self, rng, n) + torch.rand(1, generator=chance).numpy()
    )
    found = ask("seeding", BODY)
    assert found.verdict == "FAILED"
    assert "behavior_logp_B_T" in found.detail


def test_an_engine_that_draws_from_a_stream_of_its_own_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_engine, "generator", lambda seed: np.random.default_rng())
    found = ask("seeding", SPEAKER)
    assert found.verdict == "FAILED"
    assert "tokens_B_T" in found.detail


def test_worlds_that_share_something_are_not_joined_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Corridor, "resets", 0)
    found = ask("joined parts", BODY, fault="shared")
    assert found.verdict == "FAILED"
    assert found.figure is not None
    assert found.figure > 0


@pytest.mark.parametrize("text", [SPEAKER, BODY])
def test_parts_that_are_joined_wrongly_are_found(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    join = Batch.join

    def turned(parts: Sequence[Batch]) -> Batch:
        whole = join(parts)
        return replace(whole, reward_B_T=whole.reward_B_T.flip(0) + 1)

    monkeypatch.setattr(Batch, "join", staticmethod(turned))
    assert ask("joined parts", text).verdict == "FAILED"


# --- reading


def with_score(monkeypatch: pytest.MonkeyPatch, kind: type, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Let every policy of `kind` say other log-probabilities."""
    score = kind.score

    def other(self: Any, inputs: Any) -> Scores:
        scores = score(self, inputs)
        return scores._replace(logp_B_T=change(scores.logp_B_T))

    monkeypatch.setattr(kind, "score", other)


AGENTS = [(SPEAKER, LanguagePolicy), (BODY, ActorCritic)]


@pytest.mark.parametrize(("text", "kind"), AGENTS)
def test_a_trainer_that_says_otherwise_than_who_acts_is_found(
    text: str, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ask("log-probability parity", text, lambda: with_score(monkeypatch, kind, lambda logp: logp - 0.01))
    assert found.verdict == "FAILED"
    assert found.figure == pytest.approx(0.01, abs=1e-4)


def test_an_engine_that_gives_wrong_log_probabilities_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    say = PendingReply.say

    def lying(self: PendingReply, token: int, logp: float) -> None:
        say(self, token, logp - 0.25)

    found = ask("log-probability parity", SPEAKER, lambda: monkeypatch.setattr(PendingReply, "say", lying))
    assert found.verdict == "FAILED"
    assert found.figure == pytest.approx(0.25, abs=1e-4)


def test_a_log_probability_that_is_no_number_is_not_close(monkeypatch: pytest.MonkeyPatch) -> None:
    with_score(monkeypatch, ActorCritic, lambda logp: logp * torch.nan)
    found = ask("log-probability parity", BODY)
    assert found.verdict == "FAILED"
    assert found.figure == float("inf")


@pytest.mark.parametrize(("text", "kind"), [*AGENTS, (WHOLE, ActorCritic)])
def test_numbers_that_depend_on_padding_are_found(text: str, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ask("padding", text, lambda: with_score(monkeypatch, kind, lambda logp: logp + 0.01 * logp.shape[1]))
    assert found.verdict == "FAILED"


def test_a_model_that_looks_at_what_stands_in_the_padding_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    score = ActorCritic.score

    def looking(self: ActorCritic, inputs: Any) -> Scores:
        scores = score(self, inputs)
        return scores._replace(logp_B_T=scores.logp_B_T + inputs["observation_B_T_D"].mean())

    monkeypatch.setattr(ActorCritic, "score", looking)
    assert ask("padding", BODY).verdict == "FAILED"


def test_prefixes_that_are_shared_wrongly_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    grown, shared = language_policy.prefix_tree.states, language_policy.shared_prompts.states

    def wrong() -> None:
        monkeypatch.setattr(language_policy.prefix_tree, "states", lambda *args, **more: grown(*args, **more) * 1.1)
        monkeypatch.setattr(language_policy.shared_prompts, "states", lambda *args, **more: shared(*args, **more) * 1.1)

    assert ask("packing", SPEAKER, wrong).verdict == "FAILED"


@pytest.mark.parametrize(("text", "kind"), [*AGENTS, (WHOLE, ActorCritic)])
def test_a_gradient_that_depends_on_how_many_rows_are_read_is_found(
    text: str, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ask("micro-batches", text, lambda: with_score(monkeypatch, kind, lambda logp: logp * (1 + 0.1 * len(logp))))
    assert found.verdict == "FAILED"
    assert found.figure is not None
    assert found.figure > 0.01


def test_an_update_without_a_gradient_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with_score(monkeypatch, ActorCritic, lambda logp: logp.detach() + 0 * logp)
    found = ask("micro-batches", WHOLE)
    assert (found.verdict, found.detail) == ("does not apply", "an update of grpo has no gradient here")


def test_a_memory_that_outlives_its_episode_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    scan = GatedMemory.scan

    def keeping(self: GatedMemory, seen: torch.Tensor, memory: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        return scan(self, seen, memory, first & False)

    monkeypatch.setattr(GatedMemory, "scan", keeping)
    assert ask("memory", REMEMBERING).verdict == "FAILED"


@pytest.mark.parametrize(
    "method",
    [
        "sft",
        "reinforce",
        "online_dpo",
        "ppo",
        "gdpo",
        "on_policy_distillation",
        "self_distillation",
        "gkd",
        "opsd",
        "rlhf_ppo",
        "echo",
    ],
)
def test_the_gradient_of_every_kind_of_method_is_compared(method: str) -> None:
    more = "    demonstrations: {agent: {kind: random}}\n" if method == "sft" else ""
    model = "    models: {teacher: {model: nobody/none}}\n" if method in ("on_policy_distillation", "gkd") else ""
    reward = "    models: {reward: {run: runs/none}}\n" if method == "rlhf_ppo" else ""
    text = SPEAKER.replace("grpo\n", f"{method}\n{more}{model}{reward}")
    found = ask("micro-batches", text)
    assert found.verdict == "passed", found.detail
    assert method in found.detail


# --- speech


def with_template(template: str) -> Finding:
    with patient_of(SPEAKER) as patient:
        policy = patient.policy
        assert isinstance(policy, LanguagePolicy)
        policy.tokenizer.chat_template = template
        return finding("template prefix", patient)


@pytest.mark.parametrize("template", [PLAIN, DEFAULT_SYSTEM, LLAMA3])
def test_a_template_that_only_goes_on_passes(template: str) -> None:
    found = with_template(template)
    assert (found.verdict, found.figure, found.detail) == ("passed", 0, "each turn is a prefix")


@pytest.mark.parametrize("template", [DROPS_THOUGHTS, EMPTY_THOUGHTS])
def test_how_a_template_is_lived_with_that_rewrites_thoughts_is_said(template: str) -> None:
    found = with_template(template)
    assert found.verdict == "passed"
    assert "4 of 8 later turns are rewritten, and begin a row; of 4 episodes" in found.detail


_TURN = "<|{{ m.role }}|>\n{{ m.content }}" + END + "\n"
_INVITES = "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
_ALL = "{% for m in messages %}" + _TURN + "{% endfor %}" + _INVITES
_REFUSES = "{% if messages | length > 3 %}{{ raise_exception('no more') }}{% endif %}"
_OMITS = _ALL.replace("m.content", "m.content | replace('Say', '')")
_LOWERS = "{% for m in messages %}" + _TURN.replace("m.content", "m.content | lower if not loop.last else m.content")


@pytest.mark.parametrize(
    ("template", "words"),
    [
        pytest.param(_ALL.replace("messages %", "messages[-2:] %"), "lost what was said before: Qzvx", id="forgets"),
        pytest.param(_ALL.replace("messages %", "messages[-6:] %"), "turn 4 has lost what was said", id="forgets late"),
        pytest.param(_ALL.replace("m.content", "m.content[:40]"), "turn 1 has lost a part of a message", id="cuts"),
        pytest.param(_OMITS, "asks at first is lost: 'Say", id="omits"),
        pytest.param(_LOWERS + "{% endfor %}" + _INVITES, "turn 2 has lost what was said before: Qzvx", id="rewrites"),
        pytest.param("{{ range(100000) | random }}" + _ALL, "is rendered otherwise when", id="draws"),
        pytest.param(_REFUSES + _ALL, "no more", id="refuses"),
        pytest.param(_ALL.replace("messages %", "messages | reverse %"), "in another order", id="turns round"),
    ],
)  # fmt: skip
def test_a_template_that_rewrites_history_is_found(template: str, words: str) -> None:
    found = with_template(template)
    assert found.verdict == "FAILED"
    assert words in found.detail


def test_an_engine_that_does_not_stop_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    init = TransformersEngine.__init__
    monkeypatch.setattr(
        TransformersEngine,
        "__init__",
        lambda self, policy, *, stop_ids, **more: init(self, policy, stop_ids=(), **more),
    )
    found = ask("stop token", SPEAKER)
    assert found.verdict == "FAILED"
    assert found.figure is not None
    assert found.figure >= 1


def test_an_engine_that_gives_a_stop_another_log_probability_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    complete = PendingReply.completion

    def lying(self: PendingReply, stop_ids: frozenset[int], version: int) -> Any:
        said = complete(self, stop_ids, version)
        return said if said.stop_reason == "length" else replace(said, logp=(*said.logp[:-1], said.logp[-1] - 1))

    found = ask("stop token", SPEAKER, lambda: monkeypatch.setattr(PendingReply, "completion", lying))
    assert found.detail == "tokens have other log-probabilities where one of them ends the reply"


def test_replies_without_their_end_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    encode = Renderer.encode_reply
    monkeypatch.setattr(Renderer, "encode_reply", lambda self, text, calls=False: encode(self, text, calls=calls)[:-1])
    found = ask("stop token", SPEAKER)
    assert found.verdict == "FAILED"
    assert "the reply 'Jkwy' was not cut, and ends with no stop token" in found.detail


def test_a_loss_that_does_not_read_the_end_of_a_reply_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    weigh = learner.policy_weight

    def without_ends(*args: Any, **more: Any) -> Any:
        weighted = weigh(*args, **more)
        return replace(weighted, weight_B_T=torch.where(more["end_B_T"], 0.0, weighted.weight_B_T))

    monkeypatch.setattr(learner, "policy_weight", without_ends)
    found = ask("stop token", SPEAKER)
    assert found.verdict == "FAILED"
    assert found.detail == "the token that ends reply 2 has no weight in the loss"


# --- resume


def test_an_optimiser_that_forgets_its_moments_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    state = Masters.state
    monkeypatch.setattr(
        Masters, "state", lambda self: {k: v * 0.5 if "exp_avg" in k else v for k, v in state(self).items()}
    )
    found = ask("resume", BODY)
    assert found.verdict == "FAILED"
    assert "learner/optimizer.safetensors: 0.exp_avg" in found.detail


def test_a_world_with_chance_of_its_own_does_not_go_on_as_it_was() -> None:
    assert ask("resume", WHOLE, fault="chance").verdict == "FAILED"


# --- measures


def some_batch(**more: torch.Tensor) -> Batch:
    two = torch.zeros(2, dtype=torch.long)
    flat = torch.zeros(2, 3)
    common = dict.fromkeys(("episode_B", "group_B", "version_B", "bundle_B"), two)
    numbers = {"behavior_logp_B_T": flat, "reward_B_T": flat, "turn_B_T": flat.long()}
    bools = dict.fromkeys(("mask_B_T", "end_B_T"), flat.bool())
    return Batch(**{"inputs": {"seen_B_T": flat * torch.nan}, **numbers, **bools, **common, **more})


def test_values_that_differ_are_counted_and_nothing_equals_nothing() -> None:
    assert unequal(some_batch(), some_batch()).detail == "0 of 44 values differ"  # 6 columns of 2 × 3, and 4 of 2
    reward = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, -2.0]])
    assert unequal(some_batch(), some_batch(reward_B_T=reward)).detail == "2 of 44 values differ: reward_B_T"
    longer = unequal(some_batch(), some_batch(reward_B_T=torch.zeros(2, 4)))
    assert longer.figure == 8


def test_gradients_are_compared_by_their_whole_length() -> None:
    one, other = [torch.tensor([3.0]), torch.tensor([[4.0]])], [torch.tensor([3.0]), torch.tensor([[3.0]])]
    assert relative(one, other) == pytest.approx(1 / 5)  # ‖(0, 1)‖ / ‖(3, 4)‖
    assert relative([torch.zeros(1)], [torch.zeros(1)]) == 0
    assert relative(one, [torch.tensor([torch.nan]), torch.tensor([[4.0]])]) == float("inf")


# --- the command


def test_the_command_prints_what_fits_and_tells_by_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cart.yaml"
    path.write_text(BODY.replace('"doctor_worlds:Corridor"', "CartPole-v1"))
    monkeypatch.setenv("COLUMNS", "80")
    run = tmp_path / "run"
    assert command("run", path, "--out", run, "-q") == 0
    capsys.readouterr()
    assert command("doctor", "--run", run) == 0
    out, err = capsys.readouterr()
    assert all(len(line.rstrip()) <= 80 for line in out.splitlines())
    assert "log-probability parity" in out
    assert "does not apply" in out
    assert f"{len(CHECKS)} of {len(CHECKS)}, resume: passed" in err
    damaged = next((run / "checkpoints").glob("000003/policy/*.safetensors"))
    damaged.write_bytes(damaged.read_bytes()[:-7])
    assert command("doctor", "--run", run) == 2
    assert "policy.safetensors has" in capsys.readouterr().err
    with_score(monkeypatch, ActorCritic, lambda logp: logp - 1)
    assert command("doctor", "--scenario", path, "--json", "-q") == 1
    rows = {row["check"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["log-probability parity"]["verdict"] == "FAILED"
    assert rows["log-probability parity"]["figure"] == pytest.approx(1)
    assert rows["seeding"]["verdict"] == "passed"
