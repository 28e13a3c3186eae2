"""Groups without information: all of whose episodes earned exactly the same.

    flat(g) = 1[max R = min R over the episodes of g]

Equality is exact, and of the whole group: a bound on its mean would also drop groups of equal rewards that happen to
lie between, or keep those whose shaped rewards differ in the last digit only. Returns are added in fp64 and rounded
once, as in `credit`: the same rewards in another order are the same. Such a group has no advantage and moves nothing,
but its units count in a mean (DAPO leaves it out: Yu et al. 2025, arXiv:2503.14476, eq. 11).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..envs.vocabulary import Batch
from .episode_rows import episode_rows


def flat_groups(batch: Batch) -> Tensor:
    """bool [B]: the rows whose group is flat, by the rewards as they are in `batch`; a group of one is. An episode
    without units (one that failed) is no member, as in `credit`, and alone makes a flat group."""
    rows = episode_rows(batch.episode_B, batch.mask_B_T.shape[1])
    earned_B_T = torch.where(batch.mask_B_T, batch.reward_B_T, 0.0).double()
    reward_E = rows.join(earned_B_T).sum(dim=1).to(batch.reward_B_T.dtype)
    acted_E = rows.join(batch.mask_B_T).any(dim=1)
    _, group_B = torch.unique(batch.group_B, return_inverse=True)
    group_E = torch.zeros_like(reward_E, dtype=torch.long).scatter_(0, rows.episode_B, group_B)
    nothing_G = reward_E.new_zeros(int(group_B.max()) + 1 if len(group_B) else 0)
    most_E, least_E = reward_E.masked_fill(~acted_E, -torch.inf), reward_E.masked_fill(~acted_E, torch.inf)
    most_G = nothing_G.scatter_reduce(0, group_E, most_E, "amax", include_self=False)
    least_G = nothing_G.scatter_reduce(0, group_E, least_E, "amin", include_self=False)
    return (most_G <= least_G)[group_B]
