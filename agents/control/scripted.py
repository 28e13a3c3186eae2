"""Agents that do not learn: one that acts at random and one that follows a function.

They act through the same calls as a policy (`draw`, `begin`, `act`, `value`), so that they can show the way
(demonstrations for `sft`) and be measured (baselines) wherever a policy can.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space

from ...envs.control.flat_spaces import Actions, Observations, StoredActions
from ...envs.errors import UserError
from ...envs.reported import BadReport
from ...envs.user_code import told
from ..protocols import Act

Script = Callable[[Any], Any]  # what is seen → action


class RandomAgent:
    """Uniform over the actions of `space`, which are as batches store them; where a Box has no bounds, over [−1, 1],
    and where it has one, over what lies within 2 of it. It draws in greedy evaluations too: chance is all that it has.
    """

    has_critic = False

    def __init__(self, space: StoredActions) -> None:
        inside = (space,) if isinstance(space, Box | Discrete | MultiDiscrete) else space.spaces
        boxes = [one for one in inside if isinstance(one, Box)]
        sides = (getattr(boxes[0], side) if boxes else np.zeros(0) for side in ("low", "high"))
        # In float64 the widest interval of float32, in which batches store actions, has a width.
        with np.errstate(over="ignore"):  # bounds beyond float32 are none
            low, high = (side.astype(np.float32).astype(np.float64) for side in sides)
        self._low = np.where(np.isfinite(low), low, np.where(np.isfinite(high), high - 2.0, -1.0))
        self._width = np.where(np.isfinite(high), high, self._low + 2.0) - self._low
        counts = [one.nvec for one in inside if isinstance(one, MultiDiscrete)]
        self._counts = np.concatenate([[space.n] if isinstance(space, Discrete) else np.zeros(0), *counts])
        self._single = isinstance(space, Discrete)

    def draw(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        """Uniforms [steps, A + K]."""
        return rng.random((steps, len(self._low) + len(self._counts)))

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
        n, real = len(observation_N_D), len(self._low)
        memory = self.begin(n) if memory_N is None else memory_N
        noise = np.full((n, real + len(self._counts)), 0.5) if noise_N_K is None else noise_N_K
        drawn = self._low + noise[:, :real] * self._width
        chosen = (noise[:, real:] * self._counts).astype(np.int64)
        wide = self._width[self._width > 0]  # what has one value alone has no density
        logp = np.full(n, -np.log(wide).sum() - np.log(self._counts).sum(), np.float32)
        if not real:
            return Act(chosen[:, 0] if self._single else chosen, logp, self.value(observation_N_D), memory)
        action = np.concatenate([drawn, chosen], axis=1).astype(np.float32)
        return Act(action, logp, self.value(observation_N_D), memory)

    def value(self, observation_M_D: np.ndarray, memory_M: np.ndarray | None = None) -> np.ndarray:
        """Zeros: it expects nothing."""
        return np.zeros(len(observation_M_D), np.float32)


class ScriptedAgent:
    """Follows a script from what the world shows, `seen`, to one action of its `acted`, both of the world's own form:
    numbers for Box, a whole number from `start` for Discrete, a dictionary for Dict. An observation that is a Box of
    numbers is a vector [D] float32, as all are where `seen` is not given; parts that cannot be flattened are missing.

    A plain function serves all episodes. A script that remembers something has one object for each episode: a class is
    made anew, any other object that can be called is copied as it was given, and `reset()` is called where it has one.

    `UserError` for a script that cannot be called or copied, and for an action that the space does not have.
    """

    has_critic = False

    def __init__(self, script: Script | type, acted: Space[Any], seen: Space[Any] | None = None) -> None:
        self._script, self._acts = script, Actions(acted)
        self._seen = None if seen is None else Observations(seen)
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
            shown = observation_N_D if self._seen is None else map(self._seen.own, observation_N_D)
            given = [script(seen) for script, seen in zip(scripts, shown, strict=True)]
        try:
            action = np.stack([self._acts.store(one) for one in given])
        except BadReport as problem:
            raise UserError(f"the script {self._name} gave {problem}") from problem
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
