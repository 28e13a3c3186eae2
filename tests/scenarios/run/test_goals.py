"""Goals are checked by their names before the first episode."""

from __future__ import annotations

import pytest

from peripatos.envs.errors import UserError
from peripatos.scenarios.run.episode_statistics import check_goals, summarize


def test_every_column_of_an_evaluation_may_be_a_goal() -> None:
    columns = [name for name in summarize([]) if not name.startswith("success")]
    check_goals(dict.fromkeys(columns, 1.0), [])
    check_goals(
        {"success_rate": 1.0, "world/gait/speed_mean": 1.0, "maths/world/steps_mean": 2.0, "maths/success_rate": 0.5},
        ["maths", "store"],
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("sucess_rate", "success_rate"),
        ("return_meen", "return_mean"),
        ("math/success_rate", "maths/success_rate"),
    ],
)
def test_a_goal_that_no_evaluation_has_is_answered_with_the_nearest(name: str, meant: str) -> None:
    with pytest.raises(UserError, match=f"stop.{name}: .*Did you mean '{meant}'"):
        check_goals({name: 1.0}, ["maths"])
