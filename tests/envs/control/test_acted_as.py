"""The units of actions: what is between two bounds is drawn all over, whatever they are, and it is said."""

import re

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from peripatos.envs.control.acted_as import acted_as, units_of
from peripatos.envs.control.flat_spaces import Actions
from peripatos.envs.world_source import WorldSource

LARGEST = float(np.finfo(np.float32).max)


def box(low: list[float], high: list[float], kind: type = np.float32) -> Box:
    return Box(np.array(low, kind), np.array(high, kind), dtype=kind)


@pytest.mark.parametrize(
    ("space", "middle", "half"),
    [
        (box([-500, 10], [500, 20]), [0, 15], [500, 5]),
        (box([1e-3, -2], [2e-3, 2]), [1.5e-3, 0], [5e-4, 2]),
        (box([10, -np.inf], [np.inf, -5]), [10, -5], [1, 1]),
        (box([-500, -np.inf, 3], [np.inf, np.inf, 3]), [0, 0, 3], [1, 1, 1]),
        (box([-LARGEST, -1], [LARGEST, 3]), [0, 1], [1, 2]),
        (Box(0, 100_000, (1,), np.int64), [50_000], [50_000]),
        (Dict({"a": Discrete(3), "b": box([4], [6], np.float64)}), [5], [1]),
    ],
)
def test_the_units_of_a_number_are_those_of_its_bounds(space, middle, half) -> None:
    units = units_of(Actions(space).stored)
    assert units is not None
    assert units.middle.dtype == units.half.dtype == np.float32
    assert units.middle == pytest.approx(middle)
    assert units.half == pytest.approx(half)


@pytest.mark.parametrize(
    "space",
    [
        box([-1, -np.inf], [1, np.inf]),
        Discrete(3),
        Box(-2, 3, (2,), np.int64),
        Box(-(2**63), 2**63 - 1, (1,), np.int64),
    ],
)
def test_units_of_one_are_the_worlds_own(space) -> None:
    assert units_of(Actions(space).stored) is None


@pytest.mark.parametrize(
    ("space", "says"),
    [
        (box([-1e38], [1e38]), "numbers without bounds, around 0; .* count as none, and these are: -1e\\+38, 1e\\+38$"),
        (box([-LARGEST], [1]), "numbers without a lower bound, around 0; .*these are: -3.40282e\\+38$"),
        (box([-1e300, -1], [1e300, 1], np.float64), "without bounds, around 0; .*these are: -1e\\+300, 1e\\+300$"),
        (
            Dict({"a": box([-1e300], [1e300], np.float64), "b": Discrete(2)}),
            "these are: -3.40282e\\+38, 3.40282e\\+38$",
        ),
        (Box(-(2**63), 2**63 - 1, (1,), np.int64), "these are: -9.22337e\\+18, 9.22337e\\+18$"),
    ],
)
def test_bounds_beyond_all_that_anybody_acts_between_are_said_to_count_as_none(space, says) -> None:
    with np.errstate(all="raise"):
        (said,) = acted_as("w", space)
    assert re.search(says, said)
    assert "Bounds from ±9e+15 on count as none" in said


def test_a_number_without_any_bound_is_said_to_have_none_and_nothing_more() -> None:
    (said,) = acted_as("w", box([-np.inf], [np.inf]))
    assert said.endswith("two bounds each, and all between them is tried")


def test_units_that_are_not_the_worlds_own_are_said() -> None:
    assert acted_as("w", Box(-1, 1, (3,))) == acted_as("w", Discrete(3)) == ()
    assert acted_as("w", box([-500, -500, 10], [500, 500, 20])) == (
        "'w': -1 to 1 of an agent that learns is -500 to 500, 10 to 20 in the world's actions",
    )
    many = acted_as("w", box([0, 0, 0, 0, 0], [1, 2, 3, 4, 5]))
    assert many == (
        "'w': -1 to 1 of an agent that learns is 0 to 1, 0 to 2, 0 to 3 and 2 others in the world's actions",
    )
    open_ends = acted_as("w", box([10, -np.inf, -np.inf], [np.inf, np.inf, -3]))
    assert len(open_ends) == 1
    for words in ("without an upper bound, around 10", "without bounds, around 0", "without a lower bound, around -3"):
        assert words in open_ends[0]
    with WorldSource("Pendulum-v1") as source:
        assert source.facts.remarks == (
            "'Pendulum-v1': -1 to 1 of an agent that learns is -2 to 2 in the world's actions",
        )
