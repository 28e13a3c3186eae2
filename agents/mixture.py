"""An actor for several worlds: one agent, trained and measured in all of them.

    group g of the whole  =  group g // W of world g % W

so that one number still names a group, and each world goes through its own tasks as if it were alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..envs.seeding import derive_seed
from ..envs.vocabulary import EPISODES_IN_GROUP, Batch, Collection, Episode
from .protocols import Actor, Weights


def mixed_groups(own: Sequence[range]) -> list[int]:
    """The numbers in the whole of each world's `own` groups, in order.

    >>> mixed_groups([range(0, 3), range(0, 1)])
    [0, 1, 2, 4]
    """
    return sorted(group * len(own) + world for world, groups in enumerate(own) for group in groups)


def divided(groups: int, shares: Sequence[float]) -> list[int]:
    """How many of `groups` each world has: in proportion to its share, rounded by the largest remainder, and at least
    one each. ValueError for more worlds than groups.

    >>> divided(8, [3, 1])
    [6, 2]
    """
    if len(shares) > groups:
        raise ValueError(f"{groups} groups for {len(shares)} worlds")
    spare = groups - len(shares)  # one is everybody's
    exact = [max(0.0, groups * share / sum(shares) - 1) for share in shares]
    exact = [spare * part / (sum(exact) or 1.0) for part in exact]
    counts = [int(part) for part in exact]
    by_remainder = sorted(range(len(shares)), key=lambda world: counts[world] - exact[world])
    for world in by_remainder[: spare - sum(counts)]:
        counts[world] += 1
    return [1 + count for count in counts]


class MixedActor:
    """An `Actor` over `actors`, one for each world, by the world's name. Their batches are joined, and say in the note
    `world_B` from which a row is."""

    def __init__(self, actors: Mapping[str, Actor]) -> None:
        self._actors = dict(actors)

    def collect(self, groups: Sequence[int], group_size: int, *, seed: int, version: int) -> Collection:
        """As `Actor.collect`; world by world."""
        parts = []
        for world, (name, actor) in enumerate(self._actors.items()):
            own = [group // len(self._actors) for group in groups if group % len(self._actors) == world]
            if own:
                part = actor.collect(own, group_size, seed=derive_seed(seed, "world", name), version=version)
                batch = None if part.batch is None else self._renumbered(part.batch, world)
                parts.append(replace(part, batch=batch, episodes=tuple(self._named(part.episodes, world, name))))
        whole = Collection.join(parts)
        return replace(whole, episodes=tuple(sorted(whole.episodes, key=lambda episode: episode.number)))

    def evaluate(
        self, tasks: int, *, seed: int, version: int, greedy: bool = True, split: str = "test", each: int = 1
    ) -> list[Episode]:
        """As `Actor.evaluate`, so many tasks of each world; those of one number stand together."""
        played = []
        for world, (name, actor) in enumerate(self._actors.items()):
            own = derive_seed(seed, "world", name)
            episodes = actor.evaluate(tasks, seed=own, version=version, greedy=greedy, split=split, each=each)
            played += self._named(episodes, world, name)
        return sorted(played, key=lambda episode: episode.number)

    def state(self) -> dict[str, Tensor]:
        """The states of all, each under its world's name."""
        return {f"{world}/{name}": x for world, actor in self._actors.items() for name, x in actor.state().items()}

    def load_state(self, state: Mapping[str, Tensor]) -> int:
        """Each goes on from its own."""
        parted = 0
        for world, actor in self._actors.items():
            start = f"{world}/"
            own = {name.removeprefix(start): x for name, x in state.items() if name.startswith(start)}
            if own:
                parted += actor.load_state(own)
        return parted

    def load(self, weights: Weights) -> None:
        """As `Actor.load`, for all."""
        for actor in self._actors.values():
            actor.load(weights)

    def close(self) -> None:
        """Close every world."""
        for actor in self._actors.values():
            actor.close()

    def _renumbered(self, batch: Batch, world: int) -> Batch:
        group_B = batch.group_B * len(self._actors) + world
        index_B, first_B = batch.episode_B % EPISODES_IN_GROUP, batch.episode_B // EPISODES_IN_GROUP
        return replace(
            batch,
            group_B=group_B,
            episode_B=(first_B * len(self._actors) + world) * EPISODES_IN_GROUP + index_B,
            bundle_B=batch.bundle_B * len(self._actors) + world,
            notes={**batch.notes, "world_B": torch.full_like(batch.group_B, world)},
        )

    def _named(self, episodes: Sequence[Episode], world: int, name: str) -> list[Episode]:
        return [replace(e, group=e.group * len(self._actors) + world, world=name) for e in episodes]
