"""The penalty for leaving an anchor, and its slope: what a weight loses.

    w ← w − β·∂k/∂log π

    towards the reference   k(log π, log π_ref) of KL(π ‖ π_ref):   ∂k1 = 1,    ∂k2 = d,   ∂k3 = 1 − e^(−d)
    towards the old policy  k(log π_old, log π) of KL(π_old ‖ π):   ∂k1 = −1,   ∂k2 = d,   ∂k3 = e^d − 1

with d = log π − log anchor. As a loss k1 teaches nothing about the reference: ∇k1 = ∇log π is zero on average; it is
here to be compared. The second line is the penalty form of PPO (Schulman et al. 2017, arXiv:1707.06347, eq. 8), whose
samples are the old policy's own.

In the reward of each unit it is another thing, and k1 is what fits: with r ← r − β·k1 the expected return is that of
the world less β·KL(π ‖ π_ref) of whole sequences, exactly (Ouyang et al. 2022, arXiv:2203.02155, eq. 2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..envs.vocabulary import Batch
from .weights import MOST_NATS, KLKind, kl_estimate

Anchor = Literal["reference", "old"]


class Penalized(NamedTuple):
    """Both [B, T], without β."""

    penalty_B_T: Tensor
    slope_B_T: Tensor  # ∂(penalty)/∂log π


@dataclass(frozen=True)
class Penalty:
    """The column. With `ratio` the estimate is multiplied by ρ = π/π_old, which keeps it unbiased when several steps
    are made on one batch: E_old[ρ·k] is the KL of the policy as it is now (DeepSeek-V3.2, arXiv:2512.02556)."""

    kind: KLKind
    ratio: bool = False
    to: Anchor = "reference"

    def __call__(self, logp_B_T: Tensor, anchor_logp_B_T: Tensor, old_logp_B_T: Tensor) -> Penalized:
        d = logp_B_T - anchor_logp_B_T
        if self.to == "old":
            penalty = kl_estimate(anchor_logp_B_T, logp_B_T, kind=self.kind)
            slope = {"k1": -torch.ones_like(d), "k2": d, "k3": torch.expm1(d.clamp(max=MOST_NATS))}[self.kind]
        else:
            penalty = kl_estimate(logp_B_T, anchor_logp_B_T, kind=self.kind)
            slope = {"k1": torch.ones_like(d), "k2": d, "k3": -torch.expm1((-d).clamp(max=MOST_NATS))}[self.kind]
        if not self.ratio:
            return Penalized(penalty, slope)
        rho = (logp_B_T - old_logp_B_T).clamp(max=MOST_NATS).exp()
        # ∇(ρ k) = ρ (k + k′) ∇log π
        return Penalized(rho * penalty, rho * (penalty + slope))

    @property
    def formula(self) -> str:
        """∂k/∂log π."""
        slopes = {
            "reference": {"k1": "1", "k2": "log(π/π_ref)", "k3": "(1 − π_ref/π)"},
            "old": {"k1": "(−1)", "k2": "log(π/π_old)", "k3": "(π/π_old − 1)"},
        }
        slope = slopes[self.to][self.kind]
        bare = slope[1:-1] if slope.startswith("(") else slope
        return f"(π/π_old)·({self.kind} + {bare})" if self.ratio else slope


def penalized_rewards(batch: Batch, logp_B_T: Tensor, reference_logp_B_T: Tensor, *, beta: float) -> Batch:
    """The batch with r ← r − β·(log π − log π_ref) at every unit, π the policy before the update."""
    k1_B_T = torch.where(batch.mask_B_T, kl_estimate(logp_B_T, reference_logp_B_T, kind="k1"), 0.0)
    return replace(batch, reward_B_T=batch.reward_B_T - beta * k1_B_T.to(batch.reward_B_T.dtype))
