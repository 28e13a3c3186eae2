"""Coefficients that follow what the policy does: they belong to the learner, and are saved with it.

    β ← β/2 where KL < KL*/1.5,   2β where KL > 1.5 KL*        (the penalty form of PPO: arXiv:1707.06347, section 4)
    c ← max(0, c ± Δ) as H is below or above H*,   and c counts only where H ≤ H*        (Skywork-OR1: arXiv:2505.22312)

KL is that from the policy before an update to the one after it, in nats a unit. H is the mean entropy that an update
saw, in place of one measured before it in a pass of its own: the bonus is one update late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .method_row import Method
from .weighting import Weighting


class MovingCoefficients:
    """β and c of one method."""

    def __init__(self, method: Method) -> None:
        self._weighting, self._update = method.weighting, method.update
        self.beta, self.entropy = method.weighting.beta, method.update.entropy_coefficient
        self._counts = method.update.entropy_target is None

    @property
    def weighting(self) -> Weighting:
        """The method's, with β as it is now."""
        return self._weighting if self._weighting.kl_target is None else replace(self._weighting, beta=self.beta)

    @property
    def bonus(self) -> float:
        """By what entropy is multiplied in the loss, as it is now."""
        return self.entropy if self._counts else 0.0

    def move(self, kl: float | None, entropy: float | None) -> dict[str, float]:
        """Go on from what an update saw (None: it had nothing to see), and give what has moved as metrics."""
        moved = {}
        if (target := self._weighting.kl_target) is not None and kl is not None:
            # β ← β/2 where KL < KL*/1.5,   2β where KL > 1.5 KL*
            self.beta *= 0.5 if kl < target / 1.5 else 2.0 if kl > 1.5 * target else 1.0
            moved["kl/beta"] = self.beta
        if (goal := self._update.entropy_target) is not None and entropy is not None:
            # c ← max(0, c ± Δ),   counted where H ≤ H*
            step = self._update.entropy_step
            self.entropy = max(0.0, self.entropy + (step if entropy < goal else -step if entropy > goal else 0.0))
            self._counts = entropy <= goal
            moved["policy/entropy_coefficient"] = self.bonus
        return moved

    def state(self) -> dict[str, float | bool]:
        """Everything that the next update depends on."""
        return {"beta": self.beta, "entropy_coefficient": self.entropy, "entropy_counts": self._counts}

    def load_state(self, state: Mapping[str, float | bool]) -> None:
        """Go on from what `state` gave; other keys are left alone."""
        self.beta, self.entropy = float(state["beta"]), float(state["entropy_coefficient"])
        self._counts = bool(state["entropy_counts"])
