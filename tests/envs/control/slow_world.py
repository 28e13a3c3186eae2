"""A world whose step takes its time."""

from __future__ import annotations

import time
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete


class Slow(gym.Env[np.ndarray, np.int64]):
    """Four steps of so many seconds; observes how far it is, and a number of the episode's own."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float32)
    action_space = Discrete(2, start=3)

    def __init__(self, seconds: float = 0.002) -> None:
        self.seconds = seconds

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.count = 0
        return self._seen(), {}

    def step(self, action: np.int64):
        time.sleep(self.seconds)
        self.count += 1
        return self._seen(), float(action == 3), self.count == 4, False, {}

    def _seen(self) -> np.ndarray:
        return np.array([self.count, self.np_random.random()], np.float32)
