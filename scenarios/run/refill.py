"""One collection of a stage, in which groups without information are sampled again (`collect.refill`).

    until every group differs, and at most `refill` times:  as many new groups as were flat, in their place

This is the dynamic sampling of DAPO (arXiv:2503.14476, eq. 11). A group is flat where all its episodes earned exactly
the same. What was flat is counted and kept as episodes, and leaves the batch. New groups have numbers far behind those
of any update, so that the groups of later updates stay theirs, and a resume asks for the same ones. Where too few
differ in the end, the batch is smaller; where none does, it stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from ...algorithms.flat_groups import flat_groups
from ...envs.vocabulary import Batch, Collection
from ..cluster.pool import Pool
from ..config.schema import Collect

_FAR = 2**20  # updates, of which no run has as many


def collected(
    pool: Pool, collect: Collect, groups_of: Callable[[int], Sequence[int]], *, seed: int, version: int
) -> Collection:
    """What `pool` collects for update `version`. `groups_of` gives the groups of a batch by its number."""

    def ask(groups: Sequence[int]) -> Collection:
        return pool.submit(groups, collect.group_size, seed=seed, version=version).result()

    parts = [ask(groups_of(version))]
    if not collect.refill:
        return parts[0]
    taught = [_informative(parts[0].batch)]
    for k in range(1, collect.refill + 1):
        missing = collect.groups - sum(map(_groups, taught))
        if missing == 0:
            break
        parts.append(ask(groups_of(version + k * _FAR)[:missing]))
        taught.append(_informative(parts[-1].batch))
    batches = [batch for batch in taught if batch is not None]
    whole = Collection.join(parts)
    return replace(whole, batch=Batch.join(batches)) if batches else whole


def _informative(batch: Batch | None) -> Batch | None:
    """The rows whose groups are not flat; None where there are none."""
    if batch is None:
        return None
    rows = torch.nonzero(~flat_groups(batch))[:, 0]
    return batch.rows(rows) if len(rows) else None


def _groups(batch: Batch | None) -> int:
    return 0 if batch is None else len(torch.unique(batch.group_B))
