"""A method that reads probabilities is refused wherever a part of an action is a real number, and only there."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Space, Tuple

from peripatos.algorithms.methods import METHODS
from peripatos.envs.errors import WrongKey
from peripatos.envs.world_source import WorldFacts
from peripatos.scenarios.assembly.method_fits import check_world_fits
from peripatos.scenarios.config.schema import Stage

REAL = Box(-1, 1, (2,), np.float32)
WHOLE = Box(0, 3, (2,), np.int64)  # a softmax for each
MANY = Box(-(10**6), 10**6, (1,), np.int64)  # drawn as real numbers, and rounded
SPACES = [
    (REAL, True),
    (Dict(turn=Discrete(2), push=REAL), True),
    (Tuple((Discrete(2), Dict(push=REAL))), True),
    (MANY, True),
    (WHOLE, False),
    (Dict(turn=Discrete(2), push=WHOLE), False),
    (Discrete(2), False),
]


@pytest.mark.parametrize("name", ["dft", "dppo"])
@pytest.mark.parametrize(("space", "has_densities"), SPACES, ids=[str(space) for space, _ in SPACES])
def test_what_reads_probabilities_is_refused_where_some_action_has_a_density(
    name: str, space: Space, has_densities: bool
) -> None:
    stage = Stage(name="learn", method=name, collect={"groups": 1}, budget={"updates": 1})  # pyright: ignore[reportArgumentType]
    facts = WorldFacts(kind="control", observation_space=REAL, action_space=space, longest_episode=9)
    if not has_densities:
        check_world_fits(stage, METHODS[name], facts)
        return
    with pytest.raises(WrongKey, match="densities"):
        check_world_fits(stage, METHODS[name], facts)
