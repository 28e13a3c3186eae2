"""The clip: what becomes of a ratio that has gone far. Each kind maps log ρ and the sign of A to a factor of A.

    w = factor · A,    the gradient of −factor·A·log π with a constant factor = that of the textbook objective

    "silence"    ρ, and 0 where going on would be rewarded:        max(−ρA, −clip(ρ)A)              PPO, GRPO, GSPO
    "cap"        min(max(ρ, 1 − ε↓), 1 + ε↑): nobody is silenced   sg(clip(ρ))·A·log π              CISPO
    "geometric"  the sequence's exp(mean log ρ') of clipped ρ'     (Π ρ')^(1/n)·A                   GMPO
    "soft"       4σ(1 − σ)·ρ with σ = σ(τ(ρ − 1))                  (4/τ)·σ(τ(ρ − 1))·A              SAPO
    "kernel"     e^λ·ρᵏ·e^(−λρ), 1 at ρ = 1                        sg(kernel(ρ))·A·log π            VESPO

The first, third and fourth are exact because ∇ρ = ρ ∇log π; the others are constants by their own definition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .levels import Levels


class Clipped(NamedTuple):
    """All [B, T]."""

    factor_B_T: Tensor  # what A is multiplied by
    silent_B_T: Tensor  # bool: units that the clip silences or cuts
    objective_B_T: Tensor  # the textbook objective without penalty; factor · A where it has no value of its own


class Clip(Protocol):
    """The column."""

    def __call__(self, log_ratio_B_T: Tensor, advantage_B_T: Tensor, levels: Levels) -> Clipped:
        """`log_ratio_B_T` is 0 at masked-out units; so is nothing else that comes out."""
        ...

    @property
    def formula(self) -> str:
        """In place of ρ·A·keep."""
        ...


def _bounds(low: float | None, high: float | None) -> tuple[float, float]:
    """1 − ε↓ and 1 + ε↑; what is None does not bind."""
    return (1 - low if low is not None else -torch.inf), (1 + high if high is not None else torch.inf)


def _one_sided(ratio_B_T: Tensor, A: Tensor, low: float, high: float) -> Tensor:
    """bool [B, T]: A > 0 and ρ > high, or A < 0 and ρ < low."""
    return ((A > 0) & (ratio_B_T > high)) | ((A < 0) & (ratio_B_T < low))


@dataclass(frozen=True)
class Silence:
    """keep = not (A > 0 and ρ > 1 + ε↑, or A < 0 and ρ < 1 − ε↓, or A < 0 and ρ > c)

    PPO's clip (Schulman et al. 2017, arXiv:1707.06347, eq. 7). With c (`dual`) a bad action that has become likely
    since it was drawn is silenced as well (dual clip: Ye et al. 2019, arXiv:1912.09729, eq. 5).
    """

    low: float | None = None
    high: float | None = None
    dual: float | None = None

    def __call__(self, log_ratio_B_T: Tensor, advantage_B_T: Tensor, levels: Levels) -> Clipped:
        rho, A = log_ratio_B_T.exp(), advantage_B_T
        low, high = _bounds(self.low, self.high)
        silent = _one_sided(rho, A, low, high)
        # min(ρA, clip(ρ)A),   and   max(that, cA) where A < 0
        objective = torch.minimum(rho * A, rho.clamp(low, high) * A)
        if self.dual is not None:
            far = (A < 0) & (rho > self.dual)
            silent, objective = silent | far, torch.where(far, self.dual * A, objective)
        silent = levels.mask_B_T & silent
        return Clipped(rho.masked_fill(silent, 0.0), silent, objective)

    @property
    def formula(self) -> str:
        if self.low is None and self.high is None and self.dual is None:
            return "ρ·A"
        sides = [] if self.high is None else [f"A > 0 and ρ > {1 + self.high:g}"]
        sides += [] if self.low is None else [f"A < 0 and ρ < {1 - self.low:g}"]
        sides += [] if self.dual is None else [f"A < 0 and ρ > {self.dual:g}"]
        return f"ρ·A·1[not ({' or '.join(sides)})]"


@dataclass(frozen=True)
class Cap:
    """factor = min(max(ρ, 1 − ε↓), 1 + ε↑), a constant: every unit keeps its gradient, however far it has gone
    (CISPO: MiniMax 2025, arXiv:2506.13585, eq. 4)."""

    low: float | None = None
    high: float | None = None

    def __call__(self, log_ratio_B_T: Tensor, advantage_B_T: Tensor, levels: Levels) -> Clipped:
        rho = log_ratio_B_T.exp()
        factor = rho.clamp(*_bounds(self.low, self.high))
        return Clipped(factor, levels.mask_B_T & (factor != rho), factor * advantage_B_T)

    @property
    def formula(self) -> str:
        inner = "ρ" if self.low is None else f"max(ρ, {1 - self.low:g})"
        return f"{inner}·A" if self.high is None else f"min({inner}, {1 + self.high:g})·A"


@dataclass(frozen=True)
class Geometric:
    """factor = s·keep,   log s = (1/n) Σ log ρ',   ρ' = ρ clipped on the side to which A draws it

    The geometric mean of a sequence's ratios, each clipped by itself (GMPO: Zhao et al. 2025, arXiv:2507.20673, eq. 4).
    A clipped unit still counts in s and is silent itself. Exact with the mean over sequences.
    """

    low: float | None = None
    high: float | None = None

    def __call__(self, log_ratio_B_T: Tensor, advantage_B_T: Tensor, levels: Levels) -> Clipped:
        rho, A = log_ratio_B_T.exp(), advantage_B_T
        low, high = _bounds(self.low, self.high)
        silent = levels.mask_B_T & _one_sided(rho, A, low, high)
        kept = torch.where(silent, rho.clamp(low, high).log(), log_ratio_B_T)
        s = levels.mean(kept, "sequence").exp()
        return Clipped(s.masked_fill(silent, 0.0), silent, s * A)

    @property
    def formula(self) -> str:
        low, high = _bounds(self.low, self.high)
        return f"s·A·1[not (A > 0 and ρ > {high:.4g} or A < 0 and ρ < {low:.4g})],   s = exp(mean log clipped ρ)"


@dataclass(frozen=True)
class Soft:
    """factor = 4 σ(1 − σ)·ρ,   σ = σ(τ(ρ − 1)),   τ by the sign of A

    The gradient of (4/τ)·σ(τ(ρ − 1)): 1 at ρ = 1, and fading on both sides (SAPO: Gao et al. 2025, arXiv:2511.20347).
    """

    up: float = 1.0  # τ where A > 0
    down: float = 1.05  # τ where A ≤ 0

    def __call__(self, log_ratio_B_T: Tensor, advantage_B_T: Tensor, levels: Levels) -> Clipped:
        rho, A = log_ratio_B_T.exp(), advantage_B_T
        tau = torch.full_like(A, self.down).masked_fill(A > 0, self.up)
        gate = torch.sigmoid(tau * (rho - 1))
        # ∇(4/τ)σ(τ(ρ − 1)) = 4σ(1 − σ)·ρ·∇log π;   where σ is 1 to the last digit, ρ may be anything
        slope = 4 * gate * (1 - gate)
        factor = torch.where(slope > 0, slope * rho, 0.0)
        return Clipped(factor, torch.zeros_like(levels.mask_B_T), 4 / tau * gate * A)

    @property
    def formula(self) -> str:
        return f"4σ(1 − σ)·ρ·A,   σ = σ(τ(ρ − 1)), τ = {self.up:g} where A > 0, else {self.down:g}"


@dataclass(frozen=True)
class Kernel:
    """factor = e^λ · ρᵏ · e^(−λρ) = exp(λ + k·log ρ − λρ),   k and λ by the sign of A

    Shaped like a gamma density, 1 at ρ = 1: what has become unlikely and what has become too likely both fade, the
    sequence as a whole (VESPO: arXiv:2602.10693). Computed from log ρ: a long sequence's ρ overflows.
    """

    up_k: float = 2.0
    up_rate: float = 3.0
    down_k: float = 3.0
    down_rate: float = 2.0

    def __call__(self, log_ratio_B_T: Tensor, advantage_B_T: Tensor, levels: Levels) -> Clipped:
        up, nothing = advantage_B_T >= 0, torch.zeros_like(advantage_B_T)
        k = (nothing + self.down_k).masked_fill(up, self.up_k)
        rate = (nothing + self.down_rate).masked_fill(up, self.up_rate)
        # exp(λ + k·log ρ − λρ)
        factor = (rate + k * log_ratio_B_T - rate * log_ratio_B_T.exp()).exp()
        return Clipped(factor, torch.zeros_like(levels.mask_B_T), factor * advantage_B_T)

    @property
    def formula(self) -> str:
        up, down = f"({self.up_k:g}, {self.up_rate:g})", f"({self.down_k:g}, {self.down_rate:g})"
        return f"e^λ·ρᵏ·e^(−λρ)·A,   (k, λ) = {up} where A ≥ 0, else {down}"
