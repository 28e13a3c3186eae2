"""Which rows of a batch one forward pass takes: few positions that are padding, and what can be shared together.

Rows of a group begin alike, and those of a bundle (an episode) belong together in a loss. Groups come in the order of
their longest row, so that rows of one length meet, and a pass ends before the first bundle that would make it read more
positions than the budget: its rows times the longest of them, or, of a policy that computes what rows begin with alike
once (`Sharing`), what each row adds to the one before it. Every sum over parts is divided by counts of the whole, so
that the order changes nothing beyond rounding.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..agents.protocols import Sharing
from ..envs.vocabulary import Batch

Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


def passes(batch: Batch, units: int | None, reader: object) -> list[Tensor]:
    """Numbers of rows, int [b] for each pass: at most `units` positions each, as `reader` reads them, but at least one
    whole bundle; all rows in their own order where they fit. A row is as long as `length_B` of its inputs says, and has
    all T positions where they do not say it."""
    rows, T = batch.mask_B_T.shape
    device = batch.mask_B_T.device
    if units is None or rows * T <= units:
        return [torch.arange(rows, device=device)]
    length_B = batch.inputs.get("length_B", torch.full_like(batch.group_B, T))
    read = torch.stack([batch.group_B, batch.bundle_B, length_B.to(batch.group_B)]).tolist()  # the host waits once
    group, bundle, length = (np.asarray(column, dtype=np.int64) for column in read)
    if rows * int(length.max()) <= units:
        return [torch.arange(rows, device=device)]
    numbers = np.unique(group, return_inverse=True)[1]
    longest = np.zeros(numbers.max() + 1, dtype=np.int64)
    np.maximum.at(longest, numbers, length)
    order = np.lexsort((bundle, group, longest[numbers]))
    added = None
    if isinstance(reader, Sharing):
        added = reader.positions({name: x[torch.from_numpy(order).to(device)] for name, x in batch.inputs.items()})
    length = length[order]
    size = _padded(length) if added is None else _shared(length, added.cpu().numpy())
    if size(0, rows) <= units:
        return [torch.arange(rows, device=device)]
    cuts, first = [], 0
    ends = np.flatnonzero(np.diff(bundle[order])) + 1
    for start, end in itertools.pairwise([0, *ends.tolist(), rows]):
        if start > first and size(first, end) > units:
            cuts.append(start)
            first = start
    return [torch.from_numpy(part).to(device) for part in np.split(order, cuts)]


def _padded(length: Ints) -> Callable[[int, int], int]:
    """Positions of a pass over the rows from one number to another: as many columns as the longest has."""
    return lambda first, end: (end - first) * int(length[first:end].max())


def _shared(length: Ints, added: Ints) -> Callable[[int, int], int]:
    """The same, where each row but the first adds so many."""
    until = np.concatenate([[0], np.cumsum(added)])
    return lambda first, end: int(length[first] + until[end] - until[first + 1])
