"""One collection of a stage, in which groups that are not learned from are sampled again (`collect.refill`).

    until every group is taken, and at most `refill` times:  as many new groups as were not, in their place

Not taken are the groups that `collect.gate` keeps out, and, where the method leaves them out, flat ones, in which all
episodes earned exactly the same: the dynamic sampling of DAPO (arXiv:2503.14476, eq. 11). What is not taken is counted
and kept as episodes, and leaves the batch. Which groups are new: those that a curriculum draws, or those `Behind` the
batch. Their numbers are far from those of any update, so that the groups of later updates stay theirs, and a resume
asks for the same ones. Where too few are taken in the end, the batch is smaller; where none is, see `gate`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import torch

from ...envs.vocabulary import Batch, Collection
from ..cluster.pool import Pool
from ..config.collect import Collect
from .gate import closed, gated, taken_rows

FAR = 2**20  # updates, of which no run has as many
More = Callable[[int, Sequence[int]], Sequence[int]]  # the k-th refill of a batch of which these groups are taken


def collected(
    pool: Pool,
    collect: Collect,
    groups: Sequence[int],
    more: More,
    *,
    seed: int,
    version: int,
    leave_out_flat: bool,
) -> Collection:
    """What `pool` collects for update `version`, as far as it is taken: `groups`, and `more` in the place of what is
    not."""

    def ask(groups: Sequence[int]) -> Collection:
        return pool.submit(groups, collect.group_size, seed=seed, version=version).result()

    parts = [ask(groups)]
    if not collect.refill:
        return gated(parts[0], collect.gate)
    rows = [taken_rows(parts[0], collect.gate, leave_out_flat=leave_out_flat)]
    for k in range(1, collect.refill + 1):
        taken = [group for batch in rows if batch is not None for group in torch.unique(batch.group_B).tolist()]
        if len(taken) == collect.groups:
            break
        parts.append(ask(more(k, taken)))
        rows.append(taken_rows(parts[-1], collect.gate, leave_out_flat=leave_out_flat))
    batches = [batch for batch in rows if batch is not None]
    return closed(Collection.join(parts), Batch.join(batches) if batches else None)


class Behind:
    """The groups behind those of batch `version`, as the world's order goes on and begins again:

        task of group g:   g mod M, of M `tasks` in turn (1 where they are no list)

    without those of tasks that are in the batch already. Of G groups none is there more than ⌈G/M⌉ times then, as in a
    batch of which all are taken, and what was not taken comes again when all others have come.
    """

    def __init__(self, collect: Collect, tasks: int, version: int) -> None:
        groups = collect.groups
        self._groups, self._tasks, self._most = groups, tasks, -(-groups // tasks)
        first = FAR * groups + version * (collect.refill + 1) * (groups + tasks)  # a refill passes by ⌈G/M⌉·M at most
        self._next = first + ((version + 1) * groups - first) % tasks

    def __call__(self, k: int, taken: Sequence[int]) -> list[int]:
        """As many as are missing beside `taken`."""
        there, new = Counter(group % self._tasks for group in taken), list[int]()
        while len(taken) + len(new) < self._groups:
            task = self._next % self._tasks
            if there[task] < self._most:
                there[task] += 1
                new.append(self._next)
            self._next += 1
        return new
