"""Which bodies one network may live in: those in which every number that it sees and does is of the same kind."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple

from peripatos.envs.world_source import WorldSource
from peripatos.scenarios.assembly.several import check_alike
from peripatos.scenarios.config.loading import check_scenario
from peripatos.scenarios.config.mistakes import WrongPart
from peripatos.scenarios.config.yaml_text import Source

PAIR, BYTES = Box(-1, 1, (2,), np.float32), Box(0, 255, (6, 6, 3), np.uint8)
SEEN = {
    "pair": PAIR,
    "wider pair": Box(-9, 9, (2,), np.float64),
    "in a tuple": Tuple([Discrete(2)]),
    "choice": Discrete(2),
    "switches": MultiBinary(2),
    "two and three": MultiDiscrete([2, 3]),
    "three and two": MultiDiscrete([3, 2]),
    "a and b": Dict({"a": PAIR, "b": Discrete(2)}),
    "b and a": Dict({"b": PAIR, "a": Discrete(2)}),
    "a and b and words": Dict({"a": PAIR, "b": Discrete(2, start=4), "words": Text(9)}),
    "cam": Dict({"cam": BYTES, "v": PAIR}),
    "eye": Dict({"eye": BYTES, "v": PAIR}),
}
DONE = {
    "pushes": Dict({"left": Discrete(2), "right": Discrete(2)}),
    "pulls": Dict({"up": Discrete(2), "down": Discrete(2)}),
    "both": MultiDiscrete([2, 2]),
}


class World(gymnasium.Env[Any, Any]):
    def __init__(self, seen: str, done: str = "both") -> None:
        self.observation_space, self.action_space = SEEN[seen], DONE[done]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.observation_space.sample(), 0.0, True, False, {}


def check(one: dict[str, str], other: dict[str, str]) -> None:
    worlds = [{"name": name, "id": f"{__name__}:World", "options": how} for name, how in (("a", one), ("b", other))]
    stages = [{"name": "look"}]
    scenario = check_scenario(
        {"name": "two", "worlds": worlds, "agent": {"kind": "mlp"}, "stages": stages}, Source("two")
    )
    check_alike(scenario, [WorldSource(f"{__name__}:World", how) for how in (one, other)])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"seen": "pair"}, {"seen": "in a tuple"}),
        ({"seen": "pair"}, {"seen": "choice"}),
        ({"seen": "choice"}, {"seen": "switches"}),
        ({"seen": "two and three"}, {"seen": "three and two"}),
        ({"seen": "a and b"}, {"seen": "b and a"}),
        ({"seen": "cam"}, {"seen": "eye"}),
        ({"seen": "pair", "done": "pushes"}, {"seen": "pair", "done": "pulls"}),
        ({"seen": "pair", "done": "pushes"}, {"seen": "pair", "done": "both"}),
    ],
)
def test_numbers_that_are_as_many_but_not_the_same_are_refused_with_both_spaces(
    one: dict[str, str], other: dict[str, str]
) -> None:
    with pytest.raises(WrongPart, match="one network acts in worlds with equal spaces") as problem:
        check(one, other)
    for space in (SEEN[one["seen"]], SEEN[other["seen"]]):
        assert str(space) in str(problem.value)
    assert problem.value.place == ("worlds", 1, "id")


@pytest.mark.parametrize(("one", "other"), [("pair", "wider pair"), ("a and b", "a and b and words"), ("cam", "cam")])
def test_other_bounds_and_what_nobody_sees_make_no_difference(one: str, other: str) -> None:
    check({"seen": one}, {"seen": other})
