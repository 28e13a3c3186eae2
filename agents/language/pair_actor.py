"""Collects pairs of episodes: one actor plays the better side of each, the other the worse.

    group g:  index 0, the chosen side,   index 1, the rejected side

Both are rows of one batch, with equal group; which is the better one, their rewards say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from ...envs.vocabulary import Batch, Collection, Episode
from ..protocols import Actor, Weights


class PairActor:
    """An `Actor` made of two that have nothing to continue and play no group twice: `collect` brings an episode of each
    for a group. Evaluations are those of the first."""

    def __init__(self, chosen: Actor, rejected: Actor) -> None:
        self._chosen, self._rejected = chosen, rejected

    def collect(self, groups: Sequence[int], group_size: int, *, seed: int, version: int) -> Collection:
        """As `Actor.collect`; a group has two members by itself, and `group_size` is 1."""
        assert group_size == 1, "checked before: a pair has two sides, whatever the size of groups"
        chosen, rejected = (
            actor.collect(groups, 1, seed=seed, version=version) for actor in (self._chosen, self._rejected)
        )
        return Collection.join([chosen, _as_second(rejected)])

    def evaluate(
        self, tasks: int, *, seed: int, version: int, greedy: bool = True, split: str = "test", each: int = 1
    ) -> list[Episode]:
        """As `Actor.evaluate`."""
        return self._chosen.evaluate(tasks, seed=seed, version=version, greedy=greedy, split=split, each=each)

    def state(self) -> dict[str, Tensor]:
        """Nothing outlives a collection."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> int:
        """Nothing to continue."""
        return 0

    def load(self, weights: Weights) -> None:
        """As `Actor.load`, for both."""
        self._chosen.load(weights)
        self._rejected.load(weights)

    def close(self) -> None:
        """Close both."""
        self._chosen.close()
        self._rejected.close()


def _as_second(collection: Collection) -> Collection:
    """The same episodes as members 1 of their groups, of which they were members 0."""
    episodes = tuple(replace(episode, index=1) for episode in collection.episodes)
    return replace(collection, batch=None if collection.batch is None else _next(collection.batch), episodes=episodes)


def _next(batch: Batch) -> Batch:
    return replace(batch, episode_B=batch.episode_B + 1, bundle_B=batch.bundle_B + 1)
