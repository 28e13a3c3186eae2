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

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from .levels import Levels
from .shapes import check_rank

CorrectionLevel = Literal["unit", "sequence"]
CorrectionKind = Literal["truncate", "mask", "band"]


class Corrected(NamedTuple):
    """Both [B, T]; 1 and False at masked-out units."""

    trust_B_T: Tensor  # what a weight is multiplied by
    beyond_B_T: Tensor  # bool: units whose ratio was cut or masked


@dataclass(frozen=True)
class Correction:
    """The column: C (`most`), whose ratio (`level`), and what becomes of one beyond C (`kind`)."""

    most: float
    level: CorrectionLevel = "unit"
    kind: CorrectionKind = "truncate"

    def __call__(self, old_logp_B_T: Tensor, behavior_logp_B_T: Tensor, levels: Levels) -> Corrected:
        """The correction of every unit. `ValueError` for an unknown level or kind."""
        mask = levels.mask_B_T
        check_rank(2, old_logp_B_T=old_logp_B_T, behavior_logp_B_T=behavior_logp_B_T, mask_B_T=mask)
        if self.level not in ("unit", "sequence"):
            raise ValueError(f"level must be 'unit' or 'sequence', got {self.level!r}")
        # log ρ = Σ_{u in the level} (log π_old − log π_behavior)
        ratio = levels.total(old_logp_B_T - behavior_logp_B_T, self.level).exp()
        beyond = mask & (ratio > self.most)
        if self.kind == "truncate":
            return Corrected(torch.where(beyond, self.most, ratio), beyond)
        if self.kind == "band":
            beyond = beyond | (mask & (ratio < 1.0 / self.most))
        elif self.kind != "mask":
            raise ValueError(f"kind must be 'truncate', 'mask' or 'band', got {self.kind!r}")
        return Corrected(torch.where(beyond, 0.0, ratio), beyond)

    @property
    def formula(self) -> str:
        """As a factor of w."""
        ratio = "π_old/π_behavior" if self.level == "unit" else "Π_sequence π_old/π_behavior"
        if self.kind == "truncate":
            return f"min({ratio}, {self.most:g})"
        low = f"{1 / self.most:g} ≤ " if self.kind == "band" else ""
        return f"{ratio}·1[{low}{ratio} ≤ {self.most:g}]"
