"""A reward model: who scores whole replies, or each beginning of them, and learns to from replies that somebody has
ranked.

    s_k = V of the state behind the last unit of turn k

    reward     L = mean over groups of the mean over pairs with different rank of −log σ(s of the better − s of the
               worse), where s is that of the last turn
    process    the same, over all k in which the two differ already: s_k of the better − s_k of the worse; who has
               ended stays what it was

(Ouyang et al. 2022, arXiv:2203.02155, eq. 1, where a group is a prompt with K answers, which stay together.) The score
is what the critic's head says. Only differences are learned: where zero lies is arbitrary.

A process reward (Lightman et al. 2023, arXiv:2305.20050) is learned here from outcomes alone: a beginning is preferred
to another of the same task and of as many turns where what it led to was. One that has led to better and to worse is
drawn both ways, and comes to stand between: what Math-Shepherd (Wang et al. 2024, arXiv:2312.08935) labels by the share
of continuations that end well. Two that are one beginning still are not compared. Left out: labels of
steps that somebody gives, for these are rankings of beginnings, of which the ends are compared.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..agents.protocols import Critic, Policy
from .episode_rows import episode_rows
from .metrics import Log
from .preferences import margin_loss, prefix_margins, share_in_order
from .rewards import turn_ends
from .shapes import steps, sum_steps
from .training_batch import TrainingBatch


def reward_model_loss(policy: Policy, part: TrainingBatch, seen: Log, *, turns: bool) -> Tensor:
    """The share of L that these rows have, whole groups; the larger the advantage of an episode, the better its rank.
    `turns`: beginnings are compared turn by turn, and not ends alone.

    The batch may note as `beginning_B_T` a number for what was said up to the end of a unit's turn, equal for equal
    beginnings. `seen` hears how many pairs are ordered right (of equal scores half), and by how much. `ValueError`
    where the policy has no head.
    """
    if not isinstance(policy, Critic):
        raise ValueError("a reward model scores replies by the head of a critic, and this policy has none")
    batch = part.batch
    _, successor_B_T = policy.value(batch.inputs)
    rows = episode_rows(batch.episode_B, batch.mask_B_T.shape[1])
    whole = rows.join_batch(batch)
    walk = steps(whole.mask_B_T, whole.turn_B_T, None, "turn" if turns else "trajectory")
    last_E_L = turn_ends(whole, walk)
    score_E_K = sum_steps(torch.where(last_E_L, rows.join(successor_B_T), 0.0), whole.mask_B_T, walk)
    depth_E = last_E_L.sum(dim=1)
    rank_E = -sum_steps(torch.where(last_E_L, rows.join(part.advantage_B_T), 0.0), whole.mask_B_T, walk)[:, 0]
    group_E = batch.bundle_B.new_zeros(len(depth_E)).scatter(0, rows.episode_B, batch.bundle_B)
    groups = [group_E == group for group in torch.unique(group_E)]
    noted_B_T, number_E_K = batch.notes.get("beginning_B_T"), None
    if noted_B_T is not None:
        number_E_K = sum_steps(torch.where(last_E_L, rows.join(noted_B_T), 0), whole.mask_B_T, walk)
    margins = [
        prefix_margins(score_E_K[own], depth_E[own], rank_E[own], None if number_E_K is None else number_E_K[own])
        for own in groups
    ]
    loss = torch.stack([margin_loss(margin_P) for margin_P in margins]).sum() / (part.count or 1.0)
    margin_P = torch.cat(margins).detach()
    if len(margin_P):
        right = share_in_order(margin_P)
        seen.add({"judgement/accuracy": right, "judgement/margin": margin_P.mean()}, weight=len(margin_P))
    return loss
