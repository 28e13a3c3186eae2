"""What a reward model says of episodes, as a term of their rewards beside those of the world.

    R ← w_world·R + w·clip(ŝ, ±c)         ŝ at the last unit of the episode

    start   ŝ = s − s̄₀, with s̄₀ the mean over the first batch: what the policy as it began says is worth 0 on average
            (Ouyang et al. 2022, arXiv:2203.02155, shift so that the demonstrations of people are)
    batch   ŝ = (s − s̄) / σ over each batch, σ that of the population; 0 where all scores are equal

With `model_at: turn` the model is asked behind each turn k, which earns what it has changed, and that sums to the same
(a potential: Ng et al. 1999, "Policy invariance under reward transformations"; scores of steps: Lightman et al. 2023,
arXiv:2305.20050):

    r_k = w·clip(ŝ_k, ±c) − w·clip(ŝ_{k−1}, ±c),    w·clip(ŝ_0, ±c) = 0        at the last unit of turn k

Only differences of scores have a meaning, so that a shift is free; it decides what a reply is worth against none at
all. An episode whose score is unknown is left out, as others whose reward nobody knows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import fmean, pstdev

import torch
from torch import Tensor

from ..agents.protocols import Reward
from ..envs.vocabulary import Batch, Collection, Episode
from .credit import ROUNDINGS
from .rewards import Rewards, turn_ends
from .shapes import steps

TERM = "reward_model"  # the name of this term of a reward, and in `Episode.metrics` of the score as it was said
WORLD = "reward"  # in `Episode.metrics`: what the world paid, whatever that counts


def z_scores(score_N: Sequence[float], among: Sequence[float] | None = None) -> list[float]:
    """(s − s̄) / σ, with s̄ and σ (of the population) those of the scores `among` which they are, by default these; all
    0 where those differ by no more than single precision rounds."""
    others = score_N if among is None else among
    rounding = ROUNDINGS * torch.finfo(torch.float32).eps * max(map(abs, others))
    if max(others) - min(others) <= rounding:
        return [0.0] * len(score_N)
    mean, deviation = fmean(others), pstdev(others)
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
        if self._rewards.model_at == "turn":
            said = self._judge.turns(asked)
        else:
            said = [None if score is None else [score] for score in self._judge(asked)]
        scores = {e.number: score for e, score in zip(asked, said, strict=True) if score is not None}
        paid = self._paid(scores)
        episodes = tuple(
            self._told(episode, scores.get(episode.number), paid.get(episode.number)) for episode in collection.episodes
        )
        batch = None if collection.batch is None else self._batch(collection.batch, paid)
        seconds = {**collection.seconds, "judge": time.perf_counter() - begun}
        return replace(collection, batch=batch, episodes=episodes, seconds=seconds)

    def _paid(self, scores: Mapping[int, Sequence[float]]) -> dict[int, list[float]]:
        """What each episode is paid, as often as it was scored: by how much w·clip(ŝ, ±c) has changed. What a score is
        worth is decided by those of whole episodes."""
        if not scores:
            return {}
        whole = [score[-1] for score in scores.values()]
        return {number: self._changes(one, whole) for number, one in scores.items()}

    def _changes(self, scores: Sequence[float], whole: Sequence[float]) -> list[float]:
        if self._rewards.model_scale == "batch":
            scaled = z_scores(scores, whole)
        else:
            self._start = start = fmean(whole) if self._start is None else self._start
            scaled = [score - start for score in scores]
        most = self._rewards.model_clip or math.inf
        worth = [self._weight * max(-most, min(most, score)) for score in scaled]
        return [later - before for before, later in pairwise([0.0, *worth])]

    def _told(self, episode: Episode, scores: Sequence[float] | None, paid: Sequence[float] | None) -> Episode:
        """The episode with its new term, or without a reward."""
        if episode.reward is None:
            return episode
        if scores is None or paid is None:
            why = "the reward model gave no score: the conversation is longer than its context, or nobody replied"
            return replace(episode, reward=None, reward_terms={}, turn_rewards=(), success=None, unscored=why)
        world, total = self._rewards.world, math.fsum(paid)
        turns = [world * reward for reward in episode.turn_rewards or (episode.reward,)]
        late = len(turns) - len(paid)  # turns before the first that was scored
        return replace(
            episode,
            reward=world * episode.reward + total,
            reward_terms={**{name: world * x for name, x in episode.reward_terms.items()}, TERM: total},
            turn_rewards=(*turns[:late], *(a + b for a, b in zip(turns[late:], paid, strict=True))),
            metrics={**episode.metrics, TERM: scores[-1], WORLD: episode.reward},
        )

    def _batch(self, batch: Batch, paid: Mapping[int, Sequence[float]]) -> Batch | None:
        """The rows of episodes with a score; `paid` by their numbers."""
        known = [row for row, number in enumerate(batch.episode_B.tolist()) if number in paid]
        if not known:
            return None
        batch = batch.rows(torch.tensor(known))
        numbers, world = batch.episode_B.tolist(), self._rewards.world
        total_B = torch.tensor([math.fsum(paid[number]) for number in numbers], dtype=batch.reward_B_T.dtype)
        terms = {name: world * x for name, x in batch.notes.items() if name.startswith("term_")}
        reward_B_T, owed = world * batch.reward_B_T, {number: iter(parts) for number, parts in paid.items()}
        for row, column in torch.nonzero(self._paydays(batch)).tolist():  # rows of an episode are in order
            reward_B_T[row, column] += next(owed[numbers[row]])
        return replace(batch, reward_B_T=reward_B_T, notes={**batch.notes, **terms, f"term_{TERM}_B": total_B})

    def _paydays(self, batch: Batch) -> Tensor:
        """bool [B, T]: the units at which is paid, as many of an episode as it has scores."""
        if self._rewards.model_at == "turn":
            return turn_ends(batch, steps(batch.mask_B_T, batch.turn_B_T, batch.end_B_T, "turn"))
        last = {number: row for row, number in enumerate(batch.episode_B.tolist())}
        column = torch.arange(batch.mask_B_T.shape[1])
        end_B = torch.where(batch.mask_B_T, column, -1).amax(dim=1)
        is_end_B_T = torch.zeros_like(batch.mask_B_T)
        is_end_B_T[list(last.values()), end_B[list(last.values())]] = True
        return is_end_B_T

    def state(self) -> dict[str, Tensor]:
        """s̄₀, once it is known."""
        return {} if self._start is None else {"start": torch.tensor(self._start, dtype=torch.float64)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        self._start = float(state["start"]) if "start" in state else None
