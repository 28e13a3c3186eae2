"""Checks of rank and shape on entry to the public mathematics, and the one walk over units that it shares.

A *step* is what a choice of granularity makes one decision: a unit, a turn or a whole trajectory. Every
estimator that works per unit works per turn and per trajectory after `steps` has numbered them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Granularity = Literal["unit", "turn", "trajectory"]


def check_rank(rank: int, **tensors: Tensor | None) -> None:
    """`ValueError` unless every given tensor has `rank` dimensions and all have one shape."""
    given = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    first_name, first = next(iter(given.items()))
    for name, tensor in given.items():
        if tensor.ndim != rank:
            raise ValueError(f"{name} must have rank {rank}, got shape {tuple(tensor.shape)}")
        if tensor.shape != first.shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, but {first_name} has {tuple(first.shape)}")


@dataclass(frozen=True)
class Steps:
    """Which step each unit belongs to."""

    index_B_T: Tensor  # int: number of the step within its row; 0 at masked-out units (use with a mask)
    begins_B_T: Tensor  # bool: first unit of its step
    count: int  # K, the largest number of steps in a row (at least 1)


def steps(mask_B_T: Tensor, turn_B_T: Tensor | None, end_B_T: Tensor | None, granularity: Granularity) -> Steps:
    """Number the steps of every row, as if masked-out units were not there.

    A unit begins a step if it is its row's first, follows an end, or (granularity "unit") always, or
    (granularity "turn") its turn differs from that of the unit before it.
    """
    if granularity == "unit":
        begins = mask_B_T
    else:
        position = torch.arange(mask_B_T.shape[1], device=mask_B_T.device).expand(mask_B_T.shape)
        latest = torch.where(mask_B_T, position, -1).cummax(dim=1).values
        before = torch.nn.functional.pad(latest, (1, -1), value=-1)  # the unit before this one, −1: none
        begins = before < 0
        if end_B_T is not None:
            begins = begins | end_B_T.gather(1, before.clamp(min=0))
        if granularity == "turn":
            if turn_B_T is None:
                raise ValueError("turn_B_T is needed where the granularity or level is 'turn'")
            begins = begins | (turn_B_T != turn_B_T.gather(1, before.clamp(min=0)))
        begins = begins & mask_B_T
    index = (begins.cumsum(dim=1) - 1).clamp(min=0)
    count = int(index.max()) + 1 if index.numel() else 1
    return Steps(torch.where(mask_B_T, index, 0), begins, count)


def sum_steps(value_B_T: Tensor, mask_B_T: Tensor, walk: Steps) -> Tensor:
    """[B, K]: the sum of `value` over the units of each step."""
    value = torch.where(mask_B_T, value_B_T, torch.zeros_like(value_B_T))
    total = value.new_zeros(value.shape[0], walk.count)
    return total.scatter_add_(1, walk.index_B_T, value)
