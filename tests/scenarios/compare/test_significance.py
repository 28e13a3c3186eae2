"""Tests of differences: against their intervals, Holm's own example by hand, and simulation."""

from __future__ import annotations

import numpy as np
import pytest

from peripatos.scenarios.compare.intervals import difference_interval
from peripatos.scenarios.compare.significance import (
    LEVEL,
    POWER,
    holm,
    paired_p,
    power,
    seeds_to_show,
    smallest_shown,
)

SEED = 20261127


def test_p_of_three_differences_by_hand() -> None:
    # mean 2, s = 1, T = 2 / ((1 + 1/3)/√3) = 2.598076; for two degrees of freedom P(t > T) = (1 − T/√(2 + T²))/2
    t = 2 / ((1 + 1 / 3) / np.sqrt(3))
    assert paired_p([1.0, 2.0, 3.0], shares=False) == pytest.approx(1 - t / np.sqrt(2 + t * t))


@pytest.mark.parametrize("shares", [False, True])
def test_a_difference_is_significant_exactly_where_its_interval_leaves_zero_out(shares: bool) -> None:
    rng = np.random.default_rng(SEED)
    for seeds in (2, 3, 5, 10):
        for values in rng.integers(-2, 6, size=(200, seeds)) / 10:
            low, high = difference_interval(values.tolist(), shares=shares)
            assert (paired_p(values.tolist(), shares=shares) < LEVEL) == (low > 0 or high < 0), values


def test_equal_differences_of_shares_have_the_p_of_markov_and_others_show_nothing() -> None:
    assert paired_p([1.0] * 5, shares=True) == pytest.approx(2 / 32)
    assert paired_p([-1.0] * 6, shares=True) == pytest.approx(2 / 64)
    assert difference_interval([1.0] * 6, shares=True)[0] == pytest.approx(2 * 0.025 ** (1 / 6) - 1)
    assert paired_p([0.0] * 9, shares=True) == paired_p([40.0] * 9, shares=False) == 1.0


def test_differences_that_differ_by_rounding_alone_are_equal_ones() -> None:
    assert 0.8 - 0.7 != 0.3 - 0.2
    assert paired_p([0.8 - 0.7, 0.3 - 0.2] * 5, shares=True) == pytest.approx(2 / 1.1**10)


def test_one_seed_shows_nothing() -> None:
    assert paired_p([0.9], shares=True) == paired_p([], shares=False) == 1.0


def test_holms_correction_by_hand() -> None:
    # sorted 0.005·4, 0.01·3, 0.03·2, 0.04·1 → 0.02, 0.03, 0.06, 0.04, which may not fall
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(("difference", "seeds", "level"), [(0.5, 3, 0.05), (1.0, 10, 0.05), (1.5, 5, 0.01)])
def test_power_is_the_share_of_simulated_tables_that_show_the_difference(
    difference: float, seeds: int, level: float
) -> None:
    rows = np.random.default_rng((SEED, seeds)).normal(difference, 1.0, size=(4000, seeds))
    shown = sum(paired_p(row.tolist(), shares=False) < level for row in rows) / len(rows)
    assert power(difference, 1.0, seeds, level) == pytest.approx(shown, abs=0.03)


def test_so_many_seeds_and_no_fewer_show_a_difference() -> None:
    for difference, spread in ((4.0, 6.0), (0.3, 0.2), (-1.0, 1.0)):
        seeds = seeds_to_show(difference, spread)
        assert seeds is not None
        assert power(difference, spread, seeds) >= POWER > power(difference, spread, seeds - 1)
    assert seeds_to_show(1.0, 1000.0) is None


def test_the_smallest_difference_that_is_shown_has_just_that_power() -> None:
    for seeds, level in ((2, 0.05), (8, 0.05), (8, 0.05 / 24)):
        assert power(smallest_shown(3.0, seeds, level), 3.0, seeds, level) == pytest.approx(POWER, abs=2e-3)
