"""Which rows of a batch one forward pass takes: few positions that are padding, and what can be shared together.

Rows of a group begin alike, and those of a bundle (an episode) belong together in a loss. Groups come in the order of
their longest row, so that rows of one length meet, and a pass ends before the first bundle that would make its rows
times its longest row more than the budget. Every sum over parts is divided by counts of the whole, so that the order
changes nothing beyond rounding.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..envs.vocabulary import Batch


def passes(batch: Batch, units: int | None) -> list[Tensor]:
    """Numbers of rows, int [b] for each pass: at most `units` positions each (padding counted), but at least one whole
    bundle; all rows in their own order where they fit. A row is as long as `length_B` of its inputs says, and has all
    T positions where they do not say it."""
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
    ends = np.flatnonzero(np.diff(bundle[order])) + 1
    cuts, first, widest = [], 0, 0
    for start, end in zip([0, *ends], [*ends, rows], strict=True):
        width = int(length[order[start:end]].max())
        if start > first and max(widest, width) * (end - first) > units:
            cuts.append(start)
            first, widest = start, 0
        widest = max(widest, width)
    return [torch.from_numpy(part).to(device) for part in np.split(order, cuts)]
