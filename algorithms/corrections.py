"""Corrections for a sampler that is not the trainer: another engine or precision, an older version of the weights.

    ρ = π_old / π_behavior,  of one unit, or of a whole sequence: ρ = Π_units (π_old / π_behavior)

    "truncate"  min(ρ, C)               (Ionides 2008; for language models Yao et al. 2025, "Your efficient RL framework
                                         secretly brings you off-policy RL training")
    "mask"      ρ where ρ ≤ C, else 0   what C would cut teaches nothing (Liu et al. 2025, "When speed kills stability")
    "band"      ρ where 1/C ≤ ρ ≤ C, else 0: also what the sampler drew far too often (Ring Team 2025, arXiv:2510.18855)

The ratio of units corrects each choice but not the states that earlier choices led to; that of a sequence corrects
both, and is farther from 1 the longer the sequence is.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from .episode_rows import episode_rows
from .shapes import check_rank, steps, sum_steps

CorrectionLevel = Literal["unit", "sequence"]
CorrectionKind = Literal["truncate", "mask", "band"]


class Correction(NamedTuple):
    """Both [B, T]; 1 and False at masked-out units."""

    trust_B_T: Tensor  # what a weight is multiplied by
    beyond_B_T: Tensor  # bool: units whose ratio was cut or masked


def importance_correction(
    old_logp_B_T: Tensor,
    behavior_logp_B_T: Tensor,
    mask_B_T: Tensor,
    *,
    most: float,
    level: CorrectionLevel = "unit",
    kind: CorrectionKind = "truncate",
    end_B_T: Tensor | None = None,
    episode_B: Tensor | None = None,
) -> Correction:
    """The correction of every unit, C being `most`. "sequence": a row is one unless `end_B_T` splits it; rows with
    equal `episode_B` [B] are one, and all of them must be here. `ValueError` for an unknown level or kind."""
    check_rank(2, old_logp_B_T=old_logp_B_T, behavior_logp_B_T=behavior_logp_B_T, mask_B_T=mask_B_T, end_B_T=end_B_T)
    difference = torch.where(mask_B_T, old_logp_B_T - behavior_logp_B_T, 0.0)
    if level == "sequence":
        difference = _summed(difference, mask_B_T, end_B_T, episode_B)
    elif level != "unit":
        raise ValueError(f"level must be 'unit' or 'sequence', got {level!r}")
    ratio = difference.exp()
    beyond = mask_B_T & (ratio > most)
    if kind == "truncate":
        return Correction(torch.where(beyond, most, ratio), beyond)
    if kind == "band":
        beyond = beyond | (mask_B_T & (ratio < 1.0 / most))
    elif kind != "mask":
        raise ValueError(f"kind must be 'truncate', 'mask' or 'band', got {kind!r}")
    return Correction(torch.where(beyond, 0.0, ratio), beyond)


def _summed(difference_B_T: Tensor, mask_B_T: Tensor, end_B_T: Tensor | None, episode_B: Tensor | None) -> Tensor:
    """log ρ of its sequence at each unit [B, T]; 0 at masked-out units."""
    if episode_B is not None:
        rows = episode_rows(episode_B, mask_B_T.shape[1])
        end = None if end_B_T is None else rows.join(rows.last_ends(mask_B_T, end_B_T))
        whole = _summed(rows.join(difference_B_T), rows.join(mask_B_T), end, None)
        return torch.where(mask_B_T, rows.split(whole), 0.0)
    walk = steps(mask_B_T, None, end_B_T, "trajectory")
    # log ρ = Σ_{u in the sequence} (log π_old − log π_behavior)
    total_B_K = sum_steps(difference_B_T, mask_B_T, walk)
    return torch.where(mask_B_T, total_B_K.gather(1, walk.index_B_T), 0.0)
