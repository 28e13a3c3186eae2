"""What a control agent remembers of its episode: a gated recurrent unit behind what it sees.

    r = σ(W_r x + U_r h),   z = σ(W_z x + U_z h),   n = tanh(W_n x + r ∘ (U_n h + b)),   h' = (1 − z) ∘ n + z ∘ h

(Cho et al. 2014, arXiv 1406.1078, in the form of cuDNN and `torch.nn.GRUCell`.) Whoever decides reads [x, h'], so that
nothing of the present has to pass through the memory. An episode begins with h = 0.

One step at a time where it acts, and the same cell step by step over whole rows where it learns: gradients go back to
the beginning of the row, or of the episode within it (backpropagation through time). What a row begins with is what the
agent had in mind when it acted, and no gradient goes there (Kapturowski et al. 2019, "stored state").

Left out: LSTMs, attention, a burn-in, a memory of the critic's own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GatedMemory(nn.Module):
    """A GRU of `size` numbers that reads `features` numbers at each step; `generator` draws its weights."""

    def __init__(self, features: int, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.size = size
        self.cell = nn.GRUCell(features, size)
        for weight in (self.cell.weight_ih, self.cell.weight_hh):
            for gate in weight.detach().chunk(3):
                nn.init.orthogonal_(gate, generator=generator)
        nn.init.zeros_(self.cell.bias_ih)
        nn.init.zeros_(self.cell.bias_hh)

    def step(self, seen_N_F: Tensor, memory_N_H: Tensor) -> tuple[Tensor, Tensor]:
        """What N episodes decide by at their next step [N, F + H], and what they remember behind it [N, H]."""
        memory_N_H = self.cell(seen_N_F, memory_N_H)
        return torch.cat([seen_N_F, memory_N_H], dim=-1), memory_N_H

    def scan(self, seen_B_T_F: Tensor, memory_B_H: Tensor | None = None, first_B_T: Tensor | None = None) -> Tensor:
        """What rows decide by at each step [B, T, F + H], which begin with `memory_B_H` and forget where `first_B_T` is
        true, before they read. Without the two, a row is a whole episode. ValueError for one without the other."""
        if (memory_B_H is None) != (first_B_T is None):
            raise ValueError("a row that goes on from another needs both: what it begins with, and where it forgets")
        memory = seen_B_T_F.new_zeros(len(seen_B_T_F), self.size) if memory_B_H is None else memory_B_H
        remembered = []
        for t in range(seen_B_T_F.shape[1]):
            if first_B_T is not None:
                memory = memory.masked_fill(first_B_T[:, t, None], 0.0)
            memory = self.cell(seen_B_T_F[:, t], memory)
            remembered.append(memory)
        return torch.cat([seen_B_T_F, torch.stack(remembered, dim=1)], dim=-1)
