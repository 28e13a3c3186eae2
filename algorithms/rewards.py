"""Rewards, before credit is assigned: their scale, and what a reply loses that is too long.

    R ← r + γ·R,   R ← 0 where an episode begins,   r' = clip(r / std(R), ±c)

R is the discounted return that runs along with the rewards (the normaliser of OpenAI's baselines, VecNormalize).
Rewards are not shifted, which would change what a longer episode is worth. A row that was cut goes on in the next
batch, and so does its R; γ and the size of a step are those of the method that learns. Left out: a scale for each term.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from torch import Tensor

from ..agents.running_moments import RunningMoments
from ..envs.quantities import Count, NotNegative, Positive, real
from ..envs.vocabulary import Batch
from .episode_rows import episode_rows
from .shapes import Granularity, Steps, steps, sum_steps


@dataclass(frozen=True)
class Rewards:
    """What is done to rewards before credit."""

    teacher: Literal["model", "self"] | None = None
    """Who pays for each unit, in the place of the world (see `distillation`): another model, or the policy itself as
    it was when the stage began, after it has been shown what the world's expert does. None: the world pays."""
    teacher_pays: Literal["chosen", "all"] = "chosen"
    """chosen: for what was chosen, which is one draw of how far policy and teacher are apart. all: for everything that
    might have been, as often as the policy would choose it, which is that distance itself."""
    model: Positive | None = None
    """How much what a reward model says counts (role `reward`), see `judged_rewards`. None: none is asked."""
    model_scale: Literal["start", "batch"] = "start"  # start: mean 0 on the first batch; batch: z-scores of each
    model_clip: Positive | None = None  # c: to which size that is cut, before it is weighed
    world: NotNegative = 1.0  # how much what the world pays counts beside it
    scale: Literal["return"] | None = None  # return: divided by the spread of the running discounted return
    clip: Positive | None = None  # c: to which size a scaled reward is cut; None: rare rewards keep their sizes
    overlong_buffer: Count | None = None
    """Of how many units before the limit a reply begins to lose reward: 0 at limit − buffer, −1 at the limit, straight
    between them (soft overlong punishment of DAPO: Yu et al. 2025, arXiv:2503.14476, eq. 13). None: it loses none."""
    overlong_share: Annotated[float, real(above=0, most=1, percent=2)] | None = None  # as a share of the limit
    overlong_limit: Count | None = None  # most units in a reply; None: as many as are sampled


def punish_overlong(batch: Batch, *, limit: int, buffer: int) -> Batch:
    """The batch with r ← r − clip((n − (limit − buffer)) / buffer, 0, 1) at the end of each turn of n units."""
    mask = batch.mask_B_T
    walk = steps(mask, batch.turn_B_T, batch.end_B_T, "turn")
    n_B_K = sum_steps(mask.to(batch.reward_B_T.dtype), mask, walk)
    # clip((n − (limit − buffer)) / buffer, 0, 1)
    lost_B_T = ((n_B_K - (limit - buffer)) / buffer).clamp(0.0, 1.0).gather(1, walk.index_B_T)
    column = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    last_B_K = torch.zeros_like(n_B_K, dtype=torch.long).scatter_reduce_(
        1, walk.index_B_T, torch.where(mask, column, 0), "amax"
    )
    at_end = mask & (column == last_B_K.gather(1, walk.index_B_T))
    return replace(batch, reward_B_T=batch.reward_B_T - torch.where(at_end, lost_B_T, 0.0))


class ReturnScale:
    """The running statistics behind `scale: return`. They move with every batch and are part of the learner's state."""

    def __init__(self, gamma: float, granularity: Granularity, clip: float | None) -> None:
        self.gamma, self.clip = gamma, clip
        self.granularity: Granularity = granularity
        self.moments = RunningMoments(1)
        self.running_B = torch.zeros(0, dtype=torch.float64)  # R of each row, where the last batch left it

    @torch.no_grad()
    def scaled(self, batch: Batch) -> Batch:
        """Move the statistics on by the rewards of `batch`, and give it with its rewards divided by their spread."""
        rows = episode_rows(batch.episode_B, batch.mask_B_T.shape[1])
        whole = rows.join_batch(batch)
        mask = whole.mask_B_T
        walk = steps(mask, whole.turn_B_T, whole.end_B_T, self.granularity)
        reward_B_K = sum_steps(whole.reward_B_T.double(), mask, walk).cpu()
        is_step_B_K = (sum_steps(mask.double(), mask, walk) > 0).cpu()
        begins_B_K = _begins(whole, walk).cpu()
        running = self.running_B if len(self.running_B) == len(reward_B_K) else torch.zeros(len(reward_B_K)).double()
        returns_B_K = torch.empty_like(reward_B_K)
        for k in range(walk.count):
            carried = torch.where(begins_B_K[:, k], 0.0, running)
            # R ← r + γ·R
            running = torch.where(is_step_B_K[:, k], reward_B_K[:, k] + self.gamma * carried, running)
            returns_B_K[:, k] = running
        self.running_B = running
        self.moments.update(returns_B_K[is_step_B_K][:, None])
        # r' = clip(r / std(R), ±c)
        reward_B_T = batch.reward_B_T / self.moments.std().to(batch.reward_B_T)
        if self.clip is not None:
            reward_B_T = reward_B_T.clamp(-self.clip, self.clip)
        return replace(batch, reward_B_T=reward_B_T)

    def state(self) -> dict[str, Tensor]:
        """Everything that the next `scaled` depends on."""
        return {**self.moments.state_dict(), "running_B": self.running_B.contiguous()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        self.running_B = state["running_B"]
        self.moments.load_state_dict({name: tensor for name, tensor in state.items() if name != "running_B"})


def return_scale(rewards: Rewards, gamma: float, granularity: Granularity) -> ReturnScale | None:
    """That of a method's rewards, where it asks for one."""
    return ReturnScale(gamma, granularity, rewards.clip) if rewards.scale == "return" else None


def _begins(whole: Batch, walk: Steps) -> Tensor:
    """bool [B, K]: the steps with which an episode begins: of a first turn, behind an end, a later turn or nothing."""
    mask = whole.mask_B_T
    first_B_T = walk.begins_B_T
    turn_B_K = sum_steps(torch.where(first_B_T, whole.turn_B_T, 0), mask, walk)
    ends_B_K = sum_steps(whole.end_B_T.long(), mask, walk) > 0
    before = torch.ones_like(ends_B_K)
    before[:, 1:] = ends_B_K[:, :-1] | (turn_B_K[:, :-1] > 0)
    return (turn_B_K == 0) & before
