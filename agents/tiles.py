"""An actor that plays its groups tile by tile.

How a matrix product rounds depends on how many rows it has, so an episode's last digits depend on how many others are
played beside it. Here `tile` groups are played together, whoever plays them and however many there are: processes that
play different tiles bring back, bit for bit, what one would that plays all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from ..envs.vocabulary import Collection, Episode
from .protocols import Actor, Weights


class TiledActor:
    """An `Actor` made of others. `groups` are cut into tiles in the order in which they are given.

    Args:
        make: gives an actor. Where rows go on from one collection to the next (`keeps_rows`), each tile has its own.
        tile: groups that are played together.
    """

    def __init__(self, make: Callable[[], Actor], tile: int, *, keeps_rows: bool) -> None:
        self._make, self._tile, self._keeps_rows = make, tile, keeps_rows
        self._evaluator = make()
        self._actors: dict[int, Actor] = {}  # by the first group of the tile
        self._weights = Weights(0)

    def collect(self, groups: Sequence[int], group_size: int, *, seed: int, version: int) -> Collection:
        """As `Actor.collect`, one tile after the other."""
        tiles = [groups[start : start + self._tile] for start in range(0, len(groups), self._tile)]
        return Collection.join(
            [self._actor(tile[0]).collect(tile, group_size, seed=seed, version=version) for tile in tiles]
        )

    def evaluate(
        self, tasks: int, *, seed: int, version: int, greedy: bool = True, split: str = "test", each: int = 1
    ) -> list[Episode]:
        """As `Actor.evaluate`."""
        return self._evaluator.evaluate(tasks, seed=seed, version=version, greedy=greedy, split=split, each=each)

    def state(self) -> dict[str, Tensor]:
        """The states of all tiles, under the number of their first group."""
        return {f"{first}/{name}": x for first, actor in self._actors.items() for name, x in actor.state().items()}

    def load_state(self, state: Mapping[str, Tensor]) -> int:
        """Every tile goes on from its own state."""
        parted = 0
        for first in sorted({int(name.partition("/")[0]) for name in state}):
            own = {name.partition("/")[2]: x for name, x in state.items() if name.startswith(f"{first}/")}
            parted += self._actor(first).load_state(own)
        return parted

    def load(self, weights: Weights) -> None:
        """As `Actor.load`, for all."""
        self._weights = weights
        for actor in (self._evaluator, *self._actors.values()):
            actor.load(weights)

    def close(self) -> None:
        """Close every tile."""
        for actor in (self._evaluator, *self._actors.values()):
            actor.close()

    def _actor(self, first: int) -> Actor:
        if not self._keeps_rows:
            return self._evaluator
        if first not in self._actors:
            self._actors[first] = self._make()
            self._actors[first].load(self._weights)
        return self._actors[first]
