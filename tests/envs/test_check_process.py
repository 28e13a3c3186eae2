"""What a run would stumble over is found by the checker, with the right reason."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from peripatos.envs.check import check_world
from peripatos.envs.conversation import ConversationEnv, Opening, Outcome

PROCESS, NUMBERS, INFO = "the process stays as it was", "rewards are finite, flags are bools", "info has the documented"


class Moves(gymnasium.Env[Any, Any]):
    """A sound world, but for what `act` gives or does in its second step."""

    observation_space, action_space = Box(-1, 1, (2,), np.float32), Discrete(2)

    def __init__(self, act: Callable[[], dict[str, Any] | None]) -> None:
        self.act = act

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.age = 0
        return self.np_random.uniform(-1, 1, 2).astype(np.float32), {}

    def step(self, action: Any) -> Any:
        self.age += 1
        given = (self.act() if self.age == 2 else None) or {}
        return np.zeros(2, np.float32), given.pop("reward", 1.0), self.age >= 4, False, given


class Talks(ConversationEnv):
    weights: ClassVar[dict[str, float]] = {"earned": 1.0}

    def __init__(self, role: str = "user", *, ends: bool = True, **given: Any) -> None:
        super().__init__()
        self.role, self.ends, self.given = role, ends, given

    def opening(self, rng: np.random.Generator, split: str) -> Opening:
        return Opening([{"role": self.role, "content": f"{split} {rng.integers(100)}"}])

    def respond(self, reply: Any) -> Outcome:
        return Outcome(terms={"earned": 1.0}, terminated=self.ends, **self.given)


def failed(world: gymnasium.Env[Any, Any]) -> dict[str, str]:
    return {finding.check: finding.detail for finding in check_world(world) if not finding.passed}


@pytest.mark.parametrize(
    ("act", "check", "says"),
    [
        (lambda: os.chdir("/"), PROCESS, "the current folder"),
        (lambda: sys.setrecursionlimit(900), PROCESS, "the recursion limit"),
        (lambda: {"reward": 1e300}, NUMBERS, "does not fit into float32"),
        (lambda: {"reward": "1.0"}, NUMBERS, "not a number"),
        (lambda: {"success": 0.5}, INFO, "neither true nor false"),
        (lambda: {"metrics": {"a": np.ones(3)}}, INFO, "not a number"),
        (lambda: {"reward_terms": [1.0]}, INFO, "no mapping"),
    ],
)
def test_a_control_world_that_a_run_would_stumble_over(act: Callable[[], Any], check: str, says: str) -> None:
    folder, limit, out = os.getcwd(), sys.getrecursionlimit(), sys.stdout  # noqa: PTH109
    found = failed(Moves(act))
    assert any(name.startswith(check) and says in detail for name, detail in found.items()), found
    assert (os.getcwd(), sys.getrecursionlimit(), sys.stdout) == (folder, limit, out)  # noqa: PTH109


def test_a_metric_of_nan_is_no_episode_that_differs() -> None:
    assert failed(Moves(lambda: {"metrics": {"speed": math.nan}})) == {}


@pytest.mark.parametrize(
    ("world", "says"),
    [
        (Talks("robot"), "is no chat message"),
        (Talks(ends=False), "nothing limits"),
        (Talks(success=0.5), "neither true nor false"),
        (Talks(stop_reason="because"), "unknown stop_reason"),
        (Talks(metrics={"a": "text"}), "not a number"),
    ],
    ids=["role", "endless", "success", "stop reason", "metric"],
)
def test_a_conversation_that_a_run_would_stumble_over(world: Talks, says: str) -> None:
    assert any(says in detail for detail in failed(world).values())


def test_a_bool_of_numpy_is_a_success() -> None:
    assert failed(Talks(success=np.bool_(True))) == {}
