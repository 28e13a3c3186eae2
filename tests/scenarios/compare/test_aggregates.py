"""Scores over several worlds: by hand, and their intervals against the truth that they are to cover."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from peripatos.scenarios.compare import aggregates
from peripatos.scenarios.compare.aggregates import (
    aggregate,
    bootstrap_interval,
    expanded_tail,
    interquartile_mean,
    normalised,
    performance_profile,
    probability_of_improvement,
    resampled,
)

SEED, TABLES = 20261127, 250

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
SCORES: dict[str, tuple[Draw, float]] = {  # how they are drawn, and the coverage that is asked for
    "normal": (lambda rng, size: rng.normal(0.5, 0.3, size), 0.92),
    "of 100 tasks": (lambda rng, size: rng.binomial(100, 0.9, size) / 100, 0.92),
    "beta": (lambda rng, size: rng.beta(5, 1, size), 0.92),
    "exponential": (lambda rng, size: rng.exponential(1.0, size), 0.87),
}


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("name", SCORES)
def test_the_interval_over_worlds_covers_the_truth(name: str, seeds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregates, "DRAWS", 400)
    draw, asked = SCORES[name]
    shift = np.asarray([0.0, 0.05, 0.2])  # one world is easier than another
    rng = np.random.default_rng((SEED, seeds))
    many = draw(rng, (100_000, 3)) + shift
    truth = float(many.mean() if seeds < 10 else interquartile_mean(many))
    found = [aggregate(table + shift) for table in draw(rng, (TABLES, seeds, 3))]
    assert {one.statistic for one in found} == {"mean" if seeds < 10 else "interquartile mean"}
    assert sum(one.low <= truth <= one.high for one in found) / TABLES >= asked


def test_the_interquartile_mean_leaves_a_quarter_out_at_each_end() -> None:
    table = np.asarray([[9.0, 1.0], [2.0, 100.0], [3.0, 4.0], [-50.0, 5.0]])  # −50 1 | 2 3 4 5 | 9 100
    assert interquartile_mean(table) == pytest.approx(3.5)
    assert interquartile_mean(np.stack([table, table + 1])) == pytest.approx([3.5, 4.5])


def test_improvement_counts_pairs_of_runs_in_the_same_world_and_ties_as_half() -> None:
    one, other = np.asarray([[1.0, 7.0], [3.0, 7.0]]), np.asarray([[2.0, 7.0], [0.0, 8.0]])
    # world 0: 1>0, 3>2, 3>0 of four pairs; world 1: two ties of four
    assert probability_of_improvement(one, other) == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert probability_of_improvement(other, one) == pytest.approx(1 - (3 / 4 + 1 / 4) / 2)


def test_a_profile_is_the_share_of_runs_above_each_score() -> None:
    table = np.asarray([[0.1, 0.5], [0.9, 0.5]])
    assert performance_profile(table, np.asarray([0.0, 0.1, 0.5, 0.9])).tolist() == [1.0, 0.75, 0.25, 0.0]


def test_seeds_are_drawn_anew_within_each_world_and_never_across() -> None:
    table = np.asarray([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    (drawn,) = resampled(table)
    assert set(np.unique(drawn[..., 0])) == {1.0, 2.0, 3.0}
    assert set(np.unique(drawn[..., 1])) == {10.0, 20.0, 30.0}
    assert (drawn[..., 1] != 10 * drawn[..., 0]).any()  # each world by itself
    assert bootstrap_interval(interquartile_mean, table) == bootstrap_interval(interquartile_mean, table)


def test_percentiles_go_outwards_where_seeds_are_few() -> None:
    assert expanded_tail(10) == pytest.approx(0.00855, abs=1e-4)  # Φ(−√(10/9) · 2.262157)
    assert expanded_tail(100_000) == pytest.approx(0.025, abs=1e-4)


def test_scores_without_a_spread_claim_no_width_of_zero() -> None:
    for seeds, value in ((3, 0.5), (10, 1.0), (10, 3.0)):  # a normalised score may lie anywhere
        found = aggregate(np.full((seeds, 2), value))
        assert (found.value, found.low, found.high) == (value, -math.inf, math.inf)


def test_scores_are_normalised_by_a_random_and_a_reference_score() -> None:
    assert normalised(261.0, random=22.0, reference=500.0) == 0.5
    assert normalised(-200.0, random=-100.0, reference=-50.0) == -2.0
    with pytest.raises(ValueError, match="both 3"):
        normalised(1.0, 3.0, 3.0)
    with pytest.raises(ValueError, match=r"\[seeds, worlds\]"):
        aggregate(np.ones(3))
