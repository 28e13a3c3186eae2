"""A batch with everything that an update needs, computed on the whole before rows are split.

    batch ──credit──▶ advantage, target ──shares──▶ each unit's part of the loss ──split──▶ minibatches

A minibatch is a training batch again. Where a policy is memoryless, a minibatch may consist of single units: rows of
length one, whose part of the loss was fixed while they still knew their episode.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from ..envs.vocabulary import Batch
from .aggregate import unit_shares
from .credit import assign_credit, whiten
from .methods import Method


@dataclass(frozen=True)
class TrainingBatch:
    """All tensors [B, T] over the units of `batch`."""

    batch: Batch
    old_logp_B_T: Tensor  # the trainer's log-probability before the update
    reference_logp_B_T: Tensor  # of the reference policy; zeros without one
    advantage_B_T: Tensor
    target_B_T: Tensor
    target_mask_B_T: Tensor
    share_B_T: Tensor  # a unit's share of the loss's numerator, see aggregate.unit_shares
    count: float  # Σc of the whole that this is a part of: what its sum is divided by
    target_count: float  # the same for the critic: how many targets the whole has

    def rows(self, index: Tensor) -> TrainingBatch:
        """The part of this batch in the rows `index` [b], to be divided by the same counts."""
        chosen = {name: getattr(self, name)[index] for name in _TENSORS}
        return replace(self, batch=self.batch.rows(index), **chosen)

    def whitened(self) -> TrainingBatch:
        """With advantages brought to mean 0 and standard deviation 1 over this batch's units."""
        return replace(self, advantage_B_T=whiten(self.advantage_B_T, self.batch.mask_B_T))


def prepare(batch: Batch, method: Method, old_logp_B_T: Tensor, reference_logp_B_T: Tensor) -> TrainingBatch:
    """Assign credit and shares on the whole batch."""
    credited = assign_credit(batch, method.credit)
    update = method.update
    a, c = unit_shares(batch.mask_B_T, mode=update.aggregation, length=update.length, end_B_T=batch.end_B_T)
    return TrainingBatch(
        batch,
        old_logp_B_T,
        reference_logp_B_T,
        credited.advantage_B_T,
        credited.target_B_T,
        credited.target_mask_B_T,
        a,
        count=float(c.sum()),
        target_count=float(credited.target_mask_B_T.sum()),
    )


_TENSORS = [f.name for f in fields(TrainingBatch) if f.name.endswith("_B_T")]


def as_units(training: TrainingBatch) -> TrainingBatch:
    """The same units, each a row of its own: [M, 1] for M units in the mask."""
    mask = training.batch.mask_B_T
    batch = training.batch
    row = torch.nonzero(mask)[:, 0]

    def units(tensor: Tensor) -> Tensor:
        return tensor[mask].unsqueeze(1)

    flat = replace(
        batch,
        inputs={name: units(tensor) for name, tensor in batch.inputs.items()},
        **{f.name: units(getattr(batch, f.name)) for f in fields(batch) if f.name.endswith("_B_T")},
        episode_B=batch.episode_B[row],
        group_B=batch.group_B[row],
    )
    return replace(training, batch=flat, **{name: units(getattr(training, name)) for name in _TENSORS})


def minibatches(training: TrainingBatch, count: int, rng: np.random.Generator) -> Iterator[TrainingBatch]:
    """`count` parts of nearly equal size that together are the whole, in random order.

    Rows of one group stay together, so that what they share (a prompt) is computed once. One minibatch is the
    batch itself, in its own order. Each is divided by the same count, a `count`-th of the whole's.
    """
    if count == 1 or not len(training.share_B_T):
        yield training
        return
    _, group = torch.unique(training.batch.group_B, return_inverse=True)
    rows = len(group)
    alone = training.batch.mask_B_T.shape[1] == 1 or int(group.max()) + 1 < count
    key = np.arange(rows) if alone else group.cpu().numpy()
    rank = rng.permutation(int(key.max()) + 1)[key]
    share = replace(training, count=training.count / count, target_count=training.target_count / count)
    order = torch.from_numpy(np.argsort(rank, kind="stable")).to(group.device)
    for part in order.tensor_split(count):
        if len(part):
            yield share.rows(part)


def micro_batches(training: TrainingBatch, units: int | None) -> Iterator[TrainingBatch]:
    """Consecutive rows with at most `units` positions each (padding counted), at least one row."""
    rows, length = training.batch.mask_B_T.shape
    size = rows if units is None else max(1, units // max(1, length))
    if size >= rows:
        yield training
        return
    for part in torch.arange(rows, device=training.share_B_T.device).split(size):
        yield training.rows(part)
