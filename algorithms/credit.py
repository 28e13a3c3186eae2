"""Credit: from what happened to an advantage for every unit that the agent chose.

    A = return − baseline,   at the granularity of a unit, a turn or a whole trajectory.

Two choices span the field. The *baseline*: none (REINFORCE, Williams 1992), the batch's mean, the group's mean
(GRPO, Shao et al. 2024, arXiv:2402.03300), the mean of the others (RLOO, Ahmadian et al. 2024, arXiv:2402.14740), that
of least variance (`optimal_baseline`), or a critic (GAE). The *granularity*: what counts as one decision. Units of one
step share its advantage.
Everything here is computed on the whole batch, before rows are split among minibatches or machines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ..envs.quantities import Discount, NotNegative
from ..envs.vocabulary import Batch
from .episode_rows import episode_rows
from .optimal_baseline import optimal_advantage
from .returns import discounted_returns, gae
from .shapes import Granularity, Steps, check_rank, steps, sum_steps

Scale = Literal["std", "mean", "none"]
ROUNDINGS = 16  # by how many of its last digits a sum of rewards may differ from another sum of the same


@dataclass(frozen=True)
class Credit:
    """How a method assigns credit: the constants that frameworks disagree on, spelled out."""

    baseline: Literal["batch_mean", "group_mean", "leave_one_out", "optimal", "critic"] | None = None
    granularity: Granularity = "trajectory"
    scale: Literal["std", "mean"] | None = None  # what a group's advantages are divided by
    ddof: Literal[0, 1] = 1  # of the group's standard deviation
    eps: NotNegative = 1e-6  # added to the divisor
    gamma: Discount = 1.0
    lam: Discount = 1.0
    each_term: bool = False
    """Whether each named term of the reward is compared within its group by itself, and the results are summed: the
    weights of the terms cancel, their signs stay (GDPO: Liu et al. 2026, arXiv:2601.05242)."""
    transform: Literal["advantage", "positive", "verdict", "best", "best_worst", "one"] = "advantage"
    """What the weight is made of: A itself; 1[A > 0], which keeps the better part of one's own samples
    (rejection sampling); a `Verdict` on the return; 1 for the best of a group alone, or −1 for the worst as well, which
    makes pairs; or 1, which imitates (supervised fine-tuning)."""

    threshold: float = 0.5  # of a verdict: a return from here on is right
    right: NotNegative = 1.0  # its weights
    wrong: NotNegative = 1.0
    whiten: Literal["batch", "minibatch", "steps"] | None = None
    """Over what advantages are brought to mean 0 and standard deviation 1: the units of the batch or of a minibatch, or
    the batch's steps of credit (whole trajectories, turns or units), where each counts once, however long it is. Of
    several worlds, each is whitened by itself."""

    @property
    def ranks(self) -> bool:
        """Whether a group's returns are put in order and nothing else is asked of them."""
        return self.transform in ("best", "best_worst")


@dataclass(frozen=True)
class Verdict:
    """A = λ₊ where R ≥ τ, and −λ₋ where R < τ: learn from right answers only (λ₋ = 0), from wrong ones only (λ₊ = 0),
    or from both in another proportion (PSR, NSR, W-REINFORCE: Zhu et al. 2025, arXiv:2506.01347, eqs. 2 to 5)."""

    threshold: float
    right: float
    wrong: float

    def __call__(self, return_B_K: Tensor) -> Tensor:
        return torch.full_like(return_B_K, -self.wrong).masked_fill(return_B_K >= self.threshold, self.right)


@dataclass(frozen=True)
class Credited:
    """What credit says of a batch; all [B, T]."""

    advantage_B_T: Tensor  # zero at masked-out units
    target_B_T: Tensor  # what the critic should have said: A + V
    target_mask_B_T: Tensor  # bool: where a target is (first unit of each step); nowhere without a critic


def group_advantage(
    reward_B: Tensor,
    group_B: Tensor,
    *,
    baseline: Literal["mean", "leave_one_out", "none"] = "mean",
    scale: Scale = "std",
    ddof: int = 1,
    eps: float = 1e-6,
    episode_B: Tensor | None = None,
) -> Tensor:
    """Aᵢ = (Rᵢ − b) / (s + ε), with b and s from the rows of the same group.

    mean: b = R̄ (GRPO). leave_one_out: b = mean of the other rows' R (RLOO), that is (G/(G−1))(Rᵢ − R̄).
    scale: s = the group's standard deviation (with `ddof`), or its mean (MaxRL: advantage 0 in a group whose mean
    is not positive); "none" divides by nothing.
    A group of one row, or of equal rewards, has advantage exactly 0 (unless the baseline is "none", which
    only divides). `episode_B`: rows of one episode that was split into several samples carry equal rewards
    and count once.

    `reward_B` float [B], `group_B` and `episode_B` int [B]; returns [B]. `ValueError` on wrong shapes or constants, or
    on a reward that is not finite: an episode that was not scored must not come here.
    """
    check_rank(1, reward_B=reward_B, group_B=group_B, episode_B=episode_B)
    if baseline not in ("mean", "leave_one_out", "none"):
        raise ValueError(f"baseline must be 'mean', 'leave_one_out' or 'none', got {baseline!r}")
    if scale not in ("std", "mean", "none"):
        raise ValueError(f"scale must be 'std', 'mean' or 'none', got {scale!r}")
    if ddof not in (0, 1):
        raise ValueError(f"ddof must be 0 or 1, got {ddof!r}")
    if not (math.isfinite(eps) and eps >= 0):
        raise ValueError(f"eps must be a number from 0, got {eps!r}")
    if not reward_B.is_floating_point():
        raise ValueError(f"reward_B must be float, got {reward_B.dtype}: advantages of whole numbers would be cut")
    if not bool(torch.isfinite(reward_B).all()):
        raise ValueError("reward_B has values that are not finite; leave unscored episodes out")
    R = reward_B.double()  # equal rewards must have spread exactly zero, whatever their mean rounds to
    group = _group_statistics(R, group_B, episode_B)
    A = R
    if baseline == "mean":
        # A = R − R̄
        A = R - group.mean_B
    elif baseline == "leave_one_out":
        # A = R − Σ_{j≠i} Rⱼ / (G − 1) = (R − R̄) G / (G − 1)
        A = (R - group.mean_B) * (group.size_B / (group.size_B - 1).clamp(min=1))
    if baseline != "none":
        A = A.masked_fill(group.flat_B, 0.0)
    if scale == "std":
        # A ← A / (√(Σ (Rⱼ − R̄)² / (G − ddof)) + ε)
        A = A / ((group.squares_B / (group.size_B - ddof).clamp(min=1)).sqrt() + eps)
    elif scale == "mean":
        # A ← A / (R̄ + ε), and 0 where R̄ ≤ 0: a negative divisor would turn the better into the worse
        A = torch.where(group.mean_B > 0, A / (group.mean_B + eps), 0.0)
    return A.to(reward_B.dtype)


@dataclass(frozen=True)
class _GroupStatistics:
    """Of each row's group, all [B]; rows of one episode count once."""

    size_B: Tensor  # G
    mean_B: Tensor  # R̄
    squares_B: Tensor  # Σ (R − R̄)²
    flat_B: Tensor  # bool: all rewards are equal


def _group_statistics(R_B: Tensor, group_B: Tensor, episode_B: Tensor | None) -> _GroupStatistics:
    _, group = torch.unique(group_B, return_inverse=True)
    counted_B = (_first_rows(episode_B) if episode_B is not None else torch.ones_like(group, dtype=torch.bool)).double()
    nothing_G = R_B.new_zeros(int(group.max()) + 1 if len(group) else 0)

    def total(x_B: Tensor) -> Tensor:
        return nothing_G.scatter_add(0, group, x_B * counted_B)[group]

    size_B = total(torch.ones_like(R_B))
    mean_B = total(R_B) / size_B
    largest = nothing_G.scatter_reduce(0, group, R_B, "amax", include_self=False)
    smallest = nothing_G.scatter_reduce(0, group, R_B, "amin", include_self=False)
    return _GroupStatistics(size_B, mean_B, total((R_B - mean_B) ** 2), (largest == smallest)[group])


def best_and_worst(return_B: Tensor, group_B: Tensor) -> Tensor:
    """1 at the best row of each group, −1 at the worst, 0 elsewhere and where all of a group are equal; of equal rows
    the first. `return_B` float [B], `group_B` int [B]; returns [B]."""
    check_rank(1, return_B=return_B, group_B=group_B)
    _, group = torch.unique(group_B, return_inverse=True)
    row = torch.arange(len(return_B), device=return_B.device)
    nothing_G = return_B.new_zeros(len(return_B))  # there are no more groups than rows
    best_B, worst_B = (
        nothing_G.scatter_reduce(0, group, return_B, reduce, include_self=False)[group] for reduce in ("amax", "amin")
    )

    def first(is_one_B: Tensor) -> Tensor:
        first_G = torch.full_like(row, len(row)).scatter_reduce(0, group[is_one_B], row[is_one_B], "amin")
        return (first_G[group] == row).to(return_B.dtype)

    difference = first(return_B == best_B) - first(return_B == worst_B)
    return difference.masked_fill(best_B == worst_B, 0.0)


def _first_rows(episode_B: Tensor) -> Tensor:
    """bool [B]: true at the first row of every episode."""
    _, episode = torch.unique(episode_B, return_inverse=True)
    row = torch.arange(len(episode_B), device=episode_B.device)
    count = int(episode.max()) + 1 if len(episode) else 0
    first = row.new_full((count,), len(episode_B)).scatter_reduce(0, episode, row, "amin")
    return first[episode] == row


def assign_credit(batch: Batch, credit: Credit) -> Credited:
    """The advantage of every unit in `batch`, and what its critic should learn.

    Rows of one episode follow one another in time, in the order of the batch. `ValueError` where a row holds
    several episodes and the baseline is not a critic: a return to compare with other episodes needs a whole one.
    """
    if credit.transform == "one":
        nowhere = torch.zeros_like(batch.mask_B_T)
        # A = 1
        return Credited(batch.mask_B_T.to(batch.reward_B_T.dtype), torch.zeros_like(batch.reward_B_T), nowhere)
    layout = episode_rows(batch.episode_B, batch.mask_B_T.shape[1])
    whole = layout.join_batch(batch)
    mask = whole.mask_B_T
    walk = steps(mask, whole.turn_B_T, whole.end_B_T, credit.granularity)
    if credit.baseline == "critic":
        advantage_B_K, value_B_K = _critic_advantage(whole, walk, credit)
        # target = A + V, once for each step
        target_B_T = (advantage_B_K + value_B_K).gather(1, walk.index_B_T)
        target_mask = walk.begins_B_T
    else:
        of_steps = _advantage_of_terms if credit.each_term else _group_advantage_of_steps
        advantage_B_K = of_steps(whole, walk, credit)
        target_B_T, target_mask = torch.zeros_like(whole.reward_B_T), torch.zeros_like(mask)
    advantage_B_T = torch.where(mask, advantage_B_K.gather(1, walk.index_B_T), 0.0)
    if credit.transform == "positive":
        # A ← 1[A > 0]
        advantage_B_T = (advantage_B_T > 0).to(advantage_B_T.dtype)
    if credit.whiten in ("batch", "steps"):
        advantage_B_T = whiten(advantage_B_T, mask, mask if credit.whiten == "batch" else walk.begins_B_T)
    return Credited(*(layout.split(x) for x in (advantage_B_T, target_B_T, target_mask)))


def whiten(advantage_B_T: Tensor, mask_B_T: Tensor, counted_B_T: Tensor | None = None, eps: float = 1e-8) -> Tensor:
    """Â = (A − Ā) / (σ + ε) at the units in the mask, zero elsewhere; [B, T]. Ā and σ (ddof 1) are over the units in
    `counted_B_T` (None: all in the mask).

    Zero everywhere where the advantages differ by no more than their own rounding: a constant is no signal, and what
    its mean rounds to, divided by a spread of nothing, would be one.
    """
    chosen = advantage_B_T[mask_B_T if counted_B_T is None else counted_B_T].double()
    if not chosen.numel():
        return torch.zeros_like(advantage_B_T)
    rounding = ROUNDINGS * torch.finfo(advantage_B_T.dtype).eps * chosen.abs().max()
    if bool(chosen.max() - chosen.min() <= rounding):
        return torch.zeros_like(advantage_B_T)
    # Â = (A − Ā) / (σ + ε)
    whitened = (advantage_B_T.double() - chosen.mean()) / (chosen.std() + eps)
    return torch.where(mask_B_T, whitened, 0.0).to(advantage_B_T.dtype)


def _of_steps(batch: Batch, walk: Steps) -> tuple[Tensor, Tensor, Tensor]:
    """Reward, mask and end of each step, all [B, K]. Rewards in fp64, which adds those of fp32 without a rounding: the
    same in another order are the same."""
    mask = batch.mask_B_T
    reward_B_K = sum_steps(batch.reward_B_T.double(), mask, walk)
    mask_B_K = sum_steps(mask.long(), mask, walk) > 0
    end_B_K = sum_steps(batch.end_B_T.long(), mask, walk) > 0
    return reward_B_K, mask_B_K, end_B_K


def _critic_advantage(batch: Batch, walk: Steps, credit: Credit) -> tuple[Tensor, Tensor]:
    """GAE over steps, [B, K], and the value of the state that each step began in."""
    if batch.value_B_T is None or batch.bootstrap_B_T is None:
        raise ValueError("credit by a critic needs a batch with values")
    reward, mask, end = _of_steps(batch, walk)
    reward = reward.to(batch.value_B_T.dtype)
    value = sum_steps(torch.where(walk.begins_B_T, batch.value_B_T, 0.0), batch.mask_B_T, walk)
    bootstrap = sum_steps(torch.where(batch.end_B_T, batch.bootstrap_B_T, 0.0), batch.mask_B_T, walk)
    return gae(reward, value, mask, end, bootstrap, gamma=credit.gamma, lam=credit.lam), value


def _advantage_of_terms(batch: Batch, walk: Steps, credit: Credit) -> Tensor:
    """A = Σ_k (R_k − b_k) / (s_k + ε) over the terms k of the reward that the batch notes by name (`term_NAME_B`);
    [B, 1]. Without any there is one, the reward itself."""
    names = sorted(name for name in batch.notes if name.startswith("term_"))
    if not names:
        return _group_advantage_of_steps(batch, walk, credit)
    total_B_K = batch.reward_B_T.new_zeros(len(batch.reward_B_T), walk.count)
    for name in names:
        # all of a term at the first unit: over a whole trajectory, when it was earned does not matter
        first = batch.mask_B_T & (batch.mask_B_T.cumsum(dim=1) == 1)
        reward_B_T = torch.where(first, batch.notes[name][:, None].to(batch.reward_B_T.dtype), 0.0)
        total_B_K += _group_advantage_of_steps(replace(batch, reward_B_T=reward_B_T), walk, credit)
    return total_B_K


def _group_advantage_of_steps(batch: Batch, walk: Steps, credit: Credit) -> Tensor:
    """Return-to-go minus what the other episodes of the group still got at the same step; [B, K].

    An episode that is over earns 0 from there on, and counts so in its group's mean. Nobody's value stands in for what
    a truncated episode did not live to earn: a method without a critic reads none, whoever else may have one.
    """
    reward, mask, end = _of_steps(batch, walk)
    if bool((end.sum(dim=1) > 1).any()):
        raise ValueError("a row holds several episodes; without a critic every row must be one whole episode")
    return_B_K = discounted_returns(reward, mask, end, torch.zeros_like(reward), gamma=credit.gamma)
    return_B_K = return_B_K.to(batch.reward_B_T.dtype)  # once, behind all sums, as `flat_groups` does
    if credit.transform == "verdict":
        return Verdict(credit.threshold, credit.right, credit.wrong)(return_B_K)
    rows = mask.any(dim=1)  # a row without units (an episode that failed) is no member of its group
    if credit.ranks:
        advantage_B_K = torch.zeros_like(return_B_K)
        advantage_B_K[rows] = best_and_worst(return_B_K[rows, 0], batch.group_B[rows])[:, None]
        return advantage_B_K.clamp(min=0) if credit.transform == "best" else advantage_B_K
    if credit.baseline is None:
        return return_B_K
    if credit.baseline == "optimal":
        energy_B_K = sum_steps(batch.notes["energy_B_T"].to(return_B_K.dtype), batch.mask_B_T, walk)
        return optimal_advantage(return_B_K, energy_B_K, mask, batch.group_B)
    group = torch.zeros_like(batch.group_B) if credit.baseline == "batch_mean" else batch.group_B
    K = walk.count
    column = torch.arange(K, device=group.device)
    advantage = group_advantage(
        return_B_K[rows].flatten(),
        (group[rows, None] * K + column).flatten(),
        baseline="leave_one_out" if credit.baseline == "leave_one_out" else "mean",
        scale=credit.scale or "none",
        ddof=credit.ddof,
        eps=credit.eps,
    )
    advantage_B_K = torch.zeros_like(return_B_K)
    advantage_B_K[rows] = advantage.view(-1, K)
    return advantage_B_K
