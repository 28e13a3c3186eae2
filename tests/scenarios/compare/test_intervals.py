"""The interval over seeds, against the truth that it is to cover."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from peripatos.scenarios.compare import interval
from peripatos.scenarios.compare.intervals import difference_interval

SEED, DRAWS = 20261125, 3000

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]

SCORES: dict[str, tuple[Draw, float, float]] = {  # how they are drawn, their mean, the coverage that is asked for
    "normal": (lambda rng, size: rng.normal(5.0, 3.0, size), 5.0, 0.92),
    "uniform": (lambda rng, size: rng.random(size), 0.5, 0.92),
    "of 100 tasks, 9 in 10 solved": (lambda rng, size: rng.binomial(100, 0.9, size) / 100, 0.9, 0.92),
    "of 100 tasks, 99 solved": (lambda rng, size: rng.binomial(100, 0.99, size) / 100, 0.99, 0.92),
    "of 20 tasks, half solved": (lambda rng, size: rng.binomial(20, 0.5, size) / 20, 0.5, 0.92),
    "solved or not": (lambda rng, size: rng.binomial(1, 0.8, size).astype(float), 0.8, 0.92),
    "beta, skewed": (lambda rng, size: rng.beta(5, 1, size), 5 / 6, 0.92),
    "beta, skewed to zero": (lambda rng, size: rng.beta(1, 3, size), 0.25, 0.92),
    "exponential": (lambda rng, size: rng.exponential(2.0, size), 2.0, 0.87),
}


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("name", SCORES)
def test_an_interval_over_seeds_covers_the_truth(name: str, seeds: int) -> None:
    draw, truth, asked = SCORES[name]
    rng = np.random.default_rng((SEED, seeds))
    shares = name not in ("normal", "exponential")
    found = [interval(row.tolist(), shares=shares) for row in draw(rng, (DRAWS, seeds))]
    covered = sum(low <= truth <= high for low, high in found) / DRAWS
    print(f"seed {SEED}: {name}, {seeds} seeds: {covered:.3f}")
    assert covered >= asked


def test_the_interval_of_three_scores_by_hand() -> None:
    # mean 2, s = 1, t(0.975, 2) = 4.302653: half-width (1 + 1/3)·4.302653/√3
    assert interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 3.312184, 2 + 3.312184), abs=1e-5)


def test_it_becomes_students_as_seeds_become_many() -> None:
    values = np.random.default_rng(SEED).normal(size=400).tolist()
    low, high = interval(values)
    assert high - low == pytest.approx(2 * 1.96593 * np.std(values, ddof=1) / 20, rel=3e-3)


def test_equal_scores_are_no_proof_of_anything() -> None:
    low, high = interval([1.0, 1.0, 1.0], shares=True)
    assert (low, high) == (pytest.approx(0.025 ** (1 / 3)), 1.0)
    assert interval([0.0, 0.0], shares=True) == (0.0, pytest.approx(1 - 0.025**0.5))
    for value in (0.0, 0.5, 1.0, 500.0):  # returns, of which nobody knows the bounds
        assert interval([value] * 5) == (-math.inf, math.inf)


def test_no_interval_of_shares_reaches_beyond_what_shares_can_be() -> None:
    assert interval([0.9, 1.0], shares=True)[1] == 1.0
    assert interval([0.0, 0.1], shares=True)[0] == 0.0
    assert interval([0.9, 1.0])[1] > 1.0
    assert difference_interval([-1.0, 0.5, 1.0], shares=True) == (-1.0, 1.0)


def test_one_score_or_none_leaves_everything_possible() -> None:
    assert interval([0.5]) == interval([]) == (-math.inf, math.inf)
