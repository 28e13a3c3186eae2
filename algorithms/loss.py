"""The loss. There is one:

    L(θ) = − Σ w · log π_θ(y | x)     (aggregated; w is a constant)

Supervised fine-tuning is w = 1 on somebody else's y; rejection sampling w ∈ {0, 1} on one's own; REINFORCE lets w be
negative; PPO, GRPO and their relatives differ in which unit gets its own w, and how strong it is. The *value* of this
loss means nothing, only its gradient does; the textbook surrogate is logged beside it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .aggregate import Mode, Shares, reduce
from .shapes import check_rank


def policy_loss(
    logp_B_T: Tensor,
    weight_B_T: Tensor,
    mask_B_T: Tensor,
    *,
    mode: Mode = "unit_mean",
    length: int | None = None,
    shares: Shares | None = None,
) -> Tensor:
    """− aggregate(w · log π): a scalar. All arguments are [B, T]; `weight_B_T` is treated as a constant.
    `mode`, `length` and `shares` are those of `aggregate.reduce`."""
    check_rank(2, logp_B_T=logp_B_T, weight_B_T=weight_B_T, mask_B_T=mask_B_T)
    # L = − Σ a(u) w(u) log π(u) / Σ c(u)
    return -reduce(weight_B_T.detach() * logp_B_T, mask_B_T, mode=mode, length=length, shares=shares)


def squared_error(value_B_T: Tensor, target_B_T: Tensor, old_value_B_T: Tensor, *, clip: float | None = None) -> Tensor:
    """½ (V − target)² per unit, [B, T]. With `clip` = ε, the worse of that and the error of V kept within
    ε of what it was before the update (PPO's value clipping)."""
    # e = (V − target)²
    error = (value_B_T - target_B_T) ** 2
    if clip is not None:
        # e ← max(e, (V_old + clip(V − V_old, ±ε) − target)²)
        kept = old_value_B_T + (value_B_T - old_value_B_T).clamp(-clip, clip)
        error = torch.maximum(error, (kept - target_B_T) ** 2)
    return 0.5 * error
