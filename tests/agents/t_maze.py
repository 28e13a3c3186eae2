"""A corridor in which only what was seen at the first step says where to turn at the last (Bakker 2002)."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete


class TMaze(gym.Env[np.ndarray, np.int64]):
    """`length` steps: the sign at the first one is the side of the goal, and the action of the last one chooses.

    Observes [sign, whether this is the junction]; the sign is 0 but for the first step. Whoever forgets is right in
    half of the episodes. With `ragged` the corridor of an episode is between half of `length` and `length` steps long.
    """

    observation_space = Box(-1.0, 1.0, (2,), np.float32)
    action_space = Discrete(2)

    def __init__(self, length: int = 10, *, ragged: bool = False) -> None:
        self.length, self.ragged = length, ragged

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.side, self.count = int(self.np_random.integers(2)), 0
        self.last = int(self.np_random.integers(self.length // 2, self.length + 1)) if self.ragged else self.length
        return self._seen(), {}

    def step(self, action: np.int64):
        self.count += 1
        over = self.count == self.last
        right = over and int(action) == self.side
        return self._seen(), float(right), over, False, {"success": right} if over else {}

    def _seen(self) -> np.ndarray:
        sign = (2.0 * self.side - 1.0) if self.count == 0 else 0.0
        return np.array([sign, self.count == self.last - 1], np.float32)
