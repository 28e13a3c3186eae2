"""How long an episode may be, by the wrappers around its world."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.wrappers import TimeLimit


def time_limit(env: gymnasium.Env[Any, Any]) -> int | None:
    """The least limit of steps that a wrapper around `env` keeps; None if there is none."""
    limit: int | None = None
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, TimeLimit):
            limit = least(limit, env._max_episode_steps)
        env = env.env
    return limit


def least(one: int | None, other: int | None) -> int | None:
    """The lesser of two limits, where None is no limit."""
    return min((limit for limit in (one, other) if limit is not None), default=None)
