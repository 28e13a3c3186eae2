"""Weights: from an advantage to the constant that multiplies each log-likelihood.

    w = ρ · A · keep − β · (∂KL/∂log π),    keep = not ((A > 0 and ρ > 1 + ε↑) or (A < 0 and ρ < 1 − ε↓))

The gradient of −Σ w · log π is then *exactly* the gradient of the textbook surrogate:
PPO's max(−ρA, −clip(ρ)A) because ∇ρ = ρ ∇log π where the clip does not bind and 0 where it does
(Schulman et al. 2017, arXiv:1707.06347, eq. 7); the same with a sequence's ratio for GSPO (arXiv:2507.18071); and
the KL penalties because ∇k2 = log(π/π_ref) ∇log π, ∇k3 = (1 − π_ref/π) ∇log π (Schulman 2020, "Approximating KL
divergence"). ∇k1 = ∇log π, which is zero on average: as a loss k1 teaches nothing, and is here to be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from ..envs.quantities import NotNegative, Positive, Share, real
from .corrections import Correction, importance_correction
from .episode_rows import episode_rows
from .shapes import check_rank, steps, sum_steps

Level = Literal["unit", "turn", "sequence"]
KLKind = Literal["k1", "k2", "k3"]


@dataclass(frozen=True)
class Weighting:
    """How a method turns advantages into weights."""

    ratio: Literal["unit", "turn", "sequence"] | None = None
    clip_low: Share | None = None  # ε↓; None: no lower clip
    clip_high: NotNegative | None = None  # ε↑; None: no upper clip
    kl: Literal["k1", "k2", "k3"] | None = None  # penalty towards the reference policy
    beta: NotNegative = 0.0  # strength of that penalty
    kl_ratio: bool = False
    """Whether the penalty is multiplied by ρ = π/π_old, which keeps it unbiased when several steps are made on one
    batch: E_old[ρ·k] is the KL of the policy as it is now."""
    correction: Positive | None = None
    """C of truncated importance sampling, min(π_old/π_behavior, C), for a sampler whose log-probabilities
    differ from the trainer's (other precision, other engine, older weights). None: the sampler's are taken as exact,
    and the method's own ratio is that to the sampler."""
    correction_level: Literal["unit", "sequence"] = "unit"  # whose ratio that is
    correction_kind: Literal["truncate", "mask", "band"] = "truncate"  # see `corrections`
    entropy_share: Annotated[float, real(above=0, most=1, percent=2)] = 1.0
    """Only this share of units, those of highest entropy, is trained (Wang et al. 2025, arXiv:2506.01939)."""


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
    check_rank(
        2,
        logp_B_T=logp_B_T,
        behavior_logp_B_T=behavior_logp_B_T,
        mask_B_T=mask_B_T,
        turn_B_T=turn_B_T,
        end_B_T=end_B_T,
    )
    difference = torch.where(mask_B_T, logp_B_T - behavior_logp_B_T, 0.0)
    if level in ("turn", "sequence"):
        walk = steps(mask_B_T, turn_B_T, end_B_T, "turn" if level == "turn" else "trajectory")
        size_B_K = sum_steps(torch.ones_like(difference), mask_B_T, walk).clamp(min=1)
        # log ρ = (1/n) Σ_{u in the level} (log π − log π_behavior)
        mean_B_K = sum_steps(difference, mask_B_T, walk) / size_B_K
        difference = torch.where(mask_B_T, mean_B_K.gather(1, walk.index_B_T), 0.0)
    elif level != "unit":
        raise ValueError(f"level must be 'unit', 'turn' or 'sequence', got {level!r}")
    return difference.exp()


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
        return torch.expm1(-d) + d
    raise ValueError(f"kind must be 'k1', 'k2' or 'k3', got {kind!r}")


@dataclass(frozen=True)
class Weighted:
    """Weights and what one wants to log about them; all [B, T], detached."""

    weight_B_T: Tensor
    ratio_B_T: Tensor
    clipped_B_T: Tensor  # bool: units that the clip silences
    surrogate_B_T: Tensor  # the textbook objective, min(ρA, clip(ρ)A) − β·KL: to be looked at, not optimised
    corrected_B_T: Tensor | None = None  # bool: units that a correction cuts or masks; None without one


@torch.no_grad()
def policy_weight(
    logp_B_T: Tensor,
    advantage_B_T: Tensor,
    mask_B_T: Tensor,
    weighting: Weighting,
    *,
    old_logp_B_T: Tensor,
    behavior_logp_B_T: Tensor | None = None,
    reference_logp_B_T: Tensor | None = None,
    trained_B_T: Tensor | None = None,
    episode_B: Tensor | None = None,
    turn_B_T: Tensor | None = None,
    end_B_T: Tensor | None = None,
) -> Weighted:
    """The weight of every unit under the current log-probabilities; everything [B, T].

    `old_logp_B_T` is the trainer's log-probability before the update, `behavior_logp_B_T` the sampler's (used
    by the correction only), `reference_logp_B_T` the reference policy's (needed where there is a KL penalty).
    `trained_B_T` (bool) are the units that are trained at all, chosen on the whole batch (`most_uncertain`). Rows with
    equal `episode_B` are one sequence, and all of them must be here.
    """
    A, zero, corrected = advantage_B_T, torch.zeros_like(logp_B_T), None
    if weighting.ratio is None:
        ratio = torch.ones_like(logp_B_T)
    else:
        ratio = _ratio(logp_B_T, old_logp_B_T, mask_B_T, weighting.ratio, turn_B_T, end_B_T, episode_B)
    low = 1 - weighting.clip_low if weighting.clip_low is not None else -torch.inf
    high = 1 + weighting.clip_high if weighting.clip_high is not None else torch.inf
    # keep = not (A > 0 and ρ > 1 + ε_high  or  A < 0 and ρ < 1 − ε_low)
    clipped = mask_B_T & (((A > 0) & (ratio > high)) | ((A < 0) & (ratio < low)))
    # w = ρ A keep,   to be compared with   min(ρ A, clip(ρ, 1 − ε_low, 1 + ε_high) A)
    weight = torch.where(clipped, zero, ratio * A)
    surrogate = torch.minimum(ratio * A, ratio.clamp(low, high) * A)
    if weighting.correction is not None:
        if behavior_logp_B_T is None:
            raise ValueError("behavior_logp_B_T is needed where the weighting has a correction")
        trust, corrected = _trust(old_logp_B_T, behavior_logp_B_T, mask_B_T, weighting, end_B_T, episode_B)
        # w ← w min(π_old / π_behavior, C)
        weight, surrogate = weight * trust, surrogate * trust
    if weighting.entropy_share < 1 and trained_B_T is None:
        raise ValueError("trained_B_T is needed where entropy_share < 1: it is chosen on the whole batch")
    if trained_B_T is not None:
        weight = torch.where(trained_B_T, weight, zero)
    if weighting.kl is not None:
        if reference_logp_B_T is None:
            raise ValueError(f"reference_logp_B_T is needed for the KL penalty {weighting.kl!r}")
        penalty, slope = _penalty(logp_B_T, old_logp_B_T, reference_logp_B_T, mask_B_T, weighting)
        # w ← w − β ∂k/∂log π
        weight = weight - weighting.beta * slope
        surrogate = surrogate - weighting.beta * penalty
    weight, surrogate = torch.where(mask_B_T, weight, zero), torch.where(mask_B_T, surrogate, zero)
    return Weighted(weight, ratio, clipped, surrogate, corrected)


def _trust(
    old_logp_B_T: Tensor,
    behavior_logp_B_T: Tensor,
    mask_B_T: Tensor,
    weighting: Weighting,
    end_B_T: Tensor | None,
    episode_B: Tensor | None,
) -> Correction:
    """The correction that `weighting` asks for."""
    assert weighting.correction is not None, "whoever asks has one"
    return importance_correction(
        old_logp_B_T,
        behavior_logp_B_T,
        mask_B_T,
        most=weighting.correction,
        level=weighting.correction_level,
        kind=weighting.correction_kind,
        end_B_T=end_B_T,
        episode_B=episode_B,
    )


def _penalty(
    logp_B_T: Tensor, old_logp_B_T: Tensor, reference_logp_B_T: Tensor, mask_B_T: Tensor, weighting: Weighting
) -> tuple[Tensor, Tensor]:
    """The KL penalty k of every unit, and ∂k/∂log π."""
    assert weighting.kl is not None, "whoever asks has one"
    d = logp_B_T - reference_logp_B_T
    penalty = kl_estimate(logp_B_T, reference_logp_B_T, kind=weighting.kl)
    # ∂k/∂log π:   k1 → 1,   k2 → d,   k3 → 1 − e^(−d)
    slope = {"k1": torch.ones_like(d), "k2": d, "k3": -torch.expm1(-d)}[weighting.kl]
    if not weighting.kl_ratio:
        return penalty, slope
    rho = importance_ratio(logp_B_T, old_logp_B_T, mask_B_T)
    # ∇(ρ k) = ρ (k + k′) ∇log π
    return rho * penalty, rho * (penalty + slope)


def _ratio(
    logp_B_T: Tensor,
    old_logp_B_T: Tensor,
    mask_B_T: Tensor,
    level: Level,
    turn_B_T: Tensor | None,
    end_B_T: Tensor | None,
    episode_B: Tensor | None,
) -> Tensor:
    """ρ [B, T] of a batch whose episodes may lie in several rows."""
    if level != "sequence" or episode_B is None:
        return importance_ratio(logp_B_T, old_logp_B_T, mask_B_T, level=level, turn_B_T=turn_B_T, end_B_T=end_B_T)
    rows = episode_rows(episode_B, mask_B_T.shape[1])
    end = None if end_B_T is None else rows.join(rows.last_ends(mask_B_T, end_B_T))
    logp, old, mask = (rows.join(x) for x in (logp_B_T, old_logp_B_T, mask_B_T))
    return torch.where(mask_B_T, rows.split(importance_ratio(logp, old, mask, level=level, end_B_T=end)), 1.0)


def most_uncertain(entropy_B_T: Tensor, mask_B_T: Tensor, share: float) -> Tensor:
    """bool [B, T]: the `share` of units with the highest entropy (at least one). A choice over a whole batch: of a part
    of it, other units would be the most uncertain."""
    chosen = entropy_B_T[mask_B_T]
    if not chosen.numel():
        return mask_B_T
    keep = max(1, round(share * chosen.numel()))
    return mask_B_T & (entropy_B_T >= chosen.topk(keep).values[-1])
