"""Trust regions beside the ratio: which units, or whole sequences, the policy has left too far behind.

    gap        keep where  A > 0: p − q ≤ ε   and   A < 0: p − q ≥ −ε,      p = π(y), q = μ(y)
    both sides keep where  |p − q| ≤ ε, whatever the sign of A
    stale      drop a sequence where  A < 0  and  mean(log μ − log π) > δ

A ratio of 10 at a probability of 1e-5 moves next to nothing, one of 1.2 at 0.7 a lot: the gap sees how far the
distribution has moved, the ratio does not. μ is who acted. Kept units are 1, others 0; [B, T].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from .levels import Levels


@dataclass(frozen=True)
class Gap:
    """1[p − q within ε], on the side to which A draws ("towards": DPPO with the binary total variation, Qi et al. 2026,
    arXiv:2602.04879) or on both ("both": prime-rl). Of probabilities: densities have no such scale."""

    most: float
    sides: Literal["towards", "both"] = "towards"

    def __call__(self, logp_B_T: Tensor, behavior_logp_B_T: Tensor, advantage_B_T: Tensor) -> Tensor:
        # p − q
        gap = logp_B_T.exp() - behavior_logp_B_T.exp()
        if self.sides == "both":
            return gap.abs() <= self.most
        A = advantage_B_T
        return ~((A > 0) & (gap > self.most) | (A < 0) & (gap < -self.most))

    @property
    def formula(self) -> str:
        """As a factor of w."""
        if self.sides == "both":
            return f"1[|p − q| ≤ {self.most:g}]"
        return f"1[not (A > 0 and p − q > {self.most:g} or A < 0 and p − q < −{self.most:g})]"


@dataclass(frozen=True)
class Stale:
    """1 − 1[A < 0 and mean over the sequence of (log μ − log π) > δ]: a bad sequence that the policy would hardly draw
    any more is no evidence against it (off-policy sequence masking: DeepSeek-V3.2, arXiv:2512.02556)."""

    most: float

    def __call__(self, logp_B_T: Tensor, behavior_logp_B_T: Tensor, advantage_B_T: Tensor, levels: Levels) -> Tensor:
        # mean (log μ − log π) > δ
        gone = levels.mean(behavior_logp_B_T - logp_B_T, "sequence") > self.most
        return ~(gone & (advantage_B_T < 0))

    @property
    def formula(self) -> str:
        """As a factor of w."""
        return f"1[not (A < 0 and mean_sequence(log μ − log π) > {self.most:g})]"


Trust = Gap | Stale
