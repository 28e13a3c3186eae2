"""Agents that do not learn: one that acts at random and one that follows a function.

They act through the same calls as a policy (`draw`, `begin`, `act`, `value`), so that they can show the way
(demonstrations for `sft`) and be measured (baselines) wherever a policy can.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete

from ...envs.errors import UserError
from ...envs.user_code import told
from ..protocols import Act

Script = Callable[[np.ndarray], Any]  # observation [D] → action


class RandomAgent:
    """Uniform over the action space; where a Box has no bound, over [−1, 1]."""

    has_critic = False

    def __init__(self, action_space: Box | Discrete) -> None:
        self._space = action_space
        self._size = 1 if isinstance(action_space, Discrete) else int(np.prod(action_space.shape))

    def draw(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        """Uniforms [steps, A]."""
        return rng.random((steps, self._size))

    def begin(self, n: int) -> np.ndarray:
        """Nothing to remember [n, 0]."""
        return np.zeros((n, 0))

    def act(
        self,
        observation_N_D: np.ndarray,
        noise_N_K: np.ndarray | None = None,
        memory_N: np.ndarray | None = None,
    ) -> Act:
        """An action that ignores the observation; without noise, the middle of the space."""
        n = len(observation_N_D)
        memory = self.begin(n) if memory_N is None else memory_N
        noise = np.full((n, self._size), 0.5) if noise_N_K is None else noise_N_K
        if isinstance(self._space, Discrete):
            logp = np.full(n, -np.log(float(self._space.n)), np.float32)
            return Act((noise[:, 0] * int(self._space.n)).astype(np.int64), logp, self.value(observation_N_D), memory)
        low = np.where(np.isfinite(self._space.low), self._space.low, -1.0).ravel()
        high = np.where(np.isfinite(self._space.high), self._space.high, 1.0).ravel()
        logp = np.full(n, -np.log(high - low).sum(), np.float32)
        return Act((low + noise * (high - low)).astype(np.float32), logp, self.value(observation_N_D), memory)

    def value(self, observation_M_D: np.ndarray, memory_M: np.ndarray | None = None) -> np.ndarray:
        """Zeros: it expects nothing."""
        return np.zeros(len(observation_M_D), np.float32)


class ScriptedAgent:
    """Follows a script from one observation [D] to one action of the world's own: numbers for Box, a whole number from
    `start` for Discrete.

    A plain function serves all episodes. A script that remembers something has one object for each episode: a class is
    made anew, any other object that can be called is copied as it was given, and `reset()` is called where it has one.

    `UserError` for a script that cannot be called or copied, and for an action that the space does not have.
    """

    has_critic = False

    def __init__(self, script: Script | type, action_space: Box | Discrete) -> None:
        self._script, self._space = script, action_space
        module, name = getattr(script, "__module__", ""), getattr(script, "__qualname__", type(script).__qualname__)
        self._name = f"{module}:{name}"  # as a scenario names it, for messages
        if not callable(script) or (isinstance(script, type) and not any("__call__" in vars(c) for c in script.mro())):
            raise UserError(f"the script {script!r} cannot be called with an observation: give a function, or __call__")

    def draw(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        """Nothing [steps, 0]: it takes no chances."""
        return np.zeros((steps, 0))

    def begin(self, n: int) -> np.ndarray:
        """The scripts of n episodes [n], each as if it were the first."""
        scripts = np.empty(n, object)
        for i in range(n):
            scripts[i] = self._fresh()
        return scripts

    def act(
        self,
        observation_N_D: np.ndarray,
        noise_N_K: np.ndarray | None = None,
        memory_N: np.ndarray | None = None,
    ) -> Act:
        """What the scripts say (those of `begin`, or new ones) as a batch stores it, with log-probability 0: they were
        certain. The memory is the scripts."""
        n = len(observation_N_D)
        scripts = self.begin(n) if memory_N is None else memory_N
        with told(f"the script {self._name} fails"):
            given = [script(seen) for script, seen in zip(scripts, observation_N_D, strict=True)]
        action = np.stack([self._stored(one) for one in given])
        certain = np.zeros(n, np.float32)
        return Act(action, certain, certain, scripts)

    def value(self, observation_M_D: np.ndarray, memory_M: np.ndarray | None = None) -> np.ndarray:
        """Zeros."""
        return np.zeros(len(observation_M_D), np.float32)

    def _fresh(self) -> Script:
        if isinstance(self._script, type):
            with told(f"the script {self._name} cannot be made"):
                script = self._script()
        else:
            try:
                script = copy.deepcopy(self._script)  # of a plain function, itself
            except Exception as problem:
                raise UserError(
                    f"the script {self._script!r} cannot be copied for each episode ({problem}); give its class instead"
                ) from problem
        if callable(reset := getattr(script, "reset", None)):
            with told(f"the script {self._name} fails"):
                reset()
        return script

    def _stored(self, action: Any) -> np.ndarray:
        """An action of the world's own in the form that batches hold: flat, or counted from zero."""
        given = np.asarray(action)
        space = self._space
        if isinstance(space, Discrete):
            first, last = int(space.start), int(space.start + space.n - 1)
            if (
                given.size != 1
                or given.dtype.kind not in "iubf"
                or not first <= (one := given.item()) <= last
                or one % 1
            ):
                raise UserError(
                    f"the script {self._name} gave the action {action!r:.80}; allowed are the whole "
                    f"numbers {first} to {last}"
                )
            return np.asarray(int(one) - first, np.int64)
        if given.size != np.prod(space.shape) or given.dtype.kind not in "iubf" or not np.isfinite(given).all():
            raise UserError(
                f"the script {self._name} gave the action {action!r:.80}; needed are finite numbers of "
                f"shape {space.shape}"
            )
        return given.astype(np.float32).ravel()
