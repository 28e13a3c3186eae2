"""What a world observes later than its reset, and its space does not allow, is told once, by a run too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from peripatos.envs.check_play import seen_amiss
from peripatos.envs.control.flat_spaces import Observations
from peripatos.envs.control.seen_later import SeenLater
from peripatos.envs.control.worker_worlds import WorkerWorlds
from peripatos.envs.control.world_batch import ListOfWorlds
from peripatos.envs.first_episodes import noticed
from peripatos.envs.world_source import WorldSource

PAIR = Box(-1.0, 1.0, (2,), np.float32)
ZERO = np.zeros(2, np.float32)
GRID = Dict({"grid": Box(0.0, 9.0, (2, 2), np.float32), "at": PAIR, "room": Discrete(3)})
WORLD = """\
import gymnasium, numpy as np
from gymnasium.spaces import Box, Discrete

class World(gymnasium.Env):
    observation_space, action_space = Box(-1.0, 1.0, (2,), np.float32), Discrete(2)

    def __init__(self, wrong):
        self.wrong = {"beyond": np.array([0, 5], np.float32), "type": np.zeros(2), "shape": np.zeros(3, np.float32),
                      "nan": np.array([0, np.nan], np.float32)}[wrong]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 5
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.left -= 1
        return np.zeros(2, np.float32) if self.left else self.wrong, 1.0, self.left == 0, False, {}
"""
TOLD = {
    "beyond": "it observed 5 at (1,), beyond its bounds -1 and 1; its space says Box(-1.0, 1.0, (2,), float32)",
    "type": "it observed numbers of type float64; its space says Box(-1.0, 1.0, (2,), float32)",
}


class Observes(gymnasium.Env[Any, Any]):
    """Begins at what is right, and observes `later` at its steps."""

    action_space = Discrete(2)

    def __init__(self, space: gymnasium.Space[Any], first: Any, later: list[Any]) -> None:
        self.observation_space, self.first, self.later = space, first, later

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.given = iter(self.later)
        return self.first, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return next(self.given), 0.0, False, False, {}


def told(space: gymnasium.Space[Any], first: Any, later: list[Any], n: int = 2) -> list[tuple[int, str]]:
    """At which steps something is told, and what."""
    worlds = ListOfWorlds("w", n, lambda: Observes(space, first, later))
    ids = np.arange(n)
    worlds.reset(ids, [0] * n)
    said = [worlds.step(ids, np.zeros(n, int)).misfit for _ in later]
    worlds.close()
    return [(step, words) for step, words in enumerate(said, start=1) if words is not None]


@pytest.mark.parametrize("at", [1, 2, 7, 250])
def test_a_number_beyond_its_bounds_is_told_at_its_step_and_once(at: int) -> None:
    later = [ZERO] * (at - 1) + [np.array([0, -3], np.float32)] * 3
    words = "it observed -3 at (1,), beyond its bounds -1 and 1; its space says Box(-1.0, 1.0, (2,), float32)"
    assert told(PAIR, ZERO, later) == [(at, words)]


def test_what_lasts_is_told_soon_in_a_long_run_and_of_another_type_at_the_first_step() -> None:
    out = np.array([0, 2], np.float32)
    ((step, _),) = told(PAIR, ZERO, [ZERO] * 300 + [out] * 40, n=1)
    assert 300 < step <= 320
    assert told(PAIR, ZERO, [np.zeros(2)] * 3) == [(1, TOLD["type"])]


def test_the_part_of_a_nested_observation_is_named_and_choices_have_no_bounds() -> None:
    first = {"grid": np.ones((2, 2), np.float32), "at": ZERO, "room": 1}
    wrong = {**first, "grid": np.array([[1, 2], [12, 4]], np.float32)}
    ((_, words),) = told(GRID, first, [first, wrong])
    assert words.startswith(
        "it observed 12 at (1, 0), beyond its bounds 0 and 9 at 'grid'; its space says Box(0.0, 9.0"
    )
    assert words == f"{Observations(GRID).misfit(wrong)}"
    assert told(GRID, first, [{**first, "room": 2}] * 3) == []


def test_nothing_is_told_of_what_was_amiss_at_the_reset_nor_of_what_has_no_bounds_nor_of_a_failed_step() -> None:
    out = np.array([0, 2], np.float32)
    assert told(PAIR, out, [out] * 3) == []
    wide = Box(-np.inf, np.inf, (2,), np.float32)
    assert told(wide, ZERO, [np.array([3e38, -3e38], np.float32)] * 3) == []
    ones = Box(1.0, 2.0, (2,), np.float32)  # in which the zeros of a failure are not
    fine = np.ones(2, np.float32)
    assert told(ones, fine, [fine, np.full(2, np.nan, np.float32), fine]) == []


def test_a_bound_that_is_too_large_for_float32_bounds_nothing() -> None:
    later = SeenLater(Observations(Box(-1e300, 1e300, (2,), np.float64)))
    assert later.look(np.full((3, 2), 3e38, np.float32), np.full(2, 3e38)) is None


CLOCK = Box(0, 2**40, (2,), np.int64)


@pytest.mark.parametrize(
    ("space", "value", "words"),
    [
        (CLOCK, np.array([7, 1764270001]), "1764270001 at (1,), of which float32 keeps steps of 128, so that"),
        (CLOCK, np.array([7, 2**24 + 1]), "16777217 at (1,), of which float32 keeps steps of 2,"),
        (CLOCK, np.array([7, 2**24 + 2]), None),
        (Box(-(2**31), 0, (2,), np.int32), np.array([-(2**25) - 1, 0], np.int32), "-33554433 at (0,), of which"),
        (Box(0, np.inf, (2,), np.float64), np.array([0.1, 1764270001.0]), "1764270001.0 at (1,), of which float32"),
        (Box(0, np.inf, (2,), np.float64), np.array([0.1, 3e7 + 0.3]), None),  # of a measure the first digits tell
        (Box(0, np.inf, (2,), np.float64), np.array([0.1, 1e30]), None),
        (Dict({"t": CLOCK, "x": PAIR}), {"t": np.array([0, 2**30 + 1]), "x": ZERO}, "1073741825 at (1,) at 't', of"),
    ],
)
def test_a_whole_number_that_float32_makes_another_is_told(space: Any, value: Any, words: str | None) -> None:
    small = {"t": np.zeros(2, np.int64), "x": ZERO} if isinstance(space, Dict) else np.zeros(2, space.dtype)
    said = [(2, f"it observed {words}")] if words else []
    found = told(space, small, [small, value])
    assert [(step, text[: len(said[0][1])]) for step, text in found] == said
    assert told(space, value, [value] * 2) == []  # a rehearsal has said so
    world = Observes(space, value, [])
    assert [one for one in noticed("W", world) if "float32 keeps steps" in one] == [
        one for one in noticed("W", world) if words and words in one
    ]
    assert bool(seen_amiss(world, value)) is (words is not None)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "observes_later.py").write_text(WORLD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_worlds_in_processes_tell_it_too(home: Path) -> None:
    worlds = WorkerWorlds(WorldSource("observes_later:World", {"wrong": "beyond"}), 2, 1)
    ids = np.arange(2)
    worlds.reset(ids, [0, 1])
    said = [worlds.step(ids, np.zeros(2, int)).misfit for _ in range(5)]
    worlds.close()
    assert said == [None, None, None, None, TOLD["beyond"]]
