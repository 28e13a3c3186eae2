"""What stands around a world: how long an episode may be by its wrappers, and whether they do anything else."""

from __future__ import annotations

import time
from typing import Any

import gymnasium
from gymnasium.wrappers import OrderEnforcing, TimeLimit

from .errors import UserError

ENDLESS = 10_000  # steps after which a control world without any limit is said never to end
REMEDY = "give it max_episode_steps among the options of the world"
Wrapper = gymnasium.Wrapper[Any, Any, Any, Any]
OWN_WRAPPERS = (OrderEnforcing, TimeLimit)  # those that `gymnasium.make` puts on, and that can be put on again
_SECONDS = 10.0  # of random actions, for a slow world


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


def ending(env: gymnasium.Env[Any, Any]) -> str:
    """What ends an episode of a control world, in words. UserError if nothing limits it, and none ends by itself."""
    limit = time_limit(env)
    if limit is not None:
        return f"at most {limit} steps"
    env.action_space.seed(0)
    env.reset(seed=0)
    begun, steps = time.perf_counter(), 0
    while steps < ENDLESS and time.perf_counter() - begun < _SECONDS:
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        steps += 1
        if terminated or truncated:
            return f"nothing limits it; one of random actions ended after {steps} steps"
    raise UserError(f"none did in {steps:,} random steps, and nothing limits them: {REMEDY}")
