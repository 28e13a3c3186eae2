"""The weight of every unit: the constant that multiplies its log-likelihood, in one line.

    w = ρ · A · keep · trust · selection − β · ∂KL

Each factor is a column of the method: a small frozen value, called on log-probabilities. The gradient of −Σ w·log π is
*exactly* that of the textbook surrogate (see each column), and a test compares every row of the table with autograd.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from ..envs.quantities import NotNegative, Positive, Share, real
from .clips import Cap, Clip, Geometric, Kernel, Silence, Soft
from .corrections import Correction
from .levels import Level, Levels
from .penalty import Penalty
from .shapes import check_rank
from .trust import Gap, Stale
from .weights import MOST_NATS


@dataclass(frozen=True)
class Weighting:
    """How a method turns advantages into weights: the constants of its columns, which a scenario changes one by one."""

    ratio: Literal["unit", "turn", "sequence", "product"] | None = None
    """Whose ratio π/π_old: of each unit; the geometric mean over a turn or a sequence; or a sequence's product."""
    clip_kind: Literal["silence", "cap", "geometric", "soft", "kernel"] = "silence"  # see `clips`
    clip_low: Share | None = None  # ε↓; None: no lower clip
    clip_high: NotNegative | None = None  # ε↑; None: no upper clip
    clip_dual: Annotated[float, real(above=1)] | None = None  # c: where A < 0, silent above it too; "silence" only
    soft_up: Positive = 1.0  # τ of "soft" where A > 0
    soft_down: Positive = 1.05  # τ of "soft" elsewhere
    kernel_up_k: Positive = 2.0  # k and λ of "kernel" where A ≥ 0
    kernel_up_rate: Positive = 3.0
    kernel_down_k: Positive = 3.0  # and elsewhere
    kernel_down_rate: Positive = 2.0
    gap: Annotated[float, real(above=0, most=1)] | None = None  # ε of the trust region on π − μ, see `trust.Gap`
    gap_sides: Literal["towards", "both"] = "towards"
    stale_sequence: Positive | None = None  # δ in nats a unit, see `trust.Stale`
    kl: Literal["k1", "k2", "k3"] | None = None  # penalty, see `penalty`
    kl_to: Literal["reference", "old"] = "reference"  # towards whom
    kl_in: Literal["loss", "reward"] = "loss"
    """Where that is paid: in the loss, each unit for itself; or in the reward of each unit, so that a unit answers for
    what follows it as well."""
    beta: NotNegative = 0.0  # strength of that penalty
    kl_target: Positive | None = None
    """Of a penalty to the old policy: after an update β is halved where KL(π_old ‖ π) fell below target/1.5, and
    doubled above 1.5·target (Schulman et al. 2017, arXiv:1707.06347, section 4). None: β stays."""
    kl_ratio: bool = False  # whether the penalty is multiplied by π/π_old
    correction: Positive | None = None
    """C of truncated importance sampling, min(π_old/π_behavior, C), for a sampler whose log-probabilities
    differ from the trainer's (other precision, other engine, older weights). None: the sampler's are taken as exact,
    and the method's own ratio is that to the sampler."""
    correction_level: Literal["unit", "sequence"] = "unit"  # whose ratio that is
    correction_kind: Literal["truncate", "mask", "band"] = "truncate"  # see `corrections`
    entropy_share: Annotated[float, real(above=0, most=1, percent=2)] = 1.0
    """Only this share of units, those of highest entropy, is trained (Wang et al. 2025, arXiv:2506.01939)."""

    @property
    def clip(self) -> Clip:
        """The column of that kind."""
        low, high = self.clip_low, self.clip_high
        kinds: dict[str, Clip] = {
            "silence": Silence(low, high, self.clip_dual),
            "cap": Cap(low, high),
            "geometric": Geometric(low, high),
            "soft": Soft(self.soft_up, self.soft_down),
            "kernel": Kernel(self.kernel_up_k, self.kernel_up_rate, self.kernel_down_k, self.kernel_down_rate),
        }
        return kinds[self.clip_kind]

    @property
    def gap_trust(self) -> Gap | None:
        """The trust region on π − μ, where there is one."""
        return None if self.gap is None else Gap(self.gap, self.gap_sides)

    @property
    def stale_trust(self) -> Stale | None:
        """The mask of stale sequences, where there is one."""
        return None if self.stale_sequence is None else Stale(self.stale_sequence)

    @property
    def penalty(self) -> Penalty | None:
        """The KL penalty of the loss, where there is one."""
        return None if self.kl is None or self.kl_in == "reward" else Penalty(self.kl, self.kl_ratio, self.kl_to)

    @property
    def importance_correction(self) -> Correction | None:
        """The correction, where there is one."""
        if self.correction is None:
            return None
        return Correction(self.correction, self.correction_level, self.correction_kind)

    @property
    def of_single_units(self) -> bool:
        """Whether a unit's weight is known without the others of its sequence."""
        alone = self.ratio in (None, "unit") and self.correction_level == "unit"
        return alone and self.clip_kind != "geometric" and self.stale_sequence is None


@dataclass(frozen=True)
class Weighted:
    """Weights and what one wants to log about them; all [B, T], detached."""

    weight_B_T: Tensor
    ratio_B_T: Tensor
    clipped_B_T: Tensor  # bool: units that the clip silences or cuts
    extreme_B_T: Tensor  # bool: units whose ratio is beyond ten, or below a tenth
    surrogate_B_T: Tensor  # the textbook objective, such as min(ρA, clip(ρ)A) − β·KL: to be looked at, not optimised
    corrected_B_T: Tensor | None = None  # bool: units that a correction cuts or masks; None without one
    distrusted_B_T: Tensor | None = None  # bool: units that a trust region leaves out; None without one


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

    `old_logp_B_T` is the trainer's log-probability before the update, `behavior_logp_B_T` the sampler's (used by the
    correction and the trust regions only), `reference_logp_B_T` the reference policy's (needed where there is a penalty
    towards it). `trained_B_T` (bool) are the units that are trained at all, chosen on the whole batch
    (`most_uncertain`). Rows with equal `episode_B` are one sequence, and all of them must be here.
    """
    levels, zero = Levels(mask_B_T, turn_B_T, end_B_T, episode_B), torch.zeros_like(logp_B_T)
    log_ratio = _log_ratio(logp_B_T, old_logp_B_T, weighting.ratio, levels)
    clipped = weighting.clip(log_ratio, advantage_B_T, levels)
    trust, distrusted, corrected = _trust(logp_B_T, old_logp_B_T, behavior_logp_B_T, advantage_B_T, weighting, levels)
    if weighting.entropy_share < 1 and trained_B_T is None:
        raise ValueError("trained_B_T is needed where entropy_share < 1: it is chosen on the whole batch")
    selection = mask_B_T if trained_B_T is None else trained_B_T
    penalty, slope = _penalty(logp_B_T, old_logp_B_T, reference_logp_B_T, weighting)
    # w = ρ·A·keep · trust · selection − β·∂KL
    weight = torch.where(selection, clipped.factor_B_T * advantage_B_T * trust, zero) - weighting.beta * slope
    surrogate = torch.where(selection, clipped.objective_B_T * trust, zero) - weighting.beta * penalty
    return Weighted(
        torch.where(mask_B_T, weight, zero),
        log_ratio.exp(),
        clipped.silent_B_T,
        log_ratio.abs() > math.log(10.0),
        torch.where(mask_B_T, surrogate, zero),
        corrected,
        distrusted,
    )


def _log_ratio(logp_B_T: Tensor, old_logp_B_T: Tensor, ratio: Level | Literal["product"] | None, at: Levels) -> Tensor:
    """log ρ at each unit [B, T], at most `MOST_NATS`; 0 without a ratio and at masked-out units."""
    check_rank(2, logp_B_T=logp_B_T, old_logp_B_T=old_logp_B_T, mask_B_T=at.mask_B_T)
    difference = logp_B_T - old_logp_B_T
    if ratio is None:
        return torch.zeros_like(logp_B_T)
    log_ratio = at.total(difference, "sequence") if ratio == "product" else at.mean(difference, ratio)
    return log_ratio.clamp(max=MOST_NATS)  # 0 · ∞ is no number, nor is ∞ a weight


def _trust(
    logp_B_T: Tensor,
    old_logp_B_T: Tensor,
    behavior_logp_B_T: Tensor | None,
    advantage_B_T: Tensor,
    weighting: Weighting,
    levels: Levels,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The product of trust regions and correction [B, T]; which units the former leave out, and the latter cuts."""
    trust, distrusted, corrected = torch.ones_like(logp_B_T), None, None
    gap, stale, correction = weighting.gap_trust, weighting.stale_trust, weighting.importance_correction
    if gap is None and stale is None and correction is None:
        return trust, distrusted, corrected
    if behavior_logp_B_T is None:
        raise ValueError("behavior_logp_B_T is needed where the weighting has a correction or a trust region")
    if gap is not None or stale is not None:
        kept = levels.mask_B_T
        kept = kept if gap is None else kept & gap(logp_B_T, behavior_logp_B_T, advantage_B_T)
        kept = kept if stale is None else kept & stale(logp_B_T, behavior_logp_B_T, advantage_B_T, levels)
        trust, distrusted = kept.to(trust.dtype), levels.mask_B_T & ~kept
    if correction is not None:
        factor, corrected = correction(old_logp_B_T, behavior_logp_B_T, levels)
        trust = trust * factor
    return trust, distrusted, corrected


def _penalty(
    logp_B_T: Tensor, old_logp_B_T: Tensor, reference_logp_B_T: Tensor | None, weighting: Weighting
) -> tuple[Tensor, Tensor]:
    """The KL penalty of every unit, and ∂/∂log π of it; zeros without one."""
    penalty = weighting.penalty
    if penalty is None:
        return torch.zeros_like(logp_B_T), torch.zeros_like(logp_B_T)
    anchor = old_logp_B_T if penalty.to == "old" else reference_logp_B_T
    if anchor is None:
        raise ValueError(f"reference_logp_B_T is needed for the KL penalty {weighting.kl!r}")
    return penalty(logp_B_T, anchor, old_logp_B_T)
