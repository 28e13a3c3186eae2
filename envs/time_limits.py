"""What stands around a world: how long an episode may be by its wrappers, and whether they do anything else."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import gymnasium
from gymnasium.wrappers import OrderEnforcing, TimeLimit

from .errors import UserError
from .reported import begin

ENDLESS = 10_000  # steps after which a control world without any limit is said never to end
REMEDY = "give it max_episode_steps among the options of the world"
Wrapper = gymnasium.Wrapper[Any, Any, Any, Any]
OWN_WRAPPERS = (OrderEnforcing, TimeLimit)  # those that `gymnasium.make` puts on, and that can be put on again
_SECONDS = 10.0  # of random actions, for a slow world
_EPISODES = 20  # of random actions, each of which may end before a limit is seen


def time_limit(env: gymnasium.Env[Any, Any]) -> int | None:
    """The least limit of steps that a wrapper around `env` keeps; None if there is none."""
    limit: int | None = None
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, TimeLimit):
            limit = least(limit, env._max_episode_steps)
        env = env.env
    return limit


def is_wrapped(world: gymnasium.Env[Any, Any], *, beyond: tuple[type[Wrapper], ...]) -> bool:
    """Whether anything stands around a world besides the wrappers of exactly these classes."""
    while isinstance(world, gymnasium.Wrapper):
        if type(world) not in beyond:
            return True
        world = world.env
    return False


def least(one: int | None, other: int | None) -> int | None:
    """The lesser of two limits, where None is no limit."""
    return min((limit for limit in (one, other) if limit is not None), default=None)


@dataclass(frozen=True)
class Tried:
    """What came of some episodes of random actions; all numbers are of steps."""

    cut: int | None  # after which the world itself truncated one
    ended: tuple[int, ...]  # after which others had terminated
    steps: int  # of all of them


def tried(env: gymnasium.Env[Any, Any], seconds: float = _SECONDS) -> Tried:
    """Act at random until an episode is truncated, for some episodes, some steps and so many `seconds`."""
    env.action_space.seed(0)
    begun, steps, ended = time.perf_counter(), 0, []
    while len(ended) < _EPISODES and steps < ENDLESS and time.perf_counter() - begun < seconds:
        begin(env, len(ended))
        count, over = 0, False
        while not over and steps < ENDLESS and time.perf_counter() - begun < seconds:
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            count, steps, over = count + 1, steps + 1, terminated or truncated
            if truncated and not terminated:
                return Tried(count, tuple(ended), steps)
        if over:
            ended.append(count)
    return Tried(None, tuple(ended), steps)


def ending(env: gymnasium.Env[Any, Any]) -> str:
    """What ends an episode of a control world, in words. UserError if nothing limits it, and none ends by itself."""
    limit = time_limit(env)
    if limit is not None:
        return f"at most {limit} steps"
    trial = tried(env)
    if trial.cut is not None:
        return f"the world limits it itself: one of random actions was cut after {trial.cut} steps"
    if trial.ended:
        return (
            f"{len(trial.ended)} of random actions ended, the longest after {max(trial.ended)} steps; no limit is seen"
        )
    raise UserError(f"none did in {trial.steps:,} random steps, and nothing limits them: {REMEDY}")
