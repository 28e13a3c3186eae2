"""The columns of a batch of control episodes, as arrays that are filled step by step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ...envs.control.world_batch import StepResult, WorldBatch, action_layout
from ...envs.vocabulary import Batch, episode_number
from ..protocols import Behaviour


class RolloutBuffer:
    """The arrays [B, T, …] of one batch, made anew for each, so that no batch is ever written again."""

    def __init__(self, rows: int, steps: int, worlds: WorldBatch, memory_B_H: np.ndarray | None = None) -> None:
        """`memory_B_H`: what is remembered where the rows begin; None for rows that are whole episodes."""
        shape, kind = action_layout(worlds.action_space)
        size, self._pixels = worlds.observation_space.shape[0], worlds.pixels
        self.observation = np.zeros((rows, steps, size - self._pixels), np.float32)
        self.pixels = np.zeros((rows, steps, self._pixels), np.uint8)
        self.action = np.zeros((rows, steps, *shape), kind)
        self.logp, self.value, self.reward, self.bootstrap = np.zeros((4, rows, steps), np.float32)
        self.turn = np.zeros((rows, steps), np.int64)
        self.mask = np.ones((rows, steps), bool)
        self.end = np.zeros((rows, steps), bool)
        self.first = np.zeros((rows, steps), bool)
        self.memory = memory_B_H if memory_B_H is not None and memory_B_H.shape[1] else None
        self.pending: list[tuple[int, int, np.ndarray, np.ndarray]] = []
        """(row, step, successor, what is remembered there) whose value is wanted."""

    def store(
        self,
        rows: np.ndarray,
        t: int,
        observation: np.ndarray,
        action: np.ndarray,
        logp: np.ndarray,
        value: np.ndarray,
        age: np.ndarray,
    ) -> None:
        """What the agent saw, numbers and pixels in one row, and chose at column `t`."""
        self.observation[rows, t] = observation[:, : self.observation.shape[2]]
        if self._pixels:
            self.pixels[rows, t] = observation[:, self.observation.shape[2] :]
        self.action[rows, t] = action
        self.logp[rows, t] = logp
        self.value[rows, t] = value
        self.turn[rows, t] = age[rows]
        self.first[rows, t] = age[rows] == 0

    def finish(
        self, over: np.ndarray, t: int, result: StepResult, started_at: np.ndarray, memory_B_H: np.ndarray
    ) -> None:
        """Episodes of the rows `over` ended at column `t`; units of a failed one are masked out. `memory_B_H`: what is
        remembered of each behind that step."""
        self.end[over, t] = True
        for row in over:
            if int(row) in result.failure:
                self.mask[row, started_at[row] : t + 1] = False
            elif result.truncated[row]:
                self.pending.append((int(row), t, result.observation[row].copy(), memory_B_H[row].copy()))

    def end_all(self, observation: np.ndarray, memory_B_H: np.ndarray) -> None:
        """Every row ends here, whatever its episode does."""
        last = self.end.shape[1] - 1
        for row in np.flatnonzero(~self.end[:, last]):
            self.pending.append((int(row), last, observation[row], memory_B_H[row]))
        self.end[:, last] = True

    def leave_out(self, rows: np.ndarray, started_at: np.ndarray) -> None:
        """The episodes that still run in `rows` do not train in this batch."""
        for row in rows:
            self.mask[row, started_at[row] :] = False

    def fill_bootstrap(self, policy: Behaviour) -> None:
        """V of the pending successors, in one forward pass."""
        if self.pending:
            rows, columns, successors, memories = zip(*self.pending, strict=True)
            self.bootstrap[list(rows), list(columns)] = policy.value(np.stack(successors), np.stack(memories))

    def batch(self, names: Sequence[tuple[int, int]], version: int, *, values: bool) -> Batch:
        """The batch, with or without values; the arrays become its tensors without a copy. `names`: group and index of
        each row's episode."""
        episode_B = torch.tensor([episode_number(*name) for name in names])
        action = "action_B_T_A" if self.action.ndim == 3 else "action_B_T"
        inputs = {"observation_B_T_D": self.observation, action: self.action}
        if self._pixels:
            inputs["pixels_B_T_P"] = self.pixels
        if self.memory is not None:
            inputs |= {"memory_B_H": self.memory, "first_B_T": self.first}
        return Batch(
            inputs={name: torch.from_numpy(column) for name, column in inputs.items()},
            mask_B_T=torch.from_numpy(self.mask),
            behavior_logp_B_T=torch.from_numpy(self.logp),
            reward_B_T=torch.from_numpy(self.reward),
            turn_B_T=torch.from_numpy(self.turn),
            end_B_T=torch.from_numpy(self.end),
            episode_B=episode_B,
            group_B=torch.tensor([group for group, _ in names]),
            version_B=torch.full_like(episode_B, version),
            bundle_B=episode_B,
            value_B_T=torch.from_numpy(self.value) if values else None,
            bootstrap_B_T=torch.from_numpy(self.bootstrap) if values else None,
        )
