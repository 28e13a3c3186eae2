"""A batch with everything that an update needs, computed on the whole before rows are split.

    batch ──credit──▶ advantage, target ──shares──▶ each unit's part of the loss ──split──▶ minibatches

A minibatch is a training batch again. Where a policy is memoryless, a minibatch may consist of single units: rows of
length one, whose part of the loss was fixed while they still knew their episode.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ..envs.vocabulary import Batch
from .aggregate import unit_shares
from .credit import assign_credit, whiten
from .episode_rows import episode_rows
from .method_row import Method
from .passes import passes
from .preferences import tied_pairs
from .shapes import steps, sum_steps
from .weights import most_uncertain


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
    trained_B_T: Tensor  # bool: the units that have a weight at all (`Weighting.entropy_share`)
    taught_B_T: Tensor  # bool: the units at which the policy is compared with a teacher (`Rewards.teacher_pays`)
    observed_B_T: Tensor  # bool: what the world said, where that is learned too (`Update.observation_coefficient`)
    place_B_T: Tensor  # int: where in the whole each unit stands, b·T + t
    count: float  # Σc of the whole that this is a part of: what its sum is divided by
    target_count: float  # the same for the critic: how many targets the whole has
    observed_count: float  # and of what the world said

    def rows(self, index: Tensor | slice) -> TrainingBatch:
        """The part of this batch in the rows `index` [b], to be divided by the same counts; of a slice, without a
        copy."""
        chosen = {name: getattr(self, name)[index] for name in _TENSORS}
        return replace(self, batch=self.batch.rows(index), **chosen)

    @staticmethod
    def join(parts: Sequence[TrainingBatch]) -> TrainingBatch:
        """The rows of all `parts`, one part behind the other, to be divided by the counts of all together."""
        columns = {name: torch.cat([getattr(part, name) for part in parts]) for name in _TENSORS}
        return TrainingBatch(
            Batch.stacked([part.batch for part in parts]),
            **columns,
            count=sum(part.count for part in parts),
            target_count=sum(part.target_count for part in parts),
            observed_count=sum(part.observed_count for part in parts),
        )

    def numbered(self) -> TrainingBatch:
        """The whole: its units stand where they stand."""
        mask = self.batch.mask_B_T
        return replace(self, place_B_T=torch.arange(mask.numel(), device=mask.device).view_as(mask))

    def of_most_uncertain(self, share: float) -> TrainingBatch:
        """The whole, of which only this share of the units that would be trained is: those of highest entropy, which
        the batch notes (`entropy_B_T`). The others keep their share of every mean."""
        if share == 1:
            return self
        trained = most_uncertain(self.batch.notes["entropy_B_T"], self.trained_B_T, share)
        return replace(self, trained_B_T=trained, taught_B_T=self.taught_B_T & trained)

    def whitened(self, worlds: Sequence[bool]) -> TrainingBatch:
        """With the advantages of each world that asks for it brought to mean 0 and standard deviation 1 over its own
        units here: one that pays more would take the scale of the others. `worlds` says which do, in the order of the
        note `world_B`."""
        mask, advantage_B_T = self.batch.mask_B_T, self.advantage_B_T
        for world in (world for world, asks in enumerate(worlds) if asks):
            own_B_T = mask & (self.batch.notes["world_B"] == world)[:, None] if len(worlds) > 1 else mask
            advantage_B_T = torch.where(own_B_T, whiten(advantage_B_T, own_B_T), advantage_B_T)
        return replace(self, advantage_B_T=advantage_B_T)


def prepare(
    batch: Batch,
    method: Method,
    old_logp_B_T: Tensor,
    reference_logp_B_T: Tensor,
    entropy_B_T: Tensor | None = None,
    flat_B: Tensor | None = None,
) -> TrainingBatch:
    """Assign credit and shares on the whole batch. `entropy_B_T` is needed for a method that trains a share of
    the units only, which is chosen when those of all worlds are there; `flat_B` for one that leaves flat groups out."""
    credited = assign_credit(batch, method.credit)
    update, mask = method.update, batch.mask_B_T
    episodes = episode_rows(batch.episode_B, mask.shape[1])  # a sequence is an episode, in however many rows
    kept = mask & ~_of_cut_replies(batch) if update.cut_replies == "leave_out" else mask
    if update.flat_groups == "leave_out":
        assert flat_B is not None, "the learner asks for it"
        kept = kept & ~flat_B[:, None]
    counts = ~batch.notes.get("left_out_B", torch.zeros_like(batch.group_B, dtype=torch.bool))[:, None]
    kept = kept & counts
    sequences = 1  # of what the loss is a mean over
    if method.preference.kind is not None:
        kept, sequences = kept & (credited.advantage_B_T != 0), 2  # pairs
    if method.preference.kind is not None or method.judges:
        batch = replace(batch, bundle_B=tied_pairs(batch.bundle_B, batch.group_B, kept.any(dim=1)))
    whole, end = episodes.join(kept), episodes.join(episodes.last_ends(mask, batch.end_B_T))
    a, c = unit_shares(whole, mode=update.aggregation, length=update.length, end_B_T=end, dtype=old_logp_B_T.dtype)
    if method.weighting.entropy_share < 1:
        assert entropy_B_T is not None, "the learner asks for it"
        batch = replace(batch, notes={**batch.notes, "entropy_B_T": entropy_B_T})
    observed = batch.notes["observed_B_T"] & counts if update.observation_coefficient else torch.zeros_like(mask)
    target_mask = credited.target_mask_B_T & counts
    return TrainingBatch(
        batch,
        old_logp_B_T,
        reference_logp_B_T,
        credited.advantage_B_T,
        credited.target_B_T,
        target_mask,
        episodes.split(a),
        kept,
        kept if method.compares else torch.zeros_like(mask),
        observed,
        torch.zeros_like(mask, dtype=torch.long),
        count=_compared(batch, kept) if method.judges else float(c.sum()) / sequences,
        target_count=float(target_mask.sum()),
        observed_count=float(observed.sum()) if update.observation_coefficient else 0.0,
    ).numbered()


def _compared(batch: Batch, kept_B_T: Tensor) -> float:
    """How many groups have something to compare."""
    return float(len(torch.unique(batch.group_B[kept_B_T.any(dim=1)])))


def _of_cut_replies(batch: Batch) -> Tensor:
    """bool [B, T]: the units of turns that ended because there were no tokens left; of none, where nobody noted it."""
    mask = batch.mask_B_T
    cut_B_T = batch.notes.get("cut_B_T")
    if cut_B_T is None:
        return torch.zeros_like(mask)
    walk = steps(mask, batch.turn_B_T, batch.end_B_T, "turn")
    cut_B_K = sum_steps(cut_B_T.long(), mask, walk) > 0
    return mask & cut_B_K.gather(1, walk.index_B_T)


_TENSORS = [f.name for f in fields(TrainingBatch) if f.name.endswith("_B_T")]


def as_units(training: TrainingBatch) -> TrainingBatch:
    """The same units, each a row of its own: [M, 1] for M units in the mask."""
    mask = training.batch.mask_B_T
    columns = {name: getattr(training, name)[mask][:, None] for name in _TENSORS}
    return replace(training, batch=training.batch.units(), **columns)


def minibatches(training: TrainingBatch, count: int, rng: np.random.Generator) -> Iterator[TrainingBatch]:
    """`count` parts of nearly equal size that together are the whole, in random order.

    Rows of one group stay together, so that what they share (a prompt) is computed once; where there are fewer groups
    than parts, rows of one bundle do, and where there are fewer bundles, some parts have no rows. One minibatch is the
    batch itself, in its own order. Each is divided by the same count, a `count`-th of the whole's.
    """
    if count == 1:
        yield training
        return
    groups, group = torch.unique(training.batch.group_B, return_inverse=True)
    single_units = training.batch.mask_B_T.shape[1] == 1
    key = training.batch.bundle_B if single_units or len(groups) < count else group
    key = torch.unique(key, return_inverse=True)[1].cpu().numpy()
    keys = int(key.max()) + 1 if len(key) else 0
    place = rng.permutation(keys)[key]
    order = np.argsort(place, kind="stable")
    ends = np.cumsum([len(part) for part in np.array_split(np.arange(keys), count)])
    counts = {name: getattr(training, name) / count for name in ("count", "target_count", "observed_count")}
    part = replace(training, **counts)
    part = part.rows(torch.from_numpy(order).to(group.device))  # once, so that each minibatch is a piece of it
    cuts = [0, *np.searchsorted(place[order], ends[:-1]).tolist(), len(order)]
    for start, end in pairwise(cuts):
        yield part.rows(slice(start, end))


def micro_batches(training: TrainingBatch, units: int | None, reader: object) -> Iterator[TrainingBatch]:
    """The parts that `passes` cuts for who reads them; the whole itself, where it is one pass; none without rows."""
    parts = passes(training.batch, units, reader) if len(training.share_B_T) else []
    for rows in parts:
        yield training if len(parts) == 1 else training.rows(rows)
