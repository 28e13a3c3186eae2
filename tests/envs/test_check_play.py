"""What `check` says of an observation is what a run says: it costs the episode in both, or is named in both."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Text

from peripatos.envs.check import check_world
from peripatos.envs.control.world_batch import ListOfWorlds
from peripatos.envs.first_episodes import noticed


class Gives(gymnasium.Env[Any, Any]):
    """Observes one thing, whatever is done."""

    action_space = Discrete(2)

    def __init__(self, space: gymnasium.Space[Any], seen: Any) -> None:
        self.observation_space, self.seen = space, seen

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self.seen, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.seen, 1.0, True, False, {}


PAIR, WIDE = Box(-1.0, 1.0, (2,), np.float32), Box(-np.inf, np.inf, (2,), np.float64)
PARTS = Dict({"at": PAIR, "room": Discrete(3), "told": Text(4)})
AT = np.zeros(2, np.float32)
FINE = [(PAIR, AT), (PAIR, [0.5, 0.25]), (PAIR, (0.5, 0.25)), (PAIR, np.array([True, False])), (WIDE, AT)]
NAMED = [
    (PAIR, np.array([0.5, 0.25]), "it observed numbers of type float64; its space says Box(-1.0, 1.0, (2,), float32)"),
    (PAIR, np.array([0, 1]), "it observed numbers of type int64; its space says"),
    (PAIR, np.array([0, 5], np.float32), "it observed 5 at (1,), beyond its bounds -1 and 1; its space says"),
    (PAIR, np.array([0, 5]), "it observed numbers of type int64; its space says"),
    (Box(0, 9, (1,), np.int64), np.array([0.5]), "it observed numbers of type float64; its space says"),
    (
        PARTS,
        {"at": np.zeros(2), "room": 1, "told": "ab"},
        "it observed numbers of type float64 at 'at'; its space says",
    ),
    (PARTS, {"at": AT, "room": 1, "told": "much too long"}, "it observed 'much too long' at 'told'; its space says"),
    (PARTS, {"at": AT, "room": 1, "told": "ab", "more": 1}, "which has other parts than its space Dict("),
]
REFUSED = [
    (PAIR, np.zeros(3, np.float32), "it observed shape (3,); its space says (2,)"),
    (PAIR, np.zeros((2, 1), np.float32), "it observed shape (2, 1); its space says (2,)"),
    (PAIR, np.float32(0), "it observed shape (); its space says (2,)"),
    (PAIR, np.array([np.nan, 0], np.float32), "not finite, or does not fit into float32: nan at (0,)"),
    (WIDE, np.array([0, np.inf]), "not finite, or does not fit into float32: inf at (1,)"),
    (WIDE, np.array([0, 1e300]), "not finite, or does not fit into float32: 1e+300 at (1,)"),
    (PAIR, "seen", "an array of numbers is needed"),
    (PAIR, None, "an array of numbers is needed"),
    (PAIR, np.array([0.5, 0.25], object), "an array of numbers is needed"),
    (PAIR, np.array([0.5, 1j]), "an array of numbers is needed"),
    (PARTS, {"at": AT, "room": 3, "told": "ab"}, "it observed 3 at 'room', which is not in Discrete(3)"),
    (PARTS, {"at": AT, "told": "ab"}, "there is nothing at 'room'"),
]


def checked(world: Gives) -> str:
    findings = {finding.check: finding for finding in check_world(world)}
    found = findings["observations are in the declared space"]
    assert found.passed == (not found.detail)
    return found.detail.removeprefix("seed 0, after 0 steps: ")


def ran(world: Gives) -> str:
    """Why a run's episode fails."""
    worlds = ListOfWorlds("w", 1, lambda: world)
    worlds.reset(np.array([0]), [0])
    result = worlds.step(np.array([0]), np.array([0]))
    worlds.close()
    return result.failure.get(0, "").removeprefix("w: ")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("space", "seen"), FINE)
def test_what_fits_its_space_is_said_by_neither(space: gymnasium.Space[Any], seen: Any) -> None:
    assert (checked(Gives(space, seen)), ran(Gives(space, seen)), noticed("w", Gives(space, seen))) == ("", "", ())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("space", "seen", "words"), NAMED)
def test_what_an_agent_sees_though_its_space_says_otherwise_is_named_by_both(space: Any, seen: Any, words: str) -> None:
    said = checked(Gives(space, seen))
    assert words in said
    assert ran(Gives(space, seen)) == ""
    assert noticed("w", Gives(space, seen)) == (
        f"'w': {said}. Agents see it in float32 all the same, and `peripatos check` refuses it",
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("space", "seen", "words"), REFUSED)
def test_what_no_agent_can_see_costs_the_episode_in_the_words_of_check(space: Any, seen: Any, words: str) -> None:
    said = checked(Gives(space, seen))
    assert words in said
    assert ran(Gives(space, seen)) == said
