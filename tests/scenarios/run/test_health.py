"""Signs of ill health: each from rows made by hand, and from tiny runs that diverge or do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scenarios_runs import TINY, command, write_scenario

from peripatos.algorithms.methods import METHODS, method
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.scenarios.run.drifts import DRIFTS
from peripatos.scenarios.run.health import SIGNS, see, suspects
from peripatos.scenarios.run.sign import Facts

WELL: dict[str, float] = {  # a row of a run that learns
    "advantage/magnitude": 0.5,
    "gradient/norm": 0.4,
    "policy/entropy": 0.6,
    "policy/logp": -0.7,
    "value/explained_variance": 0.3,
    "value/loss": 0.2,
    "kl/old": 0.01,
    "policy/clipped": 0.1,
    "optimizer/lr": 1e-3,
    "episodes/cut": 0.05,
    "episodes/silent": 0.0,
    "episodes/malformed": 0.05,
    "groups/flat": 0.6,
    "kl/reference": 0.05,
    "kl/sampler_gap": 0.01,
    "policy/ratio_extreme": 0.0,
    "policy/effective_share": 0.9,
    "policy/weighted": 0.7,
    "success/rate": 0.2,
}
SETTINGS = OptimizerSettings(lr=1e-3)
ILL: dict[
    str, tuple[str, dict[str, float], OptimizerSettings, str]
] = {  # by sign: method, row, settings, key to change
    "advantages_zero": ("grpo", {"advantage/magnitude": 0.0}, SETTINGS, "stages.learn.collect.group_size"),
    "weights_zero": ("dppo", {"policy/weighted": 0.0}, SETTINGS, "stages.learn.overrides.weighting"),
    "gradient_zero": ("sft", {"gradient/norm": 0.0, "policy/logp": -2.0}, SETTINGS, "stages.learn.optimizer.lr"),
    "entropy_collapsed": ("ppo", {"policy/entropy": 1e-9}, SETTINGS, "overrides.update.entropy_coefficient"),
    "critic_dead": (
        "ppo",
        {"value/explained_variance": -11.0, "value/loss": 4e5},
        SETTINGS,
        "overrides.update.value_coefficient",
    ),
    "kl_exploded": ("ppo", {"kl/old": 40.0}, SETTINGS, "stages.learn.optimizer.lr"),
    "all_clipped": ("ppo", {"policy/clipped": 0.97}, SETTINGS, "overrides.weighting.clip_low"),
    "steps_vanish": ("ppo", {"gradient/norm": 1e-30}, SETTINGS, "stages.learn.optimizer.max_grad_norm"),
    "step_size_zero": ("ppo", {"optimizer/lr": 2e-9}, OptimizerSettings(warmup=1000000), "optimizer.warmup"),
    "imitation_lost": ("sft", {"policy/logp": -30.0}, SETTINGS, "stages.learn.optimizer.lr"),
    "replies_cut": ("grpo", {"episodes/cut": 1.0, "success/rate": 0.0}, SETTINGS, "sampling.max_tokens"),
    "replies_empty": ("grpo", {"episodes/silent": 1.0}, SETTINGS, "stages.learn.optimizer.lr"),
    "far_from_start": ("deepseek_v32", {"kl/reference": 5.0}, SETTINGS, "stages.learn.overrides.weighting.beta"),
    "ratios_extreme": ("ppo", {"policy/ratio_extreme": 0.2}, SETTINGS, "stages.learn.overrides.update.epochs"),
    "few_samples": ("cispo", {"policy/effective_share": 0.01}, SETTINGS, "stages.learn.optimizer.lr"),
    "sampler_gap": ("grpo", {"kl/sampler_gap": 1.5}, SETTINGS, "weighting: {correction: 2}"),
    "groups_flat": ("rloo", {"groups/flat": 0.95}, SETTINGS, "stages.learn.collect.group_size"),
    "curriculum_collapsed": (
        "grpo",
        {"curriculum/distinct": 0.25},
        SETTINGS,
        "stages.learn.collect.curriculum.uniform",
    ),
    "gate_closed": ("grpo", {"groups/taken": 0.0}, SETTINGS, "stages.learn.collect.group_size"),
    "replies_grow": ("grpo", {"episodes/cut": 0.7}, SETTINGS, "stages.learn.overrides.rewards.overlong_share"),
    "form_lost": ("grpo", {"episodes/malformed": 0.8}, SETTINGS, "stages.learn.optimizer.lr"),
}


@pytest.mark.parametrize(
    ("gated", "said", "not_said"),
    [(True, "within stages.learn.collect.gate", "curriculum"), (False, "all episodes earned the same", "gate")],
)
def test_a_batch_of_which_no_group_is_taken_is_blamed_on_what_keeps_them_out(
    gated: bool, said: str, not_said: str
) -> None:
    sign = next(sign for sign in DRIFTS if sign.name == "gate_closed")
    words = sign.says({"groups/taken": 0.0}, Facts("learn", METHODS["dapo"], OptimizerSettings(), gated=gated))
    assert said in words
    assert not_said not in words


@pytest.mark.parametrize(
    ("update", "key"), [({"minibatch_units": 1}, "raise stages.learn.overrides.update.minibatch_units"), ({}, "lower ")]
)
def test_minibatches_that_whitening_leaves_nothing_of_are_blamed_on_it(update: dict[str, int], key: str) -> None:
    row = method("reinforce", {"credit": {"whiten": "minibatch"}, "update": update})
    found = watch({**WELL, "policy/weighted": 0.0}, Facts("learn", row, SETTINGS, WELL))
    (text,) = [text for one in found for text in one.values()]
    assert key in text
    assert "credit.whiten" in text


def watch(row: dict[str, float], facts: Facts, updates: int = 30) -> list[dict[str, str]]:
    """What is said at each of so many equal rows."""
    streaks: dict[str, int] = {}
    said: set[str] = set()
    told = []
    for _ in range(updates):
        told.append(see(row, facts, streaks, said))
        said |= set(told[-1])
    return told


@pytest.mark.parametrize("sign", ILL)
def test_each_sign_is_said_once_after_its_patience_with_the_key_to_change(sign: str) -> None:
    name, changed, settings, key = ILL[sign]
    facts = Facts("learn", METHODS[name], settings, WELL)
    told = watch({**WELL, **changed}, facts)
    assert [list(found) for found in told if found] == [[sign]]
    [text] = [text for found in told for text in found.values()]
    assert key in text
    assert "\n" not in text


def test_every_sign_of_the_table_has_a_row_here() -> None:
    assert [sign.name for sign in (*SIGNS, *DRIFTS)] == list(ILL)


@pytest.mark.parametrize("name", METHODS)
def test_a_row_of_a_run_that_learns_says_nothing(name: str) -> None:
    row = method(name, {"update": {"length": 9}} if name == "dr_grpo" else {})
    assert not any(watch(WELL, Facts("learn", row, SETTINGS, WELL)))
    assert not any(watch({}, Facts("learn", row, SETTINGS)))
    assert not any(watch({key: float("nan") for key in WELL}, Facts("learn", row, SETTINGS, WELL)))


@pytest.mark.parametrize("sign", ILL)
def test_a_sign_that_stops_in_between_begins_to_be_counted_anew(sign: str) -> None:
    name, changed, settings, _ = ILL[sign]
    facts, streaks = Facts("learn", METHODS[name], settings, WELL), dict[str, int]()
    patience = next(row.updates for row in (*SIGNS, *DRIFTS) if row.name == sign)
    for _ in range(5):
        for _ in range(patience - 1):
            assert not see({**WELL, **changed}, facts, streaks, ())
        assert not see(WELL, facts, streaks, ())


def test_who_is_compared_with_a_teacher_has_no_advantages_to_miss() -> None:
    facts = Facts("learn", METHODS["gkd"], SETTINGS, WELL)
    taught = {**WELL, "advantage/magnitude": 0.0, "policy/weighted": 0.0, "kl/teacher": 0.3}
    assert not any(watch(taught, facts))
    assert [list(found) for found in watch({**taught, "gradient/norm": 0.0}, facts) if found] == [["gradient_zero"]]
    assert not any(watch({**taught, "gradient/norm": 0.0, "kl/teacher": 0.0}, facts)), "it is as its teacher"


def test_what_is_solved_or_known_by_heart_is_no_sign() -> None:
    solved = {**WELL, "policy/entropy": 0.0, "success/rate": 1.0}
    assert not any(watch(solved, Facts("learn", METHODS["grpo"], SETTINGS, WELL)))
    by_heart = {**WELL, "gradient/norm": 0.0, "policy/logp": 0.0, "policy/entropy": 0.0}
    assert not any(watch(by_heart, Facts("learn", METHODS["sft"], SETTINGS, WELL)))
    alike = {**WELL, "value/explained_variance": -14.0, "value/loss": 6e-6}  # every return is the same
    assert not any(watch(alike, Facts("learn", METHODS["ppo"], SETTINGS, WELL)))
    late = {**WELL, "optimizer/lr": 1e-7}  # the end of a linear schedule
    assert not any(watch(late, Facts("learn", METHODS["ppo"], OptimizerSettings(schedule="linear", warmup=9), WELL)))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("psr", "nothing earned 0.5"),
        ("nsr", "everything earned 0.5 or more"),
        ("max_rl", "no group earned more than 0 on average"),
        ("grpo", "what is compared earned the same"),
    ],
)
def test_advantages_of_zero_are_explained_by_what_the_method_asks_for(name: str, why: str) -> None:
    told = watch({**WELL, "advantage/magnitude": 0.0}, Facts("learn", METHODS[name], SETTINGS, WELL))
    assert why in next(text for found in told for text in found.values())


def test_what_was_so_from_the_start_or_is_corrected_is_no_drift() -> None:
    cut = {**WELL, "episodes/cut": 0.7, "episodes/malformed": 0.8}
    assert not any(watch(cut, Facts("learn", METHODS["grpo"], SETTINGS, {**cut, "episodes/malformed": 0.5})))
    corrected = method("grpo", {"weighting": {"correction": 2.0}})
    assert not any(watch({**WELL, "kl/sampler_gap": 1.5}, Facts("learn", corrected, SETTINGS, WELL)))
    solved = {**WELL, "groups/flat": 0.95, "success/rate": 0.97}
    assert not any(watch(solved, Facts("learn", METHODS["grpo"], SETTINGS, WELL)))
    product = {**WELL, "policy/ratio_extreme": 0.9, "policy/effective_share": 0.01}
    assert not any(watch(product, Facts("learn", METHODS["vespo"], SETTINGS, WELL)))


def test_the_settings_to_blame_are_those_far_from_what_is_usual() -> None:
    assert suspects(Facts("learn", METHODS["ppo"], SETTINGS)) == "stages.learn.optimizer.lr (0.001)"
    wild = OptimizerSettings(weight_decay=1e30)
    assert suspects(Facts("learn", METHODS["ppo"], wild)) == "stages.learn.optimizer.weight_decay (1e+30)"


SUMS = """\
name: sums
world: {id: peripatos/Arithmetic-v0, options: {operators: ["+"], digits: 1, prompt: bare, answer_tag: answer}}
agent: {kind: tiny_llama}
sampling: {max_tokens: 6}
stages:
  - name: learn
    method: sft
    demonstrations: {agent: {kind: oracle}}
    collect: {groups: 4}
    budget: {updates: 8}
evaluation: {episodes: 2}
"""
GRPO = TINY.replace("method: ppo", "method: grpo").replace("{groups: 2, horizon: 32}", "{groups: 2, group_size: 4}")


def warned(folder: Path, text: str, optimizer: str) -> tuple[list[dict[str, Any]], int]:
    """Which warnings a run's summary holds, and its exit code."""
    path = write_scenario(folder, text.replace("    budget:", f"    optimizer: {optimizer}\n    budget:"))
    code = command("run", path, "--out", folder / "run")
    return json.loads((folder / "run" / "summary.json").read_text())["warnings"], code


@pytest.mark.parametrize(
    ("text", "signs"),
    [
        (TINY, {"entropy_collapsed", "kl_exploded", "gradient_zero", "critic_dead"}),
        (GRPO, {"advantages_zero", "gradient_zero", "entropy_collapsed"}),
    ],
    ids=["ppo", "grpo"],
)
def test_a_run_that_diverges_says_so_once_in_its_terminal_and_its_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, signs: set[str]
) -> None:
    warnings, code = warned(tmp_path, text, "{lr: 1e3}")
    told = capsys.readouterr().err
    found = [warning["sign"] for warning in warnings]
    assert code == 0
    assert set(found) & signs
    assert len(found) == len(set(found))
    for warning in warnings:
        assert told.count(warning["text"]) == 1


def test_an_update_that_is_refused_names_the_setting_and_the_checkpoint_that_was_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    warnings, code = warned(tmp_path, SUMS, "{lr: 1e30}")
    told = capsys.readouterr().err
    assert (warnings, code) == ([], 1)
    assert "checkpoint 000000 is from before, and sound" in told
    assert "less of stages.learn.optimizer.lr (1e+30)" in told


@pytest.mark.parametrize("text", [TINY, SUMS], ids=["ppo", "sft"])
def test_a_clean_run_says_nothing_of_its_health(tmp_path: Path, text: str) -> None:
    warnings, code = warned(tmp_path, text, "{lr: 1e-3}")
    assert (warnings, code) == ([], 0)
