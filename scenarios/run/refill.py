"""One collection of a stage, in which groups that are not learned from are sampled again (`collect.refill`).

    until every group is taken, and at most `refill` times:  as many new groups as were not, in their place

Not taken are the groups that `collect.gate` keeps out, and, where the method leaves them out, flat ones, in which all
episodes earned exactly the same: the dynamic sampling of DAPO (arXiv:2503.14476, eq. 11). What is not taken is counted
and kept as episodes, and leaves the batch. New groups have numbers far behind those of any update, so that the groups
of later updates stay theirs, and a resume asks for the same ones. Where too few are taken in the end, the batch is
smaller; where none is, see `gate`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ...envs.vocabulary import Batch, Collection
from ..cluster.pool import Pool
from ..config.collect import Collect
from .gate import closed, gated, taken_rows

FAR = 2**20  # updates, of which no run has as many


def collected(
    pool: Pool,
    collect: Collect,
    groups_of: Callable[[int], Sequence[int]],
    *,
    seed: int,
    version: int,
    leave_out_flat: bool,
) -> Collection:
    """What `pool` collects for update `version`, as far as it is taken. `groups_of` gives the groups of a batch by its
    number; those of its k-th refill are the groups of batch `version` + k·`FAR`."""

    def ask(groups: Sequence[int]) -> Collection:
        return pool.submit(groups, collect.group_size, seed=seed, version=version).result()

    parts = [ask(groups_of(version))]
    if not collect.refill:
        return gated(parts[0], collect.gate)
    taken = [taken_rows(parts[0], collect.gate, leave_out_flat=leave_out_flat)]
    for k in range(1, collect.refill + 1):
        missing = collect.groups - sum(map(_groups, taken))
        if missing == 0:
            break
        parts.append(ask(groups_of(version + k * FAR)[:missing]))
        taken.append(taken_rows(parts[-1], collect.gate, leave_out_flat=leave_out_flat))
    batches = [batch for batch in taken if batch is not None]
    return closed(Collection.join(parts), Batch.join(batches) if batches else None)


def _groups(batch: Batch | None) -> int:
    return 0 if batch is None else len(torch.unique(batch.group_B))
