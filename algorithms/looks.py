"""What one forward pass shows of each unit, to be looked at and not trained on: the textbook surrogate, distances,
clipping."""

from __future__ import annotations

from torch import Tensor

from ..agents.protocols import Scores
from .method_row import Method
from .training_batch import TrainingBatch
from .weighting import Weighted
from .weights import kl_estimate


def look(
    method: Method, part: TrainingBatch, scores: Scores, weighted: Weighted, old_logp_B_T: Tensor, *, first: bool
) -> dict[str, Tensor]:
    """By the names of metrics, [B, T] each. `old_logp_B_T`: the trainer's log-probability before the update; `first`:
    nothing has moved yet, and the trainer reads what the sampler read."""
    logp_B_T = scores.logp_B_T.detach()
    seen = {
        "policy/entropy": scores.entropy_B_T.detach(),
        "policy/clipped": weighted.clipped_B_T,
        "policy/ratio": weighted.ratio_B_T,
        "policy/ratio_squared": weighted.ratio_B_T**2,
        "policy/ratio_extreme": weighted.extreme_B_T,
        "policy/weighted": weighted.weight_B_T != 0,
        "policy/logp": logp_B_T,
    }
    if method.preference.kind is None:  # whose objective is one of pairs, not of units
        seen["surrogate/mean"] = weighted.surrogate_B_T
    if weighted.corrected_B_T is not None:
        seen["policy/corrected"] = weighted.corrected_B_T
    if weighted.distrusted_B_T is not None:
        seen["policy/distrusted"] = weighted.distrusted_B_T
    if method.source == "own":  # a demonstrator's log-probabilities are unknown
        seen["kl/old"] = kl_estimate(old_logp_B_T, logp_B_T, kind="k3")
        if first:
            acted = part.batch.behavior_logp_B_T
            seen["kl/sampler"] = kl_estimate(acted, logp_B_T, kind="k3")
            seen["kl/sampler_gap"] = (logp_B_T - acted).abs()
    if method.needs_reference:
        seen["kl/reference"] = kl_estimate(logp_B_T, part.reference_logp_B_T, kind="k3")
    return seen
