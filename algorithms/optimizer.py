"""The optimiser's settings, and how its step size follows the KL divergence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from ..envs.quantities import Count, NotNegative, Positive, whole

ADAPTED_RANGE = 30.0  # by which factor a step size may leave the one that was asked for


@dataclass(frozen=True)
class OptimizerSettings:
    """AdamW and how its step size moves."""

    lr: Positive = 3e-4
    schedule: Literal["constant", "linear", "adaptive_kl"] = "constant"
    """linear: to zero at the end of the budget. adaptive_kl: divided or multiplied by 1.5 after each step
    that leaves the KL to the old policy above twice or below half of `target_kl` (Rudin et al. 2022, arXiv:2109.11978).
    It is measured on the minibatch that follows, and after the last step of an update on its own."""
    target_kl: Positive = 0.015
    warmup: Annotated[int, whole(0)] = 0
    """Updates over which the step size rises to `lr`: Adam's first steps have no scale yet and are as long as it
    lets them be, which can cost a policy the variety that it would have learned from."""
    weight_decay: NotNegative = 0.0
    eps: Positive = 1e-8
    max_grad_norm: Positive = 1.0
    micro_batch: Count | None = None  # most units (with padding) in one forward pass; None: the whole minibatch


def adapted(lr: float, kl: float, settings: OptimizerSettings) -> float:
    """The next step size under the adaptive schedule.

    α ← α/1.5 where KL > 2·KL*,   1.5·α where KL < KL*/2,   within [α₀/30, 30·α₀]
    """
    # α ← max(α₀/30, α/1.5) where KL > 2 KL*,   min(30 α₀, 1.5 α) where KL < KL*/2
    if kl > 2 * settings.target_kl:
        return max(settings.lr / ADAPTED_RANGE, lr / 1.5)
    if kl < settings.target_kl / 2:
        return min(settings.lr * ADAPTED_RANGE, lr * 1.5)
    return lr
