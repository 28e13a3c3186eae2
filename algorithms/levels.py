"""Which units belong together: a unit by itself, the units of one turn, or those of one sequence (an episode).

    total(x)ᵤ = Σ x over the units of u's level,    mean(x)ᵤ = total(x)ᵤ / their number

A row may hold several episodes (`end_B_T` parts them), and an episode may lie in several rows (`episode_B` joins them).
Ratios, corrections and masks of every method ask here, so that all mean the same by "sequence".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .episode_rows import episode_rows
from .shapes import check_rank, steps, sum_steps

Level = Literal["unit", "turn", "sequence"]


@dataclass(frozen=True)
class Levels:
    """The units of a batch, all [B, T] but `episode_B` [B]. A row is one sequence unless `end_B_T` splits it; rows with
    equal `episode_B` are one, in their order, and all of them must be here. `ValueError` for shapes that differ."""

    mask_B_T: Tensor
    turn_B_T: Tensor | None = None
    end_B_T: Tensor | None = None
    episode_B: Tensor | None = None

    def __post_init__(self) -> None:
        check_rank(2, mask_B_T=self.mask_B_T, turn_B_T=self.turn_B_T, end_B_T=self.end_B_T)

    def total(self, x_B_T: Tensor, level: Level) -> Tensor:
        """Σ of `x_B_T` over the level's units, at each of them [B, T]; 0 at masked-out units. `ValueError` for an
        unknown level, or "turn" without `turn_B_T`."""
        check_rank(2, mask_B_T=self.mask_B_T, x_B_T=x_B_T)
        if level == "unit":
            return torch.where(self.mask_B_T, x_B_T, 0.0)
        if level not in ("turn", "sequence"):
            raise ValueError(f"level must be 'unit', 'turn' or 'sequence', got {level!r}")
        if level == "sequence" and self.episode_B is not None:
            rows = episode_rows(self.episode_B, self.mask_B_T.shape[1])
            end = None if self.end_B_T is None else rows.join(rows.last_ends(self.mask_B_T, self.end_B_T))
            whole = Levels(rows.join(self.mask_B_T), end_B_T=end)
            return torch.where(self.mask_B_T, rows.split(whole.total(rows.join(x_B_T), level)), 0.0)
        walk = steps(self.mask_B_T, self.turn_B_T, self.end_B_T, "turn" if level == "turn" else "trajectory")
        total_B_K = sum_steps(x_B_T, self.mask_B_T, walk)
        return torch.where(self.mask_B_T, total_B_K.gather(1, walk.index_B_T), 0.0)

    def mean(self, x_B_T: Tensor, level: Level) -> Tensor:
        """The mean of `x_B_T` over the level's units, at each of them [B, T]; 0 at masked-out units."""
        if level == "unit":
            return self.total(x_B_T, level)
        # x̄ = Σ x / n
        return self.total(x_B_T, level) / self.total(torch.ones_like(x_B_T), level).clamp(min=1)
