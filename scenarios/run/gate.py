"""Which of the collected groups are learned from (`collect.gate`).

    taken(g) = low ≤ successes(g) / scored episodes(g) ≤ high

What is not taken is counted and kept as episodes, and leaves the batch: no mean over the batch knows it. Where nothing
is taken there is no batch without it; then it stays, and its rows have no weight (`left_out_B`), so that the update
takes no step and moves nothing. A scored episode of which its world does not say that it succeeded has not, whatever
the others of its batch say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from ...algorithms.flat_groups import flat_groups
from ...envs.vocabulary import Batch, Collection, Episode


def taken_rows(collection: Collection, gate: Sequence[float] | None, *, leave_out_flat: bool) -> Batch | None:
    """The rows of the groups that `gate` lets through; without flat groups, if these are to be left out. None where
    there is none."""
    batch = collection.batch
    if batch is None:
        return None
    taken_B = torch.ones_like(batch.group_B, dtype=torch.bool)
    if gate is not None:
        low, high = gate
        groups = [group for group, share in success_shares(collection.episodes).items() if low <= share <= high]
        taken_B &= torch.isin(batch.group_B, torch.tensor(groups, dtype=torch.long))
    if leave_out_flat:
        taken_B &= ~flat_groups(batch)
    rows = torch.nonzero(taken_B)[:, 0]
    return batch.rows(rows) if len(rows) else None


def gated(collection: Collection, gate: Sequence[float] | None) -> Collection:
    """`collection` with what of its batch is taken."""
    return collection if gate is None else closed(collection, taken_rows(collection, gate, leave_out_flat=False))


def closed(collection: Collection, taken: Batch | None) -> Collection:
    """`collection` with the batch `taken`; where nothing is, with its own, from which nothing is learned."""
    batch = taken
    if batch is None and collection.batch is not None:
        left_out_B = torch.ones_like(collection.batch.group_B, dtype=torch.bool)
        batch = replace(collection.batch, notes={**collection.batch.notes, "left_out_B": left_out_B})
    return replace(collection, batch=batch)


def success_shares(episodes: Sequence[Episode]) -> dict[int, float]:
    """The share of successes among the scored episodes of each group."""
    groups: dict[int, list[bool]] = {}
    for episode in episodes:
        if episode.reward is not None:
            groups.setdefault(episode.group, []).append(episode.success is True)
    return {group: sum(successes) / len(successes) for group, successes in groups.items()}


def taken_share(collection: Collection) -> float:
    """Of the groups with a scored episode, the share from which something is learned; 0 where there is none."""
    scored, batch = {episode.group for episode in collection.episodes if episode.reward is not None}, collection.batch
    if batch is None or "left_out_B" in batch.notes or not scored:
        return 0.0
    return len(torch.unique(batch.group_B)) / len(scored)
