"""Collects what was replied to one prompt, and somebody has compared: each reply is played by an actor of its own.

    group g:  index 0, the first reply (of a pair the chosen one),   index 1, the next,   …

All are rows of one batch, with equal group; which is the better one, their rewards say. One that was cut, for it does
not fit into the context, has no row: it earns nothing, whatever its rank is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...envs.vocabulary import Batch, Collection, Episode, Message
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
        batch = _numbered(batch, collection.episodes)
        batch = replace(batch, episode_B=batch.episode_B + index, bundle_B=batch.bundle_B + index)
    return replace(collection, batch=batch, episodes=episodes)


def _numbered(batch: Batch, episodes: Sequence[Episode]) -> Batch:
    """The batch with a note `beginning_B_T`: a number for all that was said up to the end of a unit's turn, equal for
    equal beginnings, whoever said them."""
    number_E_K = torch.zeros(len(episodes), max(1, *(episode.turns for episode in episodes)), dtype=torch.long)
    for row, episode in enumerate(episodes):
        for k in range(episode.turns):
            said = json.dumps(beginning(episode, k), default=str).encode("utf-8", "surrogatepass")
            number_E_K[row, k] = int.from_bytes(hashlib.blake2b(said, digest_size=8).digest(), "little", signed=True)
    place = {episode.number: row for row, episode in enumerate(episodes)}
    row_B = torch.tensor([place[number] for number in batch.episode_B.tolist()])
    number_B_T = torch.where(batch.mask_B_T, number_E_K[row_B].gather(1, batch.turn_B_T), 0)
    return replace(batch, notes={**batch.notes, "beginning_B_T": number_B_T})


def beginning(episode: Episode, k: int) -> Sequence[Message]:
    """The messages up to turn `k` of the episode, from 0, or up to the last, where there are fewer. What was said by
    the assistant in the opening is no turn of it."""
    said = [n for n, message in enumerate(episode.messages) if message["role"] == "assistant"][-episode.turns :]
    return episode.messages[: said[min(k, len(said) - 1)] + 1]
