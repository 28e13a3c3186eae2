"""Tiles and who gets them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from peripatos.scenarios.cluster.shares import fitting_tile, shares


@given(some.integers(1, 300), some.integers(1, 300))
def test_the_default_tile_divides_the_groups_and_leaves_every_worker_one(groups: int, workers: int) -> None:
    workers = min(workers, groups)
    tile = fitting_tile(groups, workers)
    assert groups % tile == 0
    assert groups // tile >= workers
    if groups % workers == 0:
        assert tile == groups // workers
    assert not [larger for larger in range(tile + 1, groups // workers + 1) if groups % larger == 0]


@given(some.integers(0, 1000), some.integers(1, 20), some.integers(1, 20), some.integers(1, 20))
def test_shares_are_whole_tiles_in_order_and_as_even_as_can_be(first: int, tile: int, tiles: int, workers: int) -> None:
    groups = range(first, first + tile * tiles)
    parts = shares(groups, tile, workers)
    assert len(parts) == workers
    assert [group for part in parts for group in part] == list(groups)
    sizes = [len(part) for part in parts]
    assert not [size for size in sizes if size % tile]
    assert max(sizes) - min(sizes) <= tile


def test_the_example_of_the_module_is_true() -> None:
    assert shares(range(8), 2, 3) == [(0, 1, 2, 3), (4, 5), (6, 7)]
