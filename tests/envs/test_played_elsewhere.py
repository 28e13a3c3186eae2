"""Episodes in another process are the same where they depend on their seed alone, and are told from others."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from peripatos.envs.check_play import Broken, identical, play_together
from peripatos.envs.played_elsewhere import NotThere, digests, played_elsewhere
from peripatos.envs.world_source import WorldSource

WORLD = '''\
import gymnasium, numpy as np, os, time
from gymnasium.spaces import Box, Discrete

AT = time.time_ns()

class World(gymnasium.Env):
    """What is seen depends on `of`; `main` is the process that is expected to see it."""
    observation_space, action_space = Box(-np.inf, np.inf, (2,), np.float64), Discrete(2)

    def __init__(self, of, main):
        if of == "absent" and os.getpid() != main:
            raise ValueError("one process has the licence")
        self.of, self.main = of, main
        self.made = {"number": os.getpid(), "import": AT, "hash": hash("peripatos"),
                     "order": int("".join(str(len(x)) for x in {"a", "bb", "ccc", "dddd", "eeeee"}))}.get(of, 0)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 4
        return self.seen(), {}

    def seen(self):
        return np.array([self.np_random.normal(), self.made], np.float64)

    def step(self, action):
        if os.getpid() != self.main:
            if self.of == "raises": raise ValueError("only at home")
            if self.of == "dies": os.kill(os.getpid(), 9)
            if self.of == "exits": os._exit(3)
            if self.of == "hangs": time.sleep(60)
        self.left -= 1
        info = {"metrics": {"far": float(self.np_random.normal())}, "other": os.getpid()}
        return self.seen(), float(action), self.left == 0, False, info
'''


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> WorldSource:
    (tmp_path / "of_a_process.py").write_text(WORLD)
    monkeypatch.syspath_prepend(str(tmp_path))
    return WorldSource("of_a_process:World", {"of": request.param, "main": os.getpid()})


def here(source: WorldSource) -> list[list[str]]:
    world = source.make()
    return [digests(play_together([(world, seed, seed)])[0]) for seed in range(2)]


@pytest.mark.parametrize("source", ["seed"], indirect=True)
def test_what_depends_on_its_seed_alone_is_the_same_there(source: WorldSource) -> None:
    assert played_elsewhere(source, range(2), seconds=10) == here(source)


@pytest.mark.parametrize("source", ["number", "import", "hash", "order"], indirect=True)
def test_what_depends_on_the_process_is_not(source: WorldSource, monkeypatch: pytest.MonkeyPatch) -> None:
    there, ours = played_elsewhere(source, range(2), seconds=10), here(source)
    # of a set of five texts, two hash seeds may happen to give one order: then a third one does not
    if there == ours:
        monkeypatch.setenv("PYTHONHASHSEED", "1")
        there = played_elsewhere(source, range(2), seconds=10)
    assert [len(one) for one in there] == [len(one) for one in ours]
    assert there != ours


@pytest.mark.parametrize(
    ("source", "kind", "words"),
    [
        ("absent", NotThere, "cannot be made: ValueError: one process has the licence"),
        ("raises", Broken, "fails in another process: ValueError: only at home"),
        ("dies", Broken, "ends another process in which it is played, by SIGKILL"),
        ("exits", Broken, r"fails in another process: .*os\._exit\(3\)"),
    ],
    indirect=["source"],
)
def test_how_it_fails_there_is_told(source: WorldSource, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        played_elsewhere(source, range(2), seconds=10)


@pytest.mark.parametrize("source", ["hangs"], indirect=True)
def test_one_that_does_not_come_back_is_ended(source: WorldSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peripatos.envs.played_elsewhere._SECONDS", 3.0)
    with pytest.raises(Broken, match="has not come back in another process for 3 s"):
        played_elsewhere(source, range(2), seconds=0.0)


PAIRS = [
    (np.zeros(2), np.zeros(2, np.float32)),
    (np.zeros((1, 2)), np.zeros(2)),
    ({"a": 1, "b": [2.0, np.nan]}, {"b": [2.0, np.nan], "a": 1}),
    ((1, "x"), (1, "y")),
    (1.0, 1),
    (np.float64(0.5), np.float64(0.25)),
    (np.array([np.nan]), np.array([np.nan])),
]


@pytest.mark.parametrize(("one", "other"), [*PAIRS, *((one, one) for one, _ in PAIRS)])
def test_digests_are_equal_where_moments_are_identical(one: object, other: object) -> None:
    first, second = (digests((value, {}, [])) for value in (one, other))
    assert (first == second) == identical(one, other)


def test_an_object_of_somebody_is_known_by_what_it_holds_and_not_by_where_it_is() -> None:
    class Thing:
        def __init__(self, x: int) -> None:
            self.x = x

    assert digests((Thing(1), {}, [])) == digests((Thing(1), {}, []))
    assert digests((Thing(1), {}, [])) != digests((Thing(2), {}, []))
    assert digests(({"a", "b"}, {}, [])) == digests(({"b", "a"}, {}, []))
