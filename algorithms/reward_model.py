"""A reward model: who scores whole replies, and learns to from replies that somebody has ranked.

    s = V of the state behind the last unit of an episode
    L = mean over groups of the mean over pairs with different rank of −log σ(s of the better − s of the worse)

(Ouyang et al. 2022, arXiv:2203.02155, eq. 1, where a group is a prompt with K answers, which stay together.) The score
is what the critic's head says of the end. Only differences are learned: where zero lies is arbitrary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..agents.protocols import Critic, Policy
from .episode_rows import episode_rows
from .metrics import Log
from .preferences import ranked_margins, ranking_loss, share_in_order
from .training_batch import TrainingBatch


def reward_model_loss(policy: Policy, part: TrainingBatch, seen: Log) -> Tensor:
    """The share of L that these rows have, whole groups; the larger the advantage of an episode, the better its rank.

    `seen` hears how many pairs are ordered right (of equal scores half), and by how much. `ValueError` where the policy
    has no head.
    """
    if not isinstance(policy, Critic):
        raise ValueError("a reward model scores replies by the head of a critic, and this policy has none")
    batch, mask = part.batch, part.batch.mask_B_T
    _, successor_B_T = policy.value(batch.inputs)
    rows = episode_rows(batch.episode_B, mask.shape[1])
    last_B_T = mask & rows.last_ends(mask, batch.end_B_T)
    score_E, rank_E = (
        rows.join(torch.where(last_B_T, x_B_T, 0.0)).sum(dim=1) for x_B_T in (successor_B_T, -part.advantage_B_T)
    )
    group_E = batch.bundle_B.new_zeros(len(score_E)).scatter(0, rows.episode_B, batch.bundle_B)
    groups = [(score_E[group_E == group], rank_E[group_E == group]) for group in torch.unique(group_E)]
    loss = torch.stack([ranking_loss(score_G, rank_G) for score_G, rank_G in groups]).sum() / (part.count or 1.0)
    margin_P = torch.cat([ranked_margins(score_G, rank_G) for score_G, rank_G in groups]).detach()
    if len(margin_P):
        right = share_in_order(margin_P)
        seen.add({"judgement/accuracy": right, "judgement/margin": margin_P.mean()}, weight=len(margin_P))
    return loss
