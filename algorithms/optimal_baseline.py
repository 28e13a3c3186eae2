"""The baseline of least variance at every step: returns count by how much the policy could still be moved.

    W_k = Σ_{j≤k} e_j,    b_k = Σ_i W_k⁽ⁱ⁾ R_k⁽ⁱ⁾ / Σ_i W_k⁽ⁱ⁾,    A_k = R_k − b_k     (i: members of the group)

e is a unit's energy, ‖∂ log π / ∂ logits‖² = 1 − 2π(y) + Σ_v π(v)²: none where the policy is sure. An episode that is
over is compared with nobody (the optimal token baseline, arXiv:2602.07078; the length of the score itself is replaced
by that in logits, which needs no backward pass).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .shapes import check_rank


def optimal_advantage(return_B_K: Tensor, energy_B_K: Tensor, alive_B_K: Tensor, group_B: Tensor) -> Tensor:
    """A [B, K] of steps with these returns to go and energies, 0 where an episode is over (`alive_B_K` bool), and
    exactly 0 where all that go on earn the same, or one alone goes on. `group_B` int [B]."""
    check_rank(2, return_B_K=return_B_K, energy_B_K=energy_B_K, alive_B_K=alive_B_K)
    check_rank(1, group_B=group_B)
    groups, group = torch.unique(group_B, return_inverse=True)
    R = return_B_K.double()
    # W_k = Σ_{j≤k} e_j
    W = torch.where(alive_B_K, energy_B_K.double().cumsum(dim=1), 0.0)
    nothing_G_K = R.new_zeros(len(groups), R.shape[1])

    def total(x_B_K: Tensor) -> Tensor:
        return nothing_G_K.index_add(0, group, x_B_K)[group]

    def extreme(x_B_K: Tensor, reduce: str) -> Tensor:
        index = group[:, None].expand_as(x_B_K)
        return nothing_G_K.scatter_reduce(0, index, x_B_K, reduce, include_self=False)[group]

    # b_k = Σ W R / Σ W
    baseline_B_K = total(W * R) / total(W).clamp(min=torch.finfo(W.dtype).tiny)
    most = extreme(R.masked_fill(~alive_B_K, -torch.inf), "amax")
    least = extreme(R.masked_fill(~alive_B_K, torch.inf), "amin")
    return torch.where(alive_B_K & (most > least), R - baseline_B_K, 0.0).to(return_B_K.dtype)
