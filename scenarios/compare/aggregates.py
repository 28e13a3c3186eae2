"""One number for a method over several worlds, after Agarwal et al. 2021 (arXiv:2108.13264).

Scores are tables [S, K]: S seeds of each of K worlds, normalised so that 0 is to act at random and 1 is the reference.

    below ten seeds   the mean, and its interval over the S means of the worlds (`intervals`)
    from ten seeds    the interquartile mean: of all S·K scores without the lower and the upper quarter, which no one
                      world decides; its interval by the bootstrap that draws S seeds anew within each world

The bootstrap's percentiles are for many seeds. They are drawn outwards to Φ(√(S/(S − 1))·t(0.025, S − 1)), which makes
up for the narrowness of S seeds (Hesterberg 2015, doi:10.1080/00031305.2015.1089789, "expanded percentiles").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .intervals import interval

MANY, DRAWS = 10, 2000  # seeds from which on the bootstrap is used; resamples
Statistic = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Aggregate:
    """A method's normalised score over all worlds; bounds may be infinite."""

    statistic: Literal["mean", "interquartile mean"]
    value: float
    low: float
    high: float


def normalised(score: float, random: float, reference: float) -> float:
    """0 at the score of acting at random, 1 at the reference's. ValueError where these are equal."""
    if random == reference:
        raise ValueError(f"a random score and a reference that are both {random:g} normalise nothing")
    return (score - random) / (reference - random)


def aggregate(score_S_K: np.ndarray) -> Aggregate:
    """By the rule for that number of seeds. ValueError unless it is a table with a seed and a world."""
    _check(score_S_K)
    if len(score_S_K) < MANY:
        return Aggregate("mean", float(score_S_K.mean()), *interval(score_S_K.mean(axis=1).tolist()))
    value = float(interquartile_mean(score_S_K))
    low, high = bootstrap_interval(interquartile_mean, score_S_K)
    if low == high:  # no spread in the middle half: the bootstrap would claim a width of zero
        low, high = -math.inf, math.inf
    return Aggregate("interquartile mean", value, low, high)


def interquartile_mean(score_S_K: np.ndarray) -> np.ndarray:
    """The mean of the middle half of all scores [..., S, K] → [...]: ⌊S·K/4⌋ are left out at each end."""
    flat = np.sort(score_S_K.reshape(*score_S_K.shape[:-2], -1), axis=-1)
    cut = flat.shape[-1] // 4
    return flat[..., cut : flat.shape[-1] - cut].mean(axis=-1)


def probability_of_improvement(score_S_K: np.ndarray, other_R_K: np.ndarray) -> np.ndarray:
    """The chance that a run of the one scores above a run of the other in the same world, mean over worlds; equal
    scores count half. [..., S, K], [..., R, K] → [...]."""
    one, other = score_S_K[..., :, None, :], other_R_K[..., None, :, :]
    return ((one > other) + 0.5 * (one == other)).mean(axis=(-3, -2, -1))


def performance_profile(score_S_K: np.ndarray, tau_P: np.ndarray) -> np.ndarray:
    """The share of all runs that score above each τ: [..., S, K], [P] → [..., P]."""
    flat = score_S_K.reshape(*score_S_K.shape[:-2], -1)
    return (flat[..., None, :] > tau_P[:, None]).mean(axis=-1)


def bootstrap_interval(statistic: Statistic, *scores: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of `statistic` of tables [S, K], whose seeds are drawn anew within each world."""
    drawn = statistic(*resampled(*scores, seed=seed))
    tail = expanded_tail(min(len(table) for table in scores))
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def resampled(*scores: np.ndarray, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Of each table [S, K] `DRAWS` with S seeds drawn anew within each world: [DRAWS, S, K]."""
    rng, drawn = np.random.default_rng(seed), []
    for table in scores:
        _check(table)
        place = rng.integers(len(table), size=(DRAWS, *table.shape))
        drawn.append(np.take_along_axis(table[None], place, axis=1))
    return tuple(drawn)


def expanded_tail(seeds: int) -> float:
    """The share of resamples beyond each end of the interval, for `seeds` ≥ 2 seeds; 0.025 for many."""
    from scipy.special import ndtr, stdtrit

    return float(ndtr(math.sqrt(seeds / (seeds - 1)) * stdtrit(seeds - 1, 0.025)))


def _check(score_S_K: np.ndarray) -> None:
    if score_S_K.ndim != 2 or 0 in score_S_K.shape:
        raise ValueError(f"score_S_K must be [seeds, worlds] with one of each at least, and is {score_S_K.shape}")
