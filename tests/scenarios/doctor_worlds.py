"""Small worlds with one fault each, for the doctor to find."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete

from peripatos.envs.conversation import ConversationEnv, Outcome
from peripatos.envs.vocabulary import Reply


class Corridor(gymnasium.Env[np.ndarray, np.int64]):
    """Six steps along a line, with wind. `fault` names what is wrong with it."""

    resets: ClassVar[int] = 0  # of all of them, which one with the fault "shared" shows

    def __init__(self, fault: str = "none") -> None:
        bound = np.inf if fault in ("infinite", "process") else 10.0
        self.observation_space = Box(-bound, bound, (2,), np.float32)
        self.action_space = Discrete(2)
        self._fault, self._own = fault, np.random.default_rng(0)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        Corridor.resets += 1
        if self._fault == "raises":
            raise RuntimeError("no corridor today")
        self._chance = {"chance": np.random.default_rng(), "goes on": self._own}.get(self._fault, self.np_random)
        if self._fault == "one generator":
            np.random.seed(seed)  # noqa: NPY002  what worlds of others do
        self._place, self._step = float(self._chance.normal()), 0
        if self._fault == "process":
            self._place += os.getpid() % 1009
        return self._seen(), {}

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self._place += float(action) - 0.5 + 0.1 * float(self._chance.normal())
        if self._fault == "one generator":
            self._place += np.random.uniform()  # noqa: NPY002
        self._step += 1
        reward = np.nan if self._fault == "reward" and self._step == 3 else self._place
        return self._seen(), reward, self._step == 6 and self._fault != "endless", False, self._told()

    def _told(self) -> dict[str, Any]:
        """With the fault that is called as a key, a score that no seed says."""
        chance = np.random.default_rng().random()
        told = {"success": chance < 0.5, "is_success": chance < 0.5, "metrics": {"far": chance}}
        return {key: value for key, value in told.items() if key == self._fault}

    def _seen(self) -> np.ndarray:
        other = {"nan": np.nan, "infinite": np.inf, "outside": 11.0}.get(self._fault)
        place = self._place if other is None or self._step != 3 else other
        return np.asarray([place, Corridor.resets % 7 if self._fault == "shared" else 0], np.float32)


class Filled(Corridor):
    """A corridor that gives one dictionary each time, which it fills in place."""

    def __init__(self, fault: str = "none") -> None:
        super().__init__(fault)
        self.observation_space = Dict({"place": self.observation_space})  # pyright: ignore[reportAttributeAccessIssue]
        self._buffer = {"place": np.zeros(2, np.float32)}

    def _seen(self) -> Any:
        self._buffer["place"][:] = super()._seen()
        return self._buffer


class Waiter(ConversationEnv):
    """Two turns about a number. `fault` names what is wrong with it."""

    weights: ClassVar = {"length": 0.1}
    max_turns = 2

    def __init__(self, fault: str = "none") -> None:
        super().__init__()
        self._fault, self.waits = fault, fault == "waits"

    def opening(self, rng: np.random.Generator, split: str) -> str:
        chance = np.random.default_rng() if self._fault == "chance" else rng
        return f"Say {int(chance.integers(1_000_000))}."

    def oracle(self) -> str:
        return "7"

    def respond(self, reply: Reply) -> Outcome:
        return Outcome("Again.", terms={"length": float(len(reply.text))})
