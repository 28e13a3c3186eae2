"""The table of methods and how a user changes a constant in it."""

import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from algorithms_batches import TabularPolicy, random_batch

from peripatos.algorithms.learner import Learner
from peripatos.algorithms.method_words import document, formulas, method_table, show_method
from peripatos.algorithms.methods import METHODS, method
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.envs.errors import UserError, WrongKey


def test_the_table_says_every_constant_that_frameworks_disagree_on() -> None:
    rows = {row["method"]: row for row in method_table()}
    assert set(rows) == set(METHODS)
    assert rows["grpo"]["scale"] == "std (ddof 1) + 1e-06"
    assert rows["grpo"]["clip"] == "from 1 − 0.2 to 1 + 0.2"
    assert rows["dr_grpo"]["aggregation"] == "constant_length"
    assert rows["ppo"]["γ, λ"] == "0.99, 0.95"


def test_overrides_reach_nested_constants_and_leave_the_table_alone() -> None:
    row = method("ppo", {"credit": {"gamma": 0.9}, "update": {"epochs": 8}})
    assert (row.credit.gamma, row.credit.lam, row.update.epochs) == (0.9, 0.95, 8)
    assert METHODS["ppo"].credit.gamma == 0.99


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("gpro", {}, "Did you mean 'grpo'?"),
        ("ppo", {"credits": {}}, "Did you mean 'credit'?"),
        ("ppo", {"credit": {"gama": 1}}, "Did you mean 'gamma'?"),
        ("ppo", {"credit": {"gamma": "high"}}, "gamma"),
        ("ppo", {"credit": {"baseline": "best"}}, "baseline"),
        ("ppo", {"credit": {"gamma": 1.5}}, "credit.gamma is 1.5; allowed is a number from 0 to 1"),
        ("ppo", {"update": {"epochs": -1}}, "update.epochs is -1; allowed is a whole number, 1 or greater"),
        ("ppo", {"weighting": {"clip_low": -0.1}}, "clip_low"),
        ("ppo", {"credit": 3}, "credit is 3, not a mapping of keys to values; its keys are baseline"),
    ],
)
def test_a_wrong_name_or_value_is_named(name: str, overrides: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        method(name, overrides)


def test_the_update_never_asks_for_a_methods_name() -> None:
    """A method renamed is the same method: no row may be special by its name."""
    import inspect

    from peripatos.algorithms import learner, training_batch

    for module in (learner, training_batch):
        source = inspect.getsource(module)
        assert not [name for name in METHODS if f'"{name}"' in source]


def test_the_page_of_methods_is_printed_by_the_code() -> None:
    """Written by `python -c "from peripatos.algorithms.method_words import document; print(document(), end='')"`."""
    assert (Path(__file__).parents[2] / "docs" / "methods.md").read_text(encoding="utf-8") == document()


def test_the_formula_of_a_row_is_put_together_from_its_columns() -> None:
    row = method(
        "deepseek_v32",
        {"weighting": {"gap": 0.1, "beta": 0.5, "correction": 2.0}, "update": {"entropy_coefficient": 0.01}},
    )
    assert formulas(row) == [
        "A = R − mean_group(R)",
        "w = ρ·A·1[not (A > 0 and ρ > 1.2 or A < 0 and ρ < 0.8)] · 1[not (A > 0 and p − q > 0.1 or A < 0 and "
        "p − q < −0.1)] · 1[not (A < 0 and mean_sequence(log μ − log π) > 0.5)] · min(π_old/π_behavior, 2)"
        " − 0.5·(π/π_old)·(k3 + 1 − π_ref/π)",
        "ρ = π/π_old of the unit",
        "L = −mean over sequences of the mean over units of (w·log π + 0.01·H)",
    ]


@pytest.mark.parametrize("name", METHODS)
def test_the_brackets_of_a_formula_close(name: str) -> None:
    for kl, to, ratio in itertools.product(("k1", "k2", "k3"), ("reference", "old"), (False, True)):
        penalty = {"kl": kl, "kl_to": to, "kl_ratio": ratio, "beta": 0.3, "kl_in": "loss"}
        try:
            row = method(name, {"weighting": penalty})
        except UserError:
            continue
        said = "\n".join(formulas(row))
        assert all(said.count(left) == said.count(right) for left, right in ("()", "[]", "{}")), said
        assert "0.3·" in said


def test_the_formula_of_a_divided_batch_and_of_a_distance_say_all_that_is_computed() -> None:
    batch = formulas(method("reinforce_baseline", {"credit": {"scale": "std"}}))
    assert batch[0] == "A = (R − mean_batch(R)) / (std_batch(R) + 1e-06)"
    squared = formulas(method("grpo", {"weighting": {"kl": "k2", "beta": 0.1, "kl_ratio": True}}))
    assert squared[1].endswith(" − 0.1·(π/π_old)·(k2 + log(π/π_ref))")
    distance = {"weighting": {"kl": "k3", "beta": 0.1, "entropy_share": 0.2}, "update": {"entropy_coefficient": 0.5}}
    assert formulas(method("gkd", distance))[1:] == [
        "w = π(v)·A · 1[H among the highest 20 %]",
        "L = −mean over all units of (Σ_v w·log π(v) − 0.1·(1 − π_ref/π)·log π + 0.5·H)",
    ]


def test_the_formula_of_a_clipped_critic_has_the_worse_of_both_errors() -> None:
    loss = formulas(method("ppo", {"update": {"value_clip": 0.3, "value_coefficient": 0.25}}))[-1]
    assert " + 0.25·½·max((V − (GAE + V_old))², (clip(V − V_old, ±0.3) − GAE)²)" in loss
    assert "max(" not in formulas(method("ppo"))[-1]


@pytest.mark.parametrize("name", METHODS)
def test_a_row_says_its_formula_its_words_and_every_constant_that_does_something(name: str) -> None:
    lines = show_method(name)
    text = "\n".join(lines)
    assert text.startswith(f"{name}: {METHODS[name].summary}")
    assert all(f"    {line}" in lines for line in formulas(METHODS[name]))
    assert "update.epochs = " in text
    assert ("credit.ddof = 1" in lines) is (METHODS[name].credit.scale == "std")
    assert METHODS[name].parent is None or f"parent     {METHODS[name].parent}; differs in " in text


def test_the_differences_to_the_parent_are_what_an_override_would_spell() -> None:
    rows = {row["method"]: row for row in method_table()}
    assert rows["gspo"]["differs"] == (
        "grpo, but weighting.ratio 'sequence', weighting.clip_low 0.0003, weighting.clip_high 0.0004"
    )
    assert rows["sapo"]["differs"] == (
        "grpo, but weighting.clip_kind 'soft', weighting.clip_low null, weighting.clip_high null"
    )
    assert rows["grpo"]["differs"] == "—"


def test_showing_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'gspo'"):
        show_method("gsop")


IDLE = {
    "a kind of clip without a ratio": ("reinforce", {"weighting": {"clip_kind": "cap"}}),
    "a dual clip without a ratio": ("reinforce", {"weighting": {"clip_dual": 3.0}}),
    "a dual clip of a cap": ("cispo", {"weighting": {"clip_dual": 3.0}}),
    "bounds of what fades": ("sapo", {"weighting": {"clip_high": 0.2}}),
    "a temperature of a hard clip": ("grpo", {"weighting": {"soft_up": 2.0}}),
    "a kernel that is not used": ("sapo", {"weighting": {"kernel_up_k": 2.0}}),
    "sides of no gap": ("grpo", {"weighting": {"gap_sides": "both"}}),
    "a gap to a demonstrator": ("sft", {"weighting": {"gap": 0.1}}),
    "stale demonstrations": ("sft", {"weighting": {"stale_sequence": 0.1}}),
    "an anchor of no penalty": ("grpo", {"weighting": {"kl_to": "old"}}),
    "a target of no penalty": ("grpo", {"weighting": {"kl_target": 0.01}}),
    "a target of a penalty to the reference": (
        "grpo",
        {"weighting": {"kl": "k3", "beta": 0.1, "kl_target": 0.01}},
    ),
    "a step to no target": ("grpo", {"update": {"entropy_step": 0.1}}),
    "a threshold without a verdict": ("grpo", {"credit": {"threshold": 0.5}}),
    "a weight of the wrong without a verdict": ("grpo", {"credit": {"wrong": 0.5}}),
    "a baseline under a verdict": ("nsr", {"credit": {"baseline": "group_mean"}}),
    "terms without groups": ("reinforce", {"credit": {"each_term": True}}),
    "a limit of no overlong reply": ("grpo", {"rewards": {"overlong_limit": 5}}),
    "two overlong buffers": ("dapo", {"rewards": {"overlong_buffer": 5}}),
    "clip without a ratio": ("reinforce", {"weighting": {"clip_high": 0.2}}),
    "lower clip without a ratio": ("grpo", {"weighting": {"ratio": None, "clip_low": None}}),
    "β without a KL": ("grpo", {"weighting": {"beta": 0.3}}),
    "a KL without β": ("grpo", {"weighting": {"kl": "k3"}}),
    "a KL with β 0": ("grpo", {"weighting": {"kl": "k3", "beta": 0.0}}),
    "a ratio on a KL that is not there": ("grpo", {"weighting": {"kl_ratio": True}}),
    "a scale without a baseline": ("reinforce", {"credit": {"scale": "std"}}),
    "a scale with a critic": ("ppo", {"credit": {"scale": "std"}}),
    "GRPO's own scale without its baseline": ("grpo", {"credit": {"baseline": None}}),
    "λ without a critic": ("grpo", {"credit": {"lam": 0.9}}),
    "γ over a whole trajectory": ("grpo", {"credit": {"gamma": 0.9}}),
    "ddof without a std": ("dr_grpo", {"credit": {"ddof": 0}}),
    "ε without a scale": ("rloo", {"credit": {"eps": 1e-3}}),
    "a value's clip without a critic": ("grpo", {"update": {"value_clip": 0.2}}),
    "a value's weight without a critic": ("rloo", {"update": {"value_coefficient": 0.1}}),
    "a length for a mean": ("ppo", {"update": {"length": 5}}),
    "a length for GRPO": ("grpo", {"update": {"length": 5}}),
    "two numbers of minibatches": ("grpo", {"update": {"minibatch_units": 64, "minibatches": 2}}),
    "a baseline for imitation": ("sft", {"credit": {"baseline": "group_mean"}}),
    "whitened imitation": ("sft", {"credit": {"whiten": "batch"}}),
    "a lower clip of what is imitated": ("sft", {"weighting": {"ratio": "unit", "clip_low": 0.2}}),
    "a level of no correction": ("grpo", {"weighting": {"correction_level": "sequence"}}),
    "a kind of no correction": ("ppo", {"weighting": {"correction_kind": "mask"}}),
    "a strength of no pair loss": ("grpo", {"preference": {"beta": 0.3}}),
    "smoothed labels of ipo": ("ipo", {"preference": {"label_smoothing": 0.1}}),
    "a hold of dpo": ("dpo", {"preference": {"dpop_lambda": 5.0}}),
    "a ratio beside pairs": ("online_dpo", {"weighting": {"ratio": "unit"}}),
    "a penalty beside pairs": ("online_dpo", {"weighting": {"kl": "k3", "beta": 0.1}}),
    "a baseline of pairs": ("online_dpo", {"credit": {"baseline": "group_mean"}}),
    "a bar for cut replies of pairs": ("online_dpo", {"update": {"cut_replies": "leave_out"}}),
    "rewards of what was compared": ("dpo", {"rewards": {"scale": "return"}}),
    "a correction to a demonstrator": ("sft", {"weighting": {"correction": 2.0}}),
    "scaled rewards of a demonstrator": ("sft", {"rewards": {"scale": "return"}}),
    "a penalty for a long demonstration": ("sft", {"rewards": {"overlong_share": 0.5}}),
    "flat groups of a demonstrator": ("sft", {"update": {"flat_groups": "leave_out"}}),
    "a scale of a sign": ("rejection_sampling", {"credit": {"scale": "std"}}),
    "a scale of an order": ("online_dpo", {"rewards": {"scale": "return"}}),
    "a scale of what is only compared": ("rejection_sampling", {"rewards": {"scale": "return"}}),
    "flat groups of pairs": ("online_dpo", {"update": {"flat_groups": "leave_out"}}),
    "bad sequences where nothing is bad": ("psr", {"weighting": {"stale_sequence": 0.5}}),
    "a lower clip where nothing is bad": ("psr", {"weighting": {"ratio": "unit", "clip_low": 0.2}}),
    "a dual clip where nothing is bad": ("rejection_sampling", {"weighting": {"ratio": "unit", "clip_dual": 3.0}}),
    "an upper clip where nothing is good": ("nsr", {"weighting": {"ratio": "unit", "clip_high": 0.2}}),
    "a gate for good actions of which there are none": (
        "nsr",
        {"weighting": {"ratio": "unit", "clip_kind": "soft", "soft_up": 2.0}},
    ),
    "a kernel for bad actions of which there are none": (
        "psr",
        {"weighting": {"ratio": "product", "clip_kind": "kernel", "kernel_down_k": 1.0}},
    ),
    "a lower clip at nothing": ("grpo", {"weighting": {"clip_low": 1.0}}),
    "a gap that everything is within": ("dppo", {"weighting": {"gap": 1.0}}),
    "stale sequences that the clip of sequences silences": ("gspo", {"weighting": {"stale_sequence": 0.5}}),
    "a scale behind the baseline of least variance": ("optimal_baseline", {"credit": {"scale": "std"}}),
    "a baseline of a rank": ("best_of_k", {"credit": {"baseline": "group_mean"}}),
    "a scale of the best": ("best_of_k", {"rewards": {"scale": "return"}}),
    "bad sequences where the best alone counts": ("best_of_k", {"weighting": {"stale_sequence": 0.5}}),
    "words of the world behind pairs": ("dpo", {"update": {"observation_coefficient": 0.1}}),
    "a penalty that is none of the terms": ("gdpo", {"rewards": {"overlong_buffer": 4}}),
    "scaled rewards beside terms": ("gdpo", {"rewards": {"scale": "return"}}),
    "a weight of a term that is normalised": ("gdpo", {"rewards": {"model": 2.0}}),
    "a weight of the world's terms, normalised": ("gdpo", {"rewards": {"model": 1.0, "world": 0.5}}),
    "a weight of what alone is put in an order": ("online_dpo", {"rewards": {"model": 2.0, "world": 0.0}}),
    "rewards of turns where a whole trajectory is one step": ("grpo", {"rewards": {"model": 1.0, "model_at": "turn"}}),
    "turns of no reward model": ("ppo", {"rewards": {"model_at": "turn"}}),
    "what nobody pays": ("grpo", {"rewards": {"teacher_pays": "all"}}),
    "a ratio of what was not chosen": ("gkd", {"weighting": {"ratio": "unit"}}),
    "a baseline of a distance": ("gkd", {"credit": {"baseline": "leave_one_out"}}),
    "a whole sequence's distance": ("opsd", {"credit": {"gamma": 1.0}}),
    "a penalty that is paid where nothing is": ("gkd", {"weighting": {"kl": "k1", "kl_in": "reward", "beta": 0.1}}),
    "a scale of what nobody pays": ("gkd", {"rewards": {"scale": "return"}}),
    "a group's mean beside a distance": ("grpo", {"rewards": {"teacher": "model", "teacher_pays": "all"}}),
    **{
        f"scaled rewards that {name} divides again": (name, {"rewards": {"scale": "return"}})
        for name in ("grpo", "gspo", "dapo", "max_rl", "reinforce_pp")
    },
    "scaled rewards that are whitened": ("rloo", {"credit": {"whiten": "steps"}, "rewards": {"scale": "return"}}),
    "scaled rewards over the deviation of a turn": (
        "grpo",
        {"credit": {"granularity": "turn", "gamma": 0.9}, "rewards": {"scale": "return"}},
    ),
    **{
        f"a weight that {name} divides again": (name, {"rewards": {"model": 5.0, "world": 0.0}})
        for name in ("grpo", "max_rl", "reinforce_pp", "rejection_sampling", "ppo")
    },
    "z-scores that are divided again": ("grpo", {"rewards": {"model": 1.0, "world": 0.0, "model_scale": "batch"}}),
    "z-scores of an order": ("best_of_k", {"rewards": {"model": 1.0, "world": 0.0, "model_scale": "batch"}}),
}


@pytest.mark.parametrize("name", IDLE)
def test_a_constant_that_would_have_no_effect_is_refused(name: str) -> None:
    row, overrides = IDLE[name]
    with pytest.raises(UserError, match="would have no effect"):
        method(row, overrides)


EXCLUDING = {
    "terms at another granularity": ("gdpo", {"credit": {"granularity": "turn"}}, "write granularity: trajectory"),
    "a verdict of nothing": ("nsr", {"credit": {"wrong": 0.0}}, "give one of them above 0"),
    "the geometric mean of a mean": ("gmpo", {"weighting": {"ratio": "sequence"}}, "write ratio: unit"),
    "a sequence's one mean for each of its units": (
        "gmpo",
        {"update": {"aggregation": "unit_mean"}},
        "write aggregation: sequence_mean",
    ),
    "the best unit": ("best_of_k", {"credit": {"granularity": "unit"}}, "write granularity: trajectory"),
    "pairs of units": ("online_dpo", {"credit": {"granularity": "unit"}}, "write granularity: trajectory"),
    "a pair loss of returns": ("rloo", {"preference": {"kind": "dpo"}}, "write credit: {transform: best_worst}"),
    "a mean over the units of pairs": (
        "dpo",
        {"update": {"aggregation": "sequence_mean"}},
        "write aggregation: sequence_sum",
    ),
    "a band that is empty": (
        "grpo",
        {"weighting": {"correction": 0.5, "correction_kind": "band"}},
        "give a correction above 1",
    ),
    "a ratio on the old policy's own samples": ("ppo_kl", {"weighting": {"kl_ratio": True}}, "write kl_ratio: false"),
    **{
        f"{name} by a return less its KL": (
            name,
            {"weighting": {"kl": "k1", "kl_in": "reward", "beta": 0.1}},
            "would be by R − β·Σ k1, not by what was earned; write kl_in: loss",
        )
        for name in ("psr", "nsr", "w_reinforce", "best_of_k", "rejection_sampling")
    },
}


@pytest.mark.parametrize("name", EXCLUDING)
def test_constants_that_exclude_each_other_are_refused_with_what_would_fit(name: str) -> None:
    row, overrides, fits = EXCLUDING[name]
    with pytest.raises(UserError, match=re.escape(fits)):
        method(row, overrides)


LEARN_FROM_OTHERS = ("sft", "dft", "reinforce", "psr", "w_reinforce")


@pytest.mark.parametrize("name", METHODS)
def test_what_compares_learns_from_no_demonstrations(name: str) -> None:
    if name in LEARN_FROM_OTHERS:
        assert method(name, {"source": "demonstrations"})
        return
    with pytest.raises(WrongKey, match=r"source is 'demonstrations', and .*; sft imitates them") as problem:
        method(name, {"source": "demonstrations"})
    assert problem.value.path == ("source",)


@pytest.mark.parametrize("name", LEARN_FROM_OTHERS)
def test_what_learns_from_demonstrations_that_are_all_right_moves(name: str) -> None:
    row, policy = method(name, {"source": "demonstrations"}), TabularPolicy(0)
    batch = random_batch(0)
    batch = replace(batch, reward_B_T=1.0 * batch.end_B_T)
    Learner(policy, row, OptimizerSettings(), seed=0).update(batch)
    assert policy.logits.grad is not None
    assert policy.logits.grad.abs().max() > 1e-3


@pytest.mark.parametrize(
    "written",
    [{"transform": "advantage", "baseline": "group_mean"}, {"transform": "advantage", "whiten": "batch"}],
    ids=str,
)
def test_imitation_that_is_made_to_compare_is_refused(written: dict[str, object]) -> None:
    with pytest.raises(WrongKey, match="all earned the same, and nothing is learned"):
        method("sft", {"credit": written})


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("dapo", {"rewards": {"overlong_share": None, "overlong_buffer": 5}}),
        ("ppo_kl", {"weighting": {"kl_target": None, "kl": "k1"}}),
        ("vespo", {"weighting": {"kernel_up_k": 1.0}}),
        ("dpo", {"preference": {"beta": 0.3, "label_smoothing": 0.1}, "update": {"epochs": 3}}),
        ("online_dpo", {"preference": {"kind": "dpop", "dpop_lambda": 5.0}}),
        ("w_reinforce", {"credit": {"right": 0.2, "threshold": 1.0}}),
        ("grpo", {"weighting": {"kl": "k3", "beta": 0.04, "kl_ratio": True}}),
        ("grpo", {"credit": {"granularity": "turn", "gamma": 0.9}}),
        ("grpo", {"credit": {"baseline": None, "scale": None}}),
        ("reinforce", {"weighting": {"ratio": "unit", "clip_low": 0.2, "clip_high": 0.2}}),
        ("ppo", {"update": {"value_clip": 0.2}, "credit": {"gamma": 0.98, "lam": 1.0}}),
        ("dr_grpo", {"update": {"length": 40}}),
        ("rejection_sampling", {"rewards": {"scale": "return", "clip": 2.0}}),
        ("gdpo", {"rewards": {"model": 1.0, "world": 0.0}}),
        ("grpo", {"rewards": {"scale": "return", "clip": 2.0}}),
        ("grpo", {"rewards": {"scale": "return"}, "credit": {"eps": 1.0}}),
        ("rloo", {"rewards": {"scale": "return"}}),
        ("ppo", {"rewards": {"clip": None}}),
        ("w_reinforce", {"rewards": {"scale": "return"}, "credit": {"whiten": "batch"}}),
        ("grpo", {"rewards": {"model": 5.0}}),
        ("grpo", {"rewards": {"model": 5.0, "world": 0.0, "overlong_share": 0.5}}),
        ("best_of_k", {"rewards": {"model": 5.0, "world": 0.0, "overlong_buffer": 5}}),
        ("rlhf_ppo", {"rewards": {"model": 5.0}}),
        ("rloo", {"rewards": {"model": 5.0, "world": 0.0}}),
        ("max_rl", {"rewards": {"model": 1.0, "world": 0.0, "model_scale": "batch"}}),
        ("online_dpo", {"rewards": {"model": 2.0}}),
        ("online_dpo", {"rewards": {"model": 1.0, "world": 0.0, "model_clip": 2.0, "model_scale": "batch"}}),
        ("rloo", {"weighting": {"kl": "k1", "kl_in": "reward", "beta": 0.05}}),
        ("nsr", {"weighting": {"ratio": "unit", "clip_low": 0.2, "stale_sequence": 0.5}}),
        ("psr", {"weighting": {"ratio": "unit", "clip_high": 0.2}}),
        ("psr", {"credit": {"whiten": "batch"}, "weighting": {"ratio": "unit", "clip_low": 0.2, "clip_high": 0.2}}),
        ("gspo", {"weighting": {"stale_sequence": 0.5, "correction": 2.0}}),
        ("gspo", {"weighting": {"stale_sequence": 0.05, "clip_low": 0.1}}),
        ("echo", {"update": {"observation_coefficient": 1.0}}),
        ("sft", {"update": {"epochs": 3}}),
        ("rlhf_ppo", {"rewards": {"model_at": "turn"}}),
        ("dft", {"weighting": {"ratio": "product", "clip_high": 1.0}}),
        ("grpo", {"update": {"imitation_coefficient": 0.1}}),
        ("on_policy_distillation", {"rewards": {"teacher_pays": "all"}}),
        ("gkd", {"weighting": {"kl": "k3", "beta": 0.1}, "update": {"aggregation": "sequence_mean"}}),
    ],
)
def test_constants_that_do_something_beside_each_other_are_taken(name: str, overrides: dict[str, Any]) -> None:
    assert method(name, overrides)


def test_no_row_of_the_table_has_an_idle_constant() -> None:
    for name in METHODS:
        method(name)
