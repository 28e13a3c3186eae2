"""The table of methods and how a user changes a constant in it."""

import re
from typing import Any

import pytest

from peripatos.algorithms.method_words import method_table
from peripatos.algorithms.methods import METHODS, method
from peripatos.envs.errors import UserError


def test_the_table_says_every_constant_that_frameworks_disagree_on() -> None:
    rows = {row["method"]: row for row in method_table()}
    assert set(rows) == set(METHODS)
    assert rows["grpo"]["scale"] == "std (ddof 1) + 1e-06"
    assert rows["grpo"]["clip"] == "1 − 0.2 … 1 + 0.2"
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


IDLE = {
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
    "a ratio to a demonstrator": ("sft", {"weighting": {"ratio": "unit"}}),
    "a level of no correction": ("grpo", {"weighting": {"correction_level": "sequence"}}),
    "a kind of no correction": ("ppo", {"weighting": {"correction_kind": "mask"}}),
    "a correction to a demonstrator": ("sft", {"weighting": {"correction": 2.0}}),
}


@pytest.mark.parametrize("name", IDLE)
def test_a_constant_that_would_have_no_effect_is_refused(name: str) -> None:
    row, overrides = IDLE[name]
    with pytest.raises(UserError, match="would have no effect"):
        method(row, overrides)


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("grpo", {"weighting": {"kl": "k3", "beta": 0.04, "kl_ratio": True}}),
        ("grpo", {"credit": {"granularity": "turn", "gamma": 0.9}}),
        ("grpo", {"credit": {"baseline": None, "scale": None}}),
        ("reinforce", {"weighting": {"ratio": "unit", "clip_low": 0.2, "clip_high": 0.2}}),
        ("ppo", {"update": {"value_clip": 0.2}, "credit": {"gamma": 0.98, "lam": 1.0}}),
        ("dr_grpo", {"update": {"length": 40}}),
        ("sft", {"update": {"epochs": 3}}),
    ],
)
def test_constants_that_do_something_beside_each_other_are_taken(name: str, overrides: dict[str, Any]) -> None:
    assert method(name, overrides)


def test_no_row_of_the_table_has_an_idle_constant() -> None:
    for name in METHODS:
        method(name)
