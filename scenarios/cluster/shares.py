"""Which groups are whose: workers share the tiles of a collection, each of them a piece of the row of tiles.

groups 0 1 2 3 4 5 6 7    tile 2, three workers:    0 1 2 3 | 4 5 | 6 7
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def fitting_tile(groups: int, workers: int) -> int:
    """The largest tile that cuts `groups` evenly and leaves one for each of `workers` (no more than `groups`)."""
    return next(tile for tile in range(groups // workers, 0, -1) if groups % tile == 0)


def shares(groups: Sequence[int], tile: int, workers: int) -> list[tuple[int, ...]]:
    """The groups of each worker: whole tiles in their order, as many for each as for any other, or one more."""
    tiles = [tuple(groups[start : start + tile]) for start in range(0, len(groups), tile)]
    each, more = divmod(len(tiles), workers)
    ends = [each * n + min(n, more) for n in range(workers + 1)]
    return [sum(tiles[a:b], ()) for a, b in pairwise(ends)]
