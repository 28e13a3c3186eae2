"""Returns and advantages over time: the two recursions that every method here is built on.

    Gₜ = rₜ + γ Gₜ₊₁                                    (discounted return)
    δₜ = rₜ + γ Vₜ₊₁ − Vₜ,   Aₜ = δₜ + γλ Aₜ₊₁          (GAE; Schulman et al. 2016, arXiv:1506.02438, eq. 16)

At the end of an episode Gₜ₊₁ and Vₜ₊₁ are the bootstrap (0 if it terminated, V(successor) if it was truncated)
and Aₜ₊₁ = 0. A masked-out unit is *skipped in time*: γ and λ are not applied across it, and its reward and value
cannot change anything. The same two functions run on tokens, on turns and on control steps.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .shapes import check_rank


def discounted_returns(
    reward_B_T: Tensor, mask_B_T: Tensor, end_B_T: Tensor, bootstrap_B_T: Tensor, *, gamma: float
) -> Tensor:
    """Gₜ = rₜ + γ Gₜ₊₁, with Gₜ₊₁ = bootstrapₜ where the unit t ends its episode.

    All arguments are [B, T]; `mask_B_T` and `end_B_T` are bool. A row whose last unit is no end is followed
    by zero. Returns [B, T], zero at masked-out units. `ValueError` names an argument of the wrong shape.
    """
    check_rank(2, reward_B_T=reward_B_T, mask_B_T=mask_B_T, end_B_T=end_B_T, bootstrap_B_T=bootstrap_B_T)
    return_B_T = torch.zeros_like(reward_B_T)
    successor_B = reward_B_T.new_zeros(len(reward_B_T))
    for t in reversed(range(reward_B_T.shape[1])):
        # Gₜ = rₜ + γ Gₜ₊₁,   Gₜ₊₁ = bootstrapₜ at an end
        following = torch.where(end_B_T[:, t], bootstrap_B_T[:, t], successor_B)
        successor_B = torch.where(mask_B_T[:, t], reward_B_T[:, t] + gamma * following, successor_B)
        return_B_T[:, t] = torch.where(mask_B_T[:, t], successor_B, 0.0)
    return return_B_T


def gae(
    reward_B_T: Tensor,
    value_B_T: Tensor,
    mask_B_T: Tensor,
    end_B_T: Tensor,
    bootstrap_B_T: Tensor,
    *,
    gamma: float,
    lam: float,
) -> Tensor:
    """Aₜ = δₜ + γλ Aₜ₊₁ with δₜ = rₜ + γ Vₜ₊₁ − Vₜ; at an end Vₜ₊₁ = bootstrapₜ and Aₜ₊₁ = 0.

    All arguments are [B, T]; `mask_B_T` and `end_B_T` are bool; `value_B_T` is V of the state in which the unit
    was chosen. Returns [B, T], zero at masked-out units. `ValueError` names an argument of the wrong shape.
    """
    check_rank(
        2,
        reward_B_T=reward_B_T,
        value_B_T=value_B_T,
        mask_B_T=mask_B_T,
        end_B_T=end_B_T,
        bootstrap_B_T=bootstrap_B_T,
    )
    advantage_B_T = torch.zeros_like(value_B_T)
    next_value_B = value_B_T.new_zeros(len(value_B_T))
    next_advantage_B = torch.zeros_like(next_value_B)
    for t in reversed(range(value_B_T.shape[1])):
        mask, end = mask_B_T[:, t], end_B_T[:, t]
        # δₜ = rₜ + γ Vₜ₊₁ − Vₜ,   Vₜ₊₁ = bootstrapₜ at an end
        following = torch.where(end, bootstrap_B_T[:, t], next_value_B)
        delta = reward_B_T[:, t] + gamma * following - value_B_T[:, t]
        # Aₜ = δₜ + γλ Aₜ₊₁,   Aₜ₊₁ = 0 at an end
        advantage = delta + gamma * lam * torch.where(end, 0.0, next_advantage_B)
        advantage_B_T[:, t] = torch.where(mask, advantage, 0.0)
        next_advantage_B = torch.where(mask, advantage, next_advantage_B)
        next_value_B = torch.where(mask, value_B_T[:, t], next_value_B)
    return advantage_B_T
