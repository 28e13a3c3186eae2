"""Aggregation: from a number per unit to one number, the choice that papers hide.

Every mode is a ratio of two sums over units u, with n(u) the number of units in u's sequence:

    Σ a(u) x(u) / Σ c(u)          a            c
    unit_mean                     1            1          mean over all units (DAPO, PPO)
    sequence_mean                 1/n(u)       1/n(u)     mean over sequences of the mean over units (GRPO)
    sequence_sum                  1            1/n(u)     mean over sequences of the sum over units (REINFORCE)
    constant_length               1/L          1/n(u)     the same, divided by a constant L (Dr. GRPO)

because Σ 1/n(u) counts sequences. Both sums are additive over units, so a batch that is split (micro-batches,
single units, ranks), packed or padded gives the same result if the denominator of the whole is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .shapes import check_rank, steps, sum_steps

Mode = Literal["unit_mean", "sequence_mean", "sequence_sum", "constant_length"]


@dataclass(frozen=True)
class Shares:
    """What the units of a part contribute to the mean over a larger whole."""

    share_B_T: Tensor  # a(u) of the table above, of each unit of the part
    total: Tensor | float  # Σ c(u) over the whole


def unit_shares(
    mask_B_T: Tensor,
    *,
    mode: Mode,
    length: int | None = None,
    end_B_T: Tensor | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """`a_B_T, c_B_T` of the table above (in `dtype`, zero at masked-out units): a unit's part of numerator and
    denominator. A row is one sequence unless `end_B_T` splits it. `ValueError` on an unknown mode, or if
    `length` is missing for "constant_length" or given for another mode."""
    check_rank(2, mask_B_T=mask_B_T, end_B_T=end_B_T)
    if (mode == "constant_length") != (length is not None):
        raise ValueError(f"length belongs to mode 'constant_length' and to no other; got {mode=}, {length=}")
    if length is not None and length < 1:
        raise ValueError(f"length must be at least 1, got {length}")
    one = mask_B_T.to(dtype)
    if mode == "unit_mean":
        return one, one
    walk = steps(mask_B_T, None, end_B_T, "trajectory")
    size_B_T = sum_steps(one, mask_B_T, walk).gather(1, walk.index_B_T)
    # 1/n(u)
    part = torch.where(mask_B_T, 1 / size_B_T.clamp(min=1), 0.0)
    if mode == "sequence_mean":
        return part, part
    if mode == "sequence_sum":
        return one, part
    if mode == "constant_length":
        return one / (length or 1), part
    raise ValueError(f"mode must be 'unit_mean', 'sequence_mean', 'sequence_sum' or 'constant_length', got {mode!r}")


def reduce(
    value_B_T: Tensor,
    mask_B_T: Tensor,
    *,
    mode: Mode = "unit_mean",
    length: int | None = None,
    shares: Shares | None = None,
) -> Tensor:
    """The mean of `value_B_T` [B, T] in the sense of `mode`: a scalar, 0 if no unit is in the mask.

    Values at masked-out units may be anything, NaN included, and their gradient is exactly zero. A row is one
    sequence; rows without units do not count. `shares`, when these rows are a part of a larger whole, says
    instead of `mode` what each unit contributes.
    """
    check_rank(2, value_B_T=value_B_T, mask_B_T=mask_B_T)
    if shares is None:
        a_B_T, c_B_T = unit_shares(mask_B_T, mode=mode, length=length, dtype=value_B_T.dtype)
        shares = Shares(a_B_T, c_B_T.sum().clamp(min=torch.finfo(c_B_T.dtype).tiny))
    # Σ a(u) x(u) / Σ c(u)
    return (torch.where(mask_B_T, value_B_T, 0.0) * shares.share_B_T).sum() / shares.total
