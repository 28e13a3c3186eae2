"""A world that counts, and may end its process, sleep or print; for processes that hold worlds."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box


class Crashing(gym.Env[np.ndarray, np.ndarray]):
    """Observes its steps, its last action and a number of its episode's own, which is different in each step.

    It does `what` in step `at` of an episode whose seed is in `seeds`, or of `every` one; with `forgets` it observes
    numbers that nobody can repeat; with `mark` it writes its process's number there. Once two processes have done so,
    it cannot be made in another: it raises or dies, as `again` says, while there is a file of that name.
    """

    observation_space = Box(-np.inf, np.inf, (3,), np.float32)
    action_space = Box(-1.0, 1.0, (1,), np.float32)

    def __init__(
        self,
        what: str = "",
        at: int = 2,
        seeds: tuple[int, ...] = (),
        every: bool = False,
        forgets: bool = False,
        mark: str = "",
        again: str = "",
    ) -> None:
        self.what, self.at, self.seeds, self.every, self.forgets = what, at, tuple(seeds), every, forgets
        if mark:
            (Path(mark) / str(os.getpid())).touch()
        if again and len(list(Path(mark).glob("[0-9]*"))) == 2:
            (Path(mark) / "again").touch()
        elif again and (Path(mark) / "again").exists():
            if again == "raises":
                raise OSError("no licence")
            ctypes.CDLL(None)._exit(5)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.count, self.armed = 0, self.every or seed in self.seeds
        if self.armed and self.at == 0:
            self._do()
        return self._seen(0.0), {}

    def step(self, action: np.ndarray):
        self.count += 1
        if self.armed and self.count == self.at:
            self._do()
        over = self.count == 6
        info = {"success": bool(action[0] > 0), "metrics": {"count": self.count}} if over else {}
        terms = {"action": float(action[0]), "one": 1.0}
        return self._seen(float(action[0])), sum(terms.values()), over, False, {**info, "reward_terms": terms}

    def _seen(self, action: float) -> np.ndarray:
        own = time.perf_counter() if self.forgets else self.np_random.random()
        return np.array([self.count, action, own], np.float32)

    def _do(self) -> None:
        if self.what == "segfault":
            ctypes.string_at(0)
        elif self.what == "exit":
            os._exit(3)
        elif self.what == "kill":
            os.kill(os.getpid(), 9)
        elif self.what == "really exit":
            ctypes.CDLL(None)._exit(4)
        elif self.what == "hang":
            time.sleep(600)
        elif self.what == "hang in C":
            ctypes.PyDLL(None).sleep(600)
        elif self.what == "raise":
            raise ValueError("the knee broke")
        elif self.what == "print":
            print("printed by a world")
            os.system("echo said by a child of a world")
            os.write(1, b"written by a world\n")
        elif self.what == "die beside a child":
            if os.fork() == 0:
                time.sleep(600)
            os.kill(os.getpid(), 9)
        elif self.what == "close all":
            os.closerange(3, 256)
        elif self.what == "interrupt":
            raise KeyboardInterrupt
