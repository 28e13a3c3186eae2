"""Whether a difference between two methods was shown, and how many seeds would show one.

    T = d̄ / ((1 + 1/n) · s/√n)          p = 2·P(t_{n−1} > |T|)

over the differences d of n seeds that both methods ran. It is the test of `intervals`: p < 0.05 exactly where the 95 %
interval leaves zero out. Equal differences of shares have the p of Markov's inequality there, 2·(1 + |d|)^−n; equal
differences of other scores show nothing. Where many pairs are tested at once, Holm's correction (Holm 1979) keeps the
chance of any false claim in the whole table at 5 %, whatever the pairs have to do with one another.

Power is that of the same test, by the noncentral t, for normal differences of a known spread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from .intervals import are_equal, quantile, standard_error

LEVEL, POWER = 0.05, 0.8
MOST_SEEDS = 10_000  # that are asked for


def paired_p(differences: Sequence[float], *, shares: bool) -> float:
    """The two-sided p-value of no difference; 1 for fewer than two seeds. `shares`: of scores in [0, 1]."""
    count = len(differences)
    if count < 2:
        return 1.0
    if are_equal(differences):
        return min(1.0, _markov(differences[0], count)) if shares else 1.0
    from scipy.special import stdtr

    return 2 * float(stdtr(count - 1, -abs(fmean(differences)) / standard_error(differences)))


def _markov(difference: float, seeds: int) -> float:
    return 2 * (1 + abs(difference)) ** -seeds


def equal_seeds_to_show(difference: float, level: float = LEVEL) -> int | None:
    """How many seeds show a `difference` of shares that is the same in each; None for zero, and more than
    `MOST_SEEDS`."""
    seeds = math.ceil(math.log(2 / level) / max(math.log1p(abs(difference)), 1e-9))
    seeds += _markov(difference, seeds) >= level  # which has to be below
    return seeds if seeds <= MOST_SEEDS else None


def holm(p: Sequence[float]) -> list[float]:
    """Holm's corrected p-values, in the given order: with p₁ ≤ … ≤ p_m, max over j ≤ i of min(1, (m − j + 1)·p_j)."""
    corrected, highest = [0.0] * len(p), 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        highest = max(highest, min(1.0, (len(p) - rank) * p[place]))
        corrected[place] = highest
    return corrected


def power(difference: float, spread: float, seeds: int, level: float = LEVEL) -> float:
    """The chance that `seeds` ≥ 2 seeds show a true `difference`, and its sign, at `level`, where differences between
    two methods have the standard deviation `spread` > 0 over seeds."""
    from scipy.special import nctdtr

    most = (1 + 1 / seeds) * quantile(seeds, level)
    away = math.sqrt(seeds) * abs(difference) / spread
    return 1 - float(nctdtr(seeds - 1, away, most))


def smallest_shown(spread: float, seeds: int, level: float = LEVEL) -> float:
    """The true difference that `seeds` seeds show four times in five."""
    low, high = 0.0, spread
    while power(high, spread, seeds, level) < POWER:
        low, high = high, 2 * high
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle, spread, seeds, level) >= POWER else (middle, high)
    return high


def seeds_to_show(difference: float, spread: float, level: float = LEVEL) -> int | None:
    """How many seeds show a true `difference` four times in five; None for more than `MOST_SEEDS`."""
    low, high = 1, 2
    while power(difference, spread, high, level) < POWER:
        low, high = high, 2 * high
        if high > MOST_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(difference, spread, middle, level) >= POWER else (middle, high)
    return high
