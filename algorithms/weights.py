"""Ratios and divergences between two policies: what weights are made of (`weighting` puts them together).

    ρ = π / π_old,    k1 = d,   k2 = d²/2,   k3 = e^(−d) − 1 + d    with d = log π − log π_ref

k1 and k3 are unbiased for KL(π ‖ π_ref) under samples of π, k2 is not; only k1 may be negative (Schulman 2020,
"Approximating KL divergence").

Differences count up to 20 nats wherever they are an exponent: e^20 says as much as any number that is larger, and a
weight made of two such factors is still one (the bound of verl, Sheng et al. 2024, arXiv:2409.19256).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from .levels import Level, Levels
from .shapes import check_rank

KLKind = Literal["k1", "k2", "k3"]
MOST_NATS = 20.0  # to which an exponent is cut


def importance_ratio(
    logp_B_T: Tensor,
    behavior_logp_B_T: Tensor,
    mask_B_T: Tensor,
    *,
    level: Level = "unit",
    turn_B_T: Tensor | None = None,
    end_B_T: Tensor | None = None,
) -> Tensor:
    """ρ = exp(mean over the level's units of (log π − log π_behavior)), given to each of those units.

    "unit": the plain ratio. "turn", "sequence": the geometric mean over the turn or the episode; a row is one
    episode unless `end_B_T` splits it. All arguments are [B, T]; returns [B, T], 1 at masked-out units.
    """
    check_rank(2, logp_B_T=logp_B_T, behavior_logp_B_T=behavior_logp_B_T, mask_B_T=mask_B_T)
    # log ρ = (1/n) Σ_{u in the level} (log π − log π_behavior)
    return Levels(mask_B_T, turn_B_T, end_B_T).mean(logp_B_T - behavior_logp_B_T, level).exp()


def kl_estimate(logp: Tensor, reference_logp: Tensor, *, kind: KLKind) -> Tensor:
    """An estimate of KL(π ‖ π_ref) from samples of π, elementwise, with d = log π − log π_ref.

    k1 = d (unbiased, may be negative); k2 = d²/2 (biased, never negative);
    k3 = e^(−d) − 1 + d (unbiased, never negative). Same shape as the arguments.
    """
    if logp.shape != reference_logp.shape:
        raise ValueError(f"reference_logp has shape {tuple(reference_logp.shape)}, but logp has {tuple(logp.shape)}")
    d = logp - reference_logp
    if kind == "k1":
        # k1 = d
        return d
    if kind == "k2":
        # k2 = d²/2
        return 0.5 * d**2
    if kind == "k3":
        # k3 = e^(−d) − 1 + d
        return torch.expm1((-d).clamp(max=MOST_NATS)) + d
    raise ValueError(f"kind must be 'k1', 'k2' or 'k3', got {kind!r}")


def most_uncertain(entropy_B_T: Tensor, mask_B_T: Tensor, share: float) -> Tensor:
    """bool [B, T]: the `share` of units with the highest entropy (at least one). A choice over a whole batch: of a part
    of it, other units would be the most uncertain (Wang et al. 2025, arXiv:2506.01939)."""
    chosen = entropy_B_T[mask_B_T]
    if not chosen.numel():
        return mask_B_T
    keep = max(1, round(share * chosen.numel()))
    return mask_B_T & (entropy_B_T >= chosen.topk(keep).values[-1])
