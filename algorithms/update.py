"""What an update leaves behind: numbers to plot, and what it saw of every unit when it first looked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..agents.protocols import Scores
from ..envs.vocabulary import Batch
from .distillation import NOTE
from .metrics import explained_variance, masked_mean
from .training_batch import TrainingBatch


class UpdateRefused(RuntimeError):
    """A loss or gradient was not finite, and the step was not taken; or what a step left is not. `diagnostics` says
    what was seen.

    Earlier steps of the same update, and statistics of the batch, may have moved; the message says how many steps were
    taken. Whoever goes on, goes on from a checkpoint.
    """

    def __init__(self, message: str, diagnostics: dict[str, float]) -> None:
        super().__init__(message)
        self.diagnostics = diagnostics


class StaleBatch(ValueError):
    """A batch was made by another version of the policy than the one that would learn from it."""


@dataclass(frozen=True)
class Units:
    """All [B, T] over the units of the batch. NaN where there was nothing to see: at units that nobody chose, and (but
    for the advantage) in rows whose gradient is known to be zero. Values are NaN where no critic is read."""

    advantage_B_T: Tensor
    weight_B_T: Tensor  # w of w · log π, in the first pass
    logp_B_T: Tensor  # the trainer's log π, in the first pass
    entropy_B_T: Tensor
    value_B_T: Tensor


@dataclass(frozen=True)
class Update:
    """One update: `metrics` by group/name, and its `units`."""

    metrics: Mapping[str, float]
    units: Units


class FirstPass:
    """Collects `Units` from the minibatches of a first pass, in whatever order these come."""

    def __init__(self, whole: TrainingBatch) -> None:
        mask, advantage = whole.batch.mask_B_T, whole.advantage_B_T
        self._shape = mask.shape
        self._advantage_B_T = torch.where(mask, advantage, torch.nan)
        nothing = torch.full((mask.numel() + 1,), torch.nan, dtype=advantage.dtype, device=mask.device)
        self._columns = {name: nothing.clone() for name in ("weight", "logp", "entropy", "value")}

    def add(self, part: TrainingBatch, scores: Scores, weight_B_T: Tensor) -> None:
        """What was seen of `part`. Units outside of the mask are written to one place behind the last."""
        place = torch.where(part.batch.mask_B_T, part.place_B_T, self._shape.numel())
        said = scores.value_B_T if part.batch.value_B_T is not None else torch.full_like(scores.value_B_T, torch.nan)
        seen = (weight_B_T, scores.logp_B_T, scores.entropy_B_T, said)
        for column, value_B_T in zip(self._columns.values(), seen, strict=True):
            column[place.flatten()] = value_B_T.detach().flatten().to(column.dtype)

    def units(self) -> Units:
        """Everything that was added."""
        read = {f"{name}_B_T": column[:-1].view(self._shape) for name, column in self._columns.items()}
        return Units(self._advantage_B_T, **read)


def all_left_out(batch: Batch) -> bool:
    """Whether no row of `batch` counts in a loss (its note `left_out_B`)."""
    return "left_out_B" in batch.notes and bool(batch.notes["left_out_B"].all())


def without_step(batch: Batch) -> Update:
    """That of a batch from which nothing is learned: a step would follow the optimiser's momentum alone."""
    nothing = torch.full_like(batch.behavior_logp_B_T, torch.nan)
    return Update({"batch/rows": 0.0, "batch/units": 0.0}, Units(nothing, nothing, nothing, nothing, nothing))


def describe(training: TrainingBatch) -> dict[str, Tensor]:
    """What the whole batch looks like before the update."""
    batch, mask = training.batch, training.batch.mask_B_T
    metrics = {
        "batch/rows": mask.any(dim=1).sum(),
        "batch/units": mask.sum(),
        "advantage/mean": masked_mean(training.advantage_B_T, mask),
        "advantage/magnitude": masked_mean(training.advantage_B_T.abs(), mask),
    }
    if batch.value_B_T is not None and training.target_count:
        fit = explained_variance(batch.value_B_T, training.target_B_T, training.target_mask_B_T)
        metrics["value/explained_variance"] = fit
    if (taught := batch.notes.get(NOTE)) is not None:
        metrics["kl/teacher"] = masked_mean(batch.behavior_logp_B_T - taught, mask)  # k1, before the update
    return metrics
