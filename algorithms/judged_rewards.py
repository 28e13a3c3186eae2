"""What a reward model says of episodes, as a term of their rewards beside those of the world.

    R ← w_world·R + w·clip(ŝ, ±c)         ŝ at the last unit of the episode

    start   ŝ = s − s̄₀, with s̄₀ the mean over the first batch: what the policy as it began says is worth 0 on average
            (Ouyang et al. 2022, arXiv:2203.02155, shift so that the demonstrations of people are)
    batch   ŝ = (s − s̄) / σ over each batch, σ that of the population; 0 where all scores are equal

Only differences of scores have a meaning, so that a shift is free; it decides what a reply is worth against none at
all. An episode whose score is unknown is left out, as others whose reward nobody knows.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, pstdev

import torch
from torch import Tensor

from ..agents.protocols import Reward
from ..envs.vocabulary import Batch, Collection, Episode
from .credit import ROUNDINGS
from .rewards import Rewards

TERM = "reward_model"  # the name of this term of a reward, and in `Episode.metrics` of the score as it was said
WORLD = "reward"  # in `Episode.metrics`: what the world paid, whatever that counts


def z_scores(score_N: Sequence[float]) -> list[float]:
    """(s − s̄) / σ, with σ that of the population; all 0 where they differ by no more than single precision rounds."""
    rounding = ROUNDINGS * torch.finfo(torch.float32).eps * max(map(abs, score_N))
    if max(score_N) - min(score_N) <= rounding:
        return [0.0] * len(score_N)
    mean, deviation = fmean(score_N), pstdev(score_N)
    return [(score - mean) / deviation for score in score_N]


class JudgedRewards:
    """Adds what `judge` says to the rewards of collections, by the constants of `rewards`. s̄₀ is part of the learner's
    state."""

    def __init__(self, judge: Reward, rewards: Rewards) -> None:
        assert rewards.model is not None, "asked only where the method reads a reward model"
        self._judge, self._rewards, self._weight = judge, rewards, rewards.model
        self._start: float | None = None  # s̄₀; None before the first batch

    def __call__(self, collection: Collection) -> Collection:
        """The same collection, as it is paid now."""
        begun = time.perf_counter()
        asked = [episode for episode in collection.episodes if episode.reward is not None]
        said = dict(zip((episode.number for episode in asked), self._judge(asked), strict=True))
        scores = {number: score for number, score in said.items() if score is not None}
        paid = dict(zip(scores, self._paid(list(scores.values())), strict=True))
        episodes = tuple(
            self._told(episode, scores.get(episode.number), paid.get(episode.number)) for episode in collection.episodes
        )
        batch = None if collection.batch is None else self._batch(collection.batch, paid)
        seconds = {**collection.seconds, "judge": time.perf_counter() - begun}
        return replace(collection, batch=batch, episodes=episodes, seconds=seconds)

    def _paid(self, score_N: list[float]) -> list[float]:
        """w·clip(ŝ, ±c) of each score."""
        if not score_N:
            return []
        if self._rewards.model_scale == "batch":
            scaled = z_scores(score_N)
        else:
            self._start = fmean(score_N) if self._start is None else self._start
            scaled = [score - self._start for score in score_N]
        most = self._rewards.model_clip or float("inf")
        return [self._weight * max(-most, min(most, score)) for score in scaled]

    def _told(self, episode: Episode, score: float | None, paid: float | None) -> Episode:
        """The episode with its new term, or without a reward."""
        if episode.reward is None:
            return episode
        if score is None or paid is None:
            why = "the reward model gave no score: the conversation is longer than its context, or nobody replied"
            return replace(episode, reward=None, reward_terms={}, turn_rewards=(), success=None, unscored=why)
        world = self._rewards.world
        *turns, last = (world * reward for reward in episode.turn_rewards or (episode.reward,))
        return replace(
            episode,
            reward=world * episode.reward + paid,
            reward_terms={**{name: world * x for name, x in episode.reward_terms.items()}, TERM: paid},
            turn_rewards=(*turns, last + paid),
            metrics={**episode.metrics, TERM: score, WORLD: episode.reward},
        )

    def _batch(self, batch: Batch, paid: dict[int, float]) -> Batch | None:
        """The rows of episodes with a score; `paid` by their numbers."""
        known = [row for row, number in enumerate(batch.episode_B.tolist()) if number in paid]
        if not known:
            return None
        batch = batch.rows(torch.tensor(known))
        numbers = batch.episode_B.tolist()
        paid_B = torch.tensor([paid[number] for number in numbers], dtype=batch.reward_B_T.dtype)
        last = {number: row for row, number in enumerate(numbers)}  # rows of an episode are in order
        is_last_B = torch.tensor([last[number] == row for row, number in enumerate(numbers)])
        column = torch.arange(batch.mask_B_T.shape[1])
        end_B = torch.where(batch.mask_B_T, column, -1).amax(dim=1, keepdim=True)
        at_end_B_T = (column == end_B) & is_last_B[:, None]
        world = self._rewards.world
        terms = {name: world * x for name, x in batch.notes.items() if name.startswith("term_")}
        reward_B_T = world * batch.reward_B_T + torch.where(at_end_B_T, paid_B[:, None], 0.0)
        return replace(batch, reward_B_T=reward_B_T, notes={**batch.notes, **terms, f"term_{TERM}_B": paid_B})

    def state(self) -> dict[str, Tensor]:
        """s̄₀, once it is known."""
        return {} if self._start is None else {"start": torch.tensor(self._start, dtype=torch.float64)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        self._start = float(state["start"]) if "start" in state else None
