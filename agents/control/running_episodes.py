"""What the running episode of each world has done so far: enough to record it, and to replay it.

A seeded world is a function of its reset seed and the actions since, so these two *are* its state. No world is
ever pickled.
"""

from __future__ import annotations

import numpy as np

from ...envs.control.world_batch import StepResult
from ...envs.reported import early_success
from ...envs.vocabulary import Episode, StopReason


class RunningEpisodes:
    """One account for each of `n` worlds, written by array operations over all worlds at once."""

    def __init__(self, n: int, action_shape: tuple[int, ...], action_type: np.dtype) -> None:
        self.seed = np.zeros(n, np.int64)
        self.age = np.zeros(n, np.int64)  # steps since the reset
        self.total = np.zeros(n)
        self._terms: dict[str, np.ndarray] = {}
        self._actions = np.zeros((n, 64, *action_shape), action_type)
        self._left_out: dict[int, str] = {}  # world → what it first reported in no form of ours
        self._succeeded: dict[int, int] = {}  # world → the first step at which it reported a success
        self._misfit: str | None = None  # of the episodes that have not been closed

    def begin(self, ids: np.ndarray, seeds: np.ndarray) -> None:
        """New episodes in the worlds `ids`."""
        self.seed[ids] = seeds
        self.age[ids] = 0
        self.total[ids] = 0.0
        for sums in self._terms.values():
            sums[ids] = 0.0
        for i in ids if self._left_out else ():
            self._left_out.pop(int(i), None)
        for i in ids if self._succeeded else ():
            self._succeeded.pop(int(i), None)

    def add(self, ids: np.ndarray, action: np.ndarray, result: StepResult) -> None:
        """One step of the worlds `ids`."""
        age = self.age[ids]
        if len(age) and age.max() == self._actions.shape[1]:
            self._actions = np.concatenate([self._actions, np.zeros_like(self._actions)], axis=1)
        self._actions[ids, age] = action
        self.age[ids] = age + 1
        self.total[ids] += result.reward
        for i, what in result.left_out.items():
            self._left_out.setdefault(i, what)
        for i in () if result.success is None else map(int, ids[result.success == 1.0]):
            self._succeeded.setdefault(i, int(self.age[i]))
        self._misfit = self._misfit or result.misfit
        for name, values in result.terms.items():
            if name not in self._terms:
                self._terms[name] = np.zeros(len(self.seed))
            self._terms[name][ids] += values

    def actions(self, i: int) -> np.ndarray:
        """A copy of the actions of world `i` since its reset, [age, …]."""
        return self._actions[i, : self.age[i]].copy()

    def history(self) -> np.ndarray:
        """A copy of the actions of all worlds [n, longest age, …]; world i has `age[i]` of them, and zeros behind: what
        is left of an earlier episode would make a run that went on another than one that was not stopped."""
        actions = self._actions[:, : self.age.max(initial=0)].copy()
        actions[np.arange(actions.shape[1]) >= self.age[:, None]] = 0
        return actions

    def close(
        self,
        i: int,
        row: int,
        result: StepResult,
        group: int,
        index: int,
        version: int,
        split: str,
        *,
        cut: bool = False,
    ) -> Episode:
        """The record of the episode of world `i`, which is `row` of `result` and has just ended; `cut`: it was
        truncated by whoever acts and not by the world."""
        failure = result.failure.get(i)
        success = np.nan if result.success is None else result.success[row]
        turns = int(self.age[i])
        truncated = not result.terminated[row] and bool(result.truncated[row] or cut)
        misfit, self._misfit = self._misfit, None
        left_out = self._left_out.get(i)
        if left_out is None and not failure and success != 1.0:
            left_out = early_success(self._succeeded.get(i), turns)
        return Episode(
            group=group,
            index=index,
            seed=int(self.seed[i]),
            version=version,
            split=split,
            reward=None if failure else float(self.total[i]),
            reward_terms={} if failure else {name: float(sums[i]) for name, sums in self._terms.items()},
            turns=turns,
            units=turns,
            terminated=bool(result.terminated[row]),
            truncated=truncated and not failure,
            success=None if np.isnan(success) else bool(success),
            stop_reason=_reason(failure, truncated),
            failure=failure,
            left_out=left_out,
            misfit=misfit,
            actions=self.actions(i),
            metrics={name: float(v[row]) for name, v in result.metrics.items() if not np.isnan(v[row])},
        )


def _reason(failure: str | None, truncated: bool) -> StopReason:
    if failure:
        return StopReason.ERROR
    return StopReason.TURN_LIMIT if truncated else StopReason.STOP
