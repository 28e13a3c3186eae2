"""Returns and advantages over time: the two recursions that every method here is built on.

    Gₜ = rₜ + γ Gₜ₊₁                                    (discounted return)
    δₜ = rₜ + γ Vₜ₊₁ − Vₜ,   Aₜ = δₜ + γλ Aₜ₊₁          (GAE; Schulman et al. 2016, arXiv:1506.02438, eq. 16)

At the end of an episode Gₜ₊₁ and Vₜ₊₁ are the bootstrap (0 if it terminated, V(successor) if it was truncated)
and Aₜ₊₁ = 0. A masked-out unit is *skipped in time*: γ and λ are not applied across it, and its reward and value
cannot change anything. The same two functions run on tokens, on turns and on control steps.

Both are one recursion, that of the λ-return Wₜ = Vₜ + λ Aₜ (Sutton 1988), with G = W at λ = 1:

    Wₜ = (1 − λ) Vₜ + λ rₜ + γλ Wₜ₊₁,   Aₜ = rₜ + γ Wₜ₊₁ − Vₜ,   Wₜ₊₁ = bootstrapₜ at an end

Each unit is then a map W ↦ b + a W: a = 0 at an end, and (a, b) = (1, 0) where it is skipped. Two such maps are one, so
that a row is computed by pairs, in 2 log₂ T steps instead of T (Blelloch 1990, "Prefix sums and their applications"):

    (a, b) ∘ (a′, b′) = (a a′, b + a b′)
"""

from __future__ import annotations

import torch
from torch import Tensor

from .shapes import check_rank


@torch.no_grad()
def discounted_returns(
    reward_B_T: Tensor, mask_B_T: Tensor, end_B_T: Tensor, bootstrap_B_T: Tensor, *, gamma: float
) -> Tensor:
    """Gₜ = rₜ + γ Gₜ₊₁, with Gₜ₊₁ = bootstrapₜ where the unit t ends its episode.

    All arguments are [B, T]; `mask_B_T` and `end_B_T` are bool. A row whose last unit is no end is followed
    by zero. Returns [B, T], zero at masked-out units. `ValueError` names an argument of the wrong shape.
    """
    check_rank(2, reward_B_T=reward_B_T, mask_B_T=mask_B_T, end_B_T=end_B_T, bootstrap_B_T=bootstrap_B_T)
    reward, mask, end, bootstrap = (x.T.contiguous() for x in (reward_B_T, mask_B_T, end_B_T, bootstrap_B_T))
    return_T_B = _recursion(reward, mask, end, bootstrap, gamma)
    return return_T_B.masked_fill_(~mask, 0).to(reward.dtype).T.contiguous()


@torch.no_grad()
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
    turned = (x.T.contiguous() for x in (reward_B_T, value_B_T, mask_B_T, end_B_T, bootstrap_B_T))
    reward, value, mask, end, bootstrap = turned
    # Wₜ = (1 − λ) Vₜ + λ rₜ + γλ Wₜ₊₁,   Aₜ = rₜ + γ Wₜ₊₁ − Vₜ
    w_T_B = _recursion(torch.lerp(value, reward, lam), mask, end, bootstrap, gamma * lam)
    behind_T_B = torch.where(end, bootstrap, torch.nn.functional.pad(w_T_B[1:], (0, 0, 0, min(1, len(w_T_B)))))
    advantage_T_B = behind_T_B.mul_(gamma).add_(reward).sub_(value).masked_fill_(~mask, 0)
    return advantage_T_B.to(value.dtype).T.contiguous()


def _recursion(own_T_B: Tensor, mask_T_B: Tensor, end_T_B: Tensor, bootstrap_T_B: Tensor, factor: float) -> Tensor:
    """Wₜ = ownₜ + factor · Wₜ₊₁ over the units in the mask, [T, B]: time comes first, so that a step reads whole rows
    of memory. In fp64, because powers of a rounded factor near 1 are far from its powers."""
    a_T_B = torch.full_like(own_T_B, factor, dtype=torch.float64).masked_fill_(end_T_B, 0).masked_fill_(~mask_T_B, 1)
    w_T_B = torch.add(own_T_B.double(), torch.where(end_T_B, bootstrap_T_B, 0), alpha=factor).masked_fill_(~mask_T_B, 0)
    _scan(a_T_B, w_T_B)
    return w_T_B


def _scan(a_T_B: Tensor, b_T_B: Tensor) -> None:
    """b becomes y with yₜ = bₜ + aₜ yₜ₊₁, in place; of a, nothing that is wanted is left."""
    strides = [1 << level for level in range(max(0, len(b_T_B) - 1).bit_length())]
    for s in strides:  # unit 2sk becomes the map of the 2s units from it on
        odd = slice(s, None, 2 * s)
        even = slice(0, 2 * s * len(b_T_B[odd]), 2 * s)
        b_T_B[even].addcmul_(a_T_B[even], b_T_B[odd])
        a_T_B[even].mul_(a_T_B[odd])
    for s in reversed(strides):  # unit 2sk is done, and those in the middle between two of them follow
        behind = b_T_B[2 * s :: 2 * s]
        odd = slice(s, s + 2 * s * len(behind), 2 * s)
        b_T_B[odd].addcmul_(a_T_B[odd], behind)
