"""Whether a world is the same among others as alone, where many are simulated at once.

Two of them, in states of their own, take the steps that each has taken by itself. Every number has to come back; it may
differ in its last digits, for a product of matrices is rounded by how many rows it has.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np

from ..check_play import Step, play, require
from ..time_limits import OWN_WRAPPERS, is_wrapped
from .flat_spaces import Actions
from .world_batch import BatchedWorld, StepResult

_SEEDS, _STEPS = (0, 1), 20  # what mixes worlds does so at once, and later contacts make much of a last digit
_RELATIVE, _LEAST = 1e-4, 1e-6


def checks_of_many(world: gym.Env[Any, Any]) -> dict[str, Callable[[gym.Env[Any, Any]], str]]:
    """What is asked of a world of which many are simulated at once, by name; nothing of others. It has begun no episode
    yet."""
    inside = world.unwrapped
    if not isinstance(inside, BatchedWorld) or is_wrapped(world, beyond=OWN_WRAPPERS):
        return {}
    return {"a world is the same among others": partial(same_among_others, ways=inside.own_ways())}


def same_among_others(world: gym.Env[Any, Any], ways: Sequence[str]) -> str:
    """A remark; Broken where a world differs among others. `ways` are those of `BatchedWorld.own_ways`."""
    inside = world.unwrapped
    assert isinstance(inside, BatchedWorld)
    if ways:
        return f"its worlds are stepped one by one, for {type(inside).__name__} has its own {', '.join(ways)}"
    alone = [play(inside, seed, action_seed=seed) for seed in _SEEDS]
    spaces = [copy.deepcopy(inside.action_space) for _ in _SEEDS]
    for space, seed in zip(spaces, _SEEDS, strict=True):
        space.seed(seed)
    ids, stored = np.arange(len(_SEEDS)), Actions(inside.action_space)
    worlds = inside.make_batch(len(_SEEDS), threads=1, max_episode_steps=None)
    try:
        for row, first in enumerate(worlds.reset(ids, _SEEDS)):
            _require_same(0, {"the observation": (alone[row][0], first)})
        for count in range(min(_STEPS, *(len(steps) for _, _, steps in alone))):
            result = worlds.step(ids, np.stack([stored.store(space.sample()) for space in spaces]))
            require(not result.failure, f"two at once: {next(iter(result.failure.values()), '')}")
            for row in range(len(ids)):
                _require_same(count + 1, dict(_numbers(alone[row][2][count], result, row)))
    finally:
        worlds.close()
    return ""


def _numbers(step: Step, result: StepResult, row: int) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """What a step tells alone and among others, by name."""
    yield "the observation", (step.observation, result.observation[row])
    named = (("reward_terms", "the reward term", result.terms), ("metrics", "the metric", result.metrics))
    for key, what, among in named:
        for name, value in step.info.get(key, {}).items():
            yield f"{what} {name!r}", (value, among[name][row])
    yield "the reward", (step.reward, result.reward[row])
    yield "terminated", (step.terminated, result.terminated[row])


def _require_same(count: int, numbers: Mapping[str, tuple[Any, Any]]) -> None:
    for name, (alone, among) in numbers.items():
        one, other = (np.ravel(np.asarray(value, np.float64)) for value in (alone, among))
        apart = np.flatnonzero(~np.isclose(other, one, rtol=_RELATIVE, atol=_LEAST, equal_nan=True))
        if len(apart):
            k = int(apart[0])
            at = f"at step {count}" if count else "at a reset"
            place = f" at {k}" if len(one) > 1 else ""
            require(
                False,
                f"{at} {name}{place} is {one[k]:g} in a world alone, and {other[k]:g} with another beside it: every "
                "function of a task maps rows to rows, and no row may depend on another, or on an earlier call",
            )
