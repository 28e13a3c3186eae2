"""Collects what was replied to one prompt, and somebody has compared: each reply is played by an actor of its own.

    group g:  index 0, the first reply (of a pair the chosen one),   index 1, the next,   …

All are rows of one batch, with equal group; which is the better one, their rewards say. One that was cut, for it does
not fit into the context, has no row: it earns nothing, whatever its rank is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...envs.vocabulary import Collection, Episode
from ..protocols import Actor, Weights


class PairActor:
    """An `Actor` made of several that have nothing to continue and play no group twice: `collect` brings an episode of
    each for a group. Evaluations are those of the first."""

    def __init__(self, sides: Sequence[Actor]) -> None:
        self._sides = sides

    def collect(self, groups: Sequence[int], group_size: int, *, seed: int, version: int) -> Collection:
        """As `Actor.collect`; a group has its members by itself, and `group_size` is 1."""
        assert group_size == 1, "checked before: a row has its replies, whatever the size of groups"
        sides = [actor.collect(groups, 1, seed=seed, version=version) for actor in self._sides]
        return Collection.join([_as_member(side, index) for index, side in enumerate(sides)])

    def evaluate(
        self, tasks: int, *, seed: int, version: int, greedy: bool = True, split: str = "test", each: int = 1
    ) -> list[Episode]:
        """As `Actor.evaluate`."""
        return self._sides[0].evaluate(tasks, seed=seed, version=version, greedy=greedy, split=split, each=each)

    def state(self) -> dict[str, Tensor]:
        """Nothing outlives a collection."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> int:
        """Nothing to continue."""
        return 0

    def load(self, weights: Weights) -> None:
        """As `Actor.load`, for all."""
        for actor in self._sides:
            actor.load(weights)

    def close(self) -> None:
        """Close all."""
        for actor in self._sides:
            actor.close()


def _as_member(collection: Collection, index: int) -> Collection:
    """The same episodes as members `index` of their groups, of which they were members 0."""
    batch, episodes = collection.batch, tuple(replace(episode, index=index) for episode in collection.episodes)
    cut = torch.tensor([episode.number for episode in collection.episodes if not episode.terminated], dtype=torch.long)
    if batch is not None and len(cut):
        whole_B = ~torch.isin(batch.episode_B, cut)
        batch = batch.rows(torch.nonzero(whole_B)[:, 0]) if whole_B.any() else None
    if batch is not None:
        batch = replace(batch, episode_B=batch.episode_B + index, bundle_B=batch.bundle_B + index)
    return replace(collection, batch=batch, episodes=episodes)
