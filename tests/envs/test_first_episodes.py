"""What a few resets tell of a world before it is played, and what they leave alone."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete

from peripatos.envs import first_episodes
from peripatos.envs.conversation import ConversationEnv, Outcome
from peripatos.envs.first_episodes import noticed
from peripatos.envs.registry import make_world
from peripatos.envs.world_source import WorldSource


class Body(gymnasium.Env[Any, Any]):
    """Chance of Gymnasium's own; those below differ in one thing."""

    observation_space, action_space = Box(-9, 9, (1,), np.float32), Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self.first(), {}

    def first(self) -> Any:
        return self.np_random.normal(size=1).astype(np.float32)


class OwnChance(Body):
    def first(self) -> Any:
        return np.random.default_rng().normal(size=1).astype(np.float32)


class OwnChanceInside(Body):
    observation_space = Dict({"a": Box(-9, 9, (1,)), "b": MultiDiscrete([1000] * 4)})

    def first(self) -> Any:
        return {"a": np.zeros(1, np.float32), "b": np.random.default_rng().integers(1000, size=4)}


class NoChance(Body):
    def first(self) -> Any:
        return np.zeros(1, np.float32)


class Deaf(NoChance):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return self.first(), {}


class OwnGenerator(Body):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return np.random.default_rng(seed).normal(size=1).astype(np.float32), {}


class Reused(Body):
    """Gives one array, which it changes."""

    seen = np.zeros(1, np.float32)

    def first(self) -> Any:
        self.seen[:] = super().first()
        return self.seen


class Moves(Body):
    def first(self) -> Any:
        os.chdir(tempfile.gettempdir())
        return super().first()


class FailsLater(Body):
    begun = 0

    def first(self) -> Any:
        self.begun += 1
        if self.begun > 1:
            raise OSError("no port")
        return super().first()


class Slow(OwnChance):
    def first(self) -> Any:
        time.sleep(0.6)
        return super().first()


class Talk(ConversationEnv):
    max_turns = 1

    def opening(self, rng: np.random.Generator, split: str) -> str:
        return f"Say {rng.integers(2**60)}."

    def respond(self, reply: Any) -> Outcome:
        return Outcome(terms={}, terminated=True)


class TalkByChance(Talk):
    def opening(self, rng: np.random.Generator, split: str) -> str:
        return super().opening(np.random.default_rng(), split)


SAID = {
    OwnChance: "two resets with one seed began differently",
    OwnChanceInside: "two resets with one seed began differently",
    TalkByChance: "two resets with one seed began differently",
    Deaf: "every seed begins the same episode, and none is handed to super().reset(seed=seed)",
    Moves: "it changes the current folder, for whoever runs it",
}


@pytest.mark.parametrize(
    "kind", [*SAID, Body, NoChance, OwnGenerator, Reused, FailsLater, Slow, Talk], ids=lambda kind: kind.__name__
)
def test_chance_that_is_not_the_seeds_and_a_changed_folder_are_noticed(
    kind: type[gymnasium.Env[Any, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind is not Slow:  # for any may be paused
        monkeypatch.setattr(first_episodes, "_QUICK", 60.0)
    here = Path.cwd()
    said = noticed(kind.__name__, kind())
    assert [one.partition(": ")[0] for one in said] == [repr(kind.__name__)] * (kind in SAID)
    assert SAID.get(kind, "") in "".join(said)
    assert Path.cwd() == here


@pytest.mark.parametrize("name", ["FrozenLake-v1", "CartPole-v1", "Blackjack-v1", "peripatos/CartpoleSwingup-v0"])
def test_worlds_that_hear_their_seeds_are_noticed_for_nothing(name: str) -> None:
    with make_world(name) as world:
        assert noticed(name, world) == ()


def test_a_constructor_that_changes_the_folder_is_noticed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "moves_when_made.py").write_text(
        "import os, gymnasium\nfrom gymnasium.envs.classic_control import CartPoleEnv\n"
        "class Cart(CartPoleEnv):\n    def __init__(self):\n        super().__init__()\n        os.chdir('/')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with WorldSource("moves_when_made:Cart") as source:
        source.rehearse(["train"], seconds=60)
        assert source.noticed == ("'moves_when_made:Cart': it changes the current folder, for whoever runs it",)
    assert Path.cwd() == tmp_path
