"""The table of methods and how a user changes a constant in it."""

import re

import pytest

from peripatos.algorithms.methods import METHODS, method, method_table
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
        ("ppo", {"credit": {"gamma": 1.5}}, "less than or equal to 1, got 1.5"),
        ("ppo", {"update": {"epochs": -1}}, "greater than or equal to 1, got -1"),
        ("ppo", {"weighting": {"clip_low": -0.1}}, "clip_low"),
        ("ppo", {"credit": 3}, "must be a mapping"),
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
