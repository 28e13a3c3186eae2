"""Agents that do not learn: one that acts at random and one that follows a function.

They act through the same three calls as a policy (`draw`, `act`, `value`), so that they can show the way
(demonstrations for `sft`) and be measured (baselines) wherever a policy can.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
from gymnasium.spaces import Box, Discrete

from ...envs.errors import UserError
from ...envs.named_objects import load_attribute
from ..protocols import Behaviour

Script = Callable[[np.ndarray], np.ndarray | int]  # observation [D] → action


class RandomAgent:
    """Uniform over the action space; where a Box has no bound, over [−1, 1]."""

    has_critic = False

    def __init__(self, action_space: Box | Discrete) -> None:
        self._space = action_space
        self._size = 1 if isinstance(action_space, Discrete) else int(np.prod(action_space.shape))

    def draw(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        """Uniforms [steps, A]."""
        return rng.random((steps, self._size))

    def act(
        self, observation_N_D: np.ndarray, noise_N_K: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """An action that ignores the observation; without noise, the middle of the space."""
        n = len(observation_N_D)
        noise = np.full((n, self._size), 0.5) if noise_N_K is None else noise_N_K
        if isinstance(self._space, Discrete):
            logp = np.full(n, -np.log(float(self._space.n)), np.float32)
            return (noise[:, 0] * int(self._space.n)).astype(np.int64), logp, self.value(observation_N_D)
        low = np.where(np.isfinite(self._space.low), self._space.low, -1.0).ravel()
        high = np.where(np.isfinite(self._space.high), self._space.high, 1.0).ravel()
        logp = np.full(n, -np.log(high - low).sum(), np.float32)
        return (low + noise * (high - low)).astype(np.float32), logp, self.value(observation_N_D)

    def value(self, observation_M_D: np.ndarray) -> np.ndarray:
        """Zeros: it expects nothing."""
        return np.zeros(len(observation_M_D), np.float32)


class ScriptedAgent:
    """Follows a function from one observation [D] to one action, [A] for Box or a number for Discrete."""

    has_critic = False

    def __init__(self, function: Script, action_space: Box | Discrete) -> None:
        self._function = function
        self._type = np.int64 if isinstance(action_space, Discrete) else np.float32

    def draw(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        """Nothing [steps, 0]: it takes no chances."""
        return np.zeros((steps, 0))

    def act(
        self, observation_N_D: np.ndarray, noise_N_K: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the function says for each world, with log-probability 0: it was certain."""
        action = np.stack([np.asarray(self._function(seen), dtype=self._type) for seen in observation_N_D])
        certain = np.zeros(len(observation_N_D), np.float32)
        return action, certain, certain

    def value(self, observation_M_D: np.ndarray) -> np.ndarray:
        """Zeros."""
        return np.zeros(len(observation_M_D), np.float32)


def make_behaviour(name: str, action_space: Box | Discrete) -> Behaviour:
    """The agent called "random", or the one that follows `module:function` (observation → action).

    `UserError` where there is no such function.
    """
    if name == "random":
        return RandomAgent(action_space)
    function = load_attribute(name)
    if not callable(function):
        raise UserError(f"{name!r} is not a function; allowed are 'random' and module:function")
    return ScriptedAgent(cast(Script, function), action_space)
