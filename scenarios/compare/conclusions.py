"""What a table of scores allows to say: one plain sentence for each two methods in each world, or for each method and
the one that all are compared against, which makes fewer pairs to correct for.

    A beats B            Holm's corrected p over the whole table is below 0.05 (`significance`)
    none was shown       else; with the difference that some more seeds would show four times in five. `Beside the other
                         pairs`, where the interval of the pair, which is not corrected, leaves zero out
    nothing is concluded a seed failed, there are fewer than three, or the budgets are not equal

Methods run with the same seeds, begin from the same cold start and are tested on the same tasks, so that differences
are taken seed by seed. A sentence is made of a row of the table as it is printed: it holds no other number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean

import numpy as np

from .aggregates import probability_of_improvement
from .intervals import are_equal, difference_interval
from .significance import LEVEL, equal_seeds_to_show, holm, paired_p, smallest_shown

FEWEST = 3  # seeds: where half of all runs get stuck, a pair of seeds puts any method above another by luck
MORE = 5  # seeds, of which it is said what they would show
ROUNDING = 1e-12  # of a score, of which a sum over seeds may be off
SHARES = "success_rate"  # the measure that is in [0, 1], and told in points


@dataclass(frozen=True)
class Cell:
    """All runs of a method in a scenario: a score for each seed that has one."""

    scenario: str
    method: str
    measure: str
    scores: Mapping[int, float]
    seeds: int  # that were asked for
    failed: int = 0


@dataclass(frozen=True)
class Difference:
    """`method` minus `other` in a scenario, of which `method` has the higher mean; None: not known, or infinite."""

    scenario: str
    method: str
    other: str
    measure: str
    seeds: int  # that both finished
    difference: float | None
    low: float | None  # of the 95 % interval
    high: float | None
    improvement: float | None  # the probability that a run of `method` scores above one of `other`
    p: float | None = None  # by Holm's correction; None: nothing is concluded
    more_seeds: int | None = None
    would_show: float | None = None  # the difference that so many more seeds would show; None of `more_seeds`: no one
    why: str | None = None  # nothing is concluded

    @property
    def verdict(self) -> str:
        """`beats`, `none shown` or `not concluded`."""
        if self.p is None:
            return "not concluded"
        return "beats" if self.p < LEVEL else "none shown"


def conclude(
    cells: Sequence[Cell], unfair: Mapping[tuple[str, str, str], str] | None = None, against: str | None = None
) -> list[Difference]:
    """Every two methods of every scenario, or all others and the one that they are compared `against`. `unfair` says
    why two of them (scenario, method, other; in the order of the cells) are not comparable, which leaves them out of
    the correction as well."""
    pairs = [
        (one, other)
        for one, other in combinations(cells, 2)
        if one.scenario == other.scenario and against in (None, one.method, other.method)
    ]
    found = [
        _difference(one, other, (unfair or {}).get((one.scenario, one.method, other.method))) for one, other in pairs
    ]
    tested = [place for place, difference in enumerate(found) if difference.why is None]
    p = [paired_p(_paired(*pairs[place]), shares=found[place].measure == SHARES) for place in tested]
    for place, corrected in zip(tested, holm(p), strict=True):
        found[place] = replace(found[place], p=corrected)
        if found[place].verdict == "none shown":
            found[place] = _with_prospect(found[place], _paired(*pairs[place]), LEVEL / len(tested))
    return found


def _paired(one: Cell, other: Cell) -> list[float]:
    pairs = [(one.scores[seed], other.scores[seed]) for seed in sorted(one.scores.keys() & other.scores.keys())]
    return [mine - theirs for mine, theirs in pairs]


def _mean(one: Cell, other: Cell) -> float:
    """Of the differences; 0 where it is no more than the rounding of the scores."""
    mean = fmean(_paired(one, other))
    return 0.0 if abs(mean) <= ROUNDING * max(map(abs, [*one.scores.values(), *other.scores.values()])) else mean


def _difference(one: Cell, other: Cell, unfair: str | None) -> Difference:
    values = _paired(one, other)
    if values and _mean(one, other) < 0:
        return _difference(other, one, unfair)
    why = _unfinished(one, other) or unfair or _too_little(one, other, len(values))
    low, high = difference_interval(values, shares=one.measure == SHARES)
    tables = [np.asarray(list(cell.scores.values()))[:, None] for cell in (one, other)]
    return Difference(
        one.scenario,
        one.method,
        other.method,
        one.measure,
        seeds=len(values),
        difference=_mean(one, other) if values else None,
        low=low if math.isfinite(low) else None,
        high=high if math.isfinite(high) else None,
        improvement=float(probability_of_improvement(*tables)) if values else None,
        why=why,
    )


def _unfinished(one: Cell, other: Cell) -> str | None:
    """Which method has runs that failed: whatever else they seem to have spent, this is why."""
    for cell in (one, other):
        if cell.failed == cell.seeds:
            return f"no run of {cell.method} came to its end"
        if cell.failed:
            return f"not every run of {cell.method} came to its end, and those that did may be the lucky ones"
    return None


def _too_little(one: Cell, other: Cell, pairs: int) -> str | None:
    """Why the scores themselves allow no conclusion."""
    for cell in (one, other):
        if len(cell.scores) < cell.seeds:
            return f"not every run of {cell.method} has a score"
    if one.measure != other.measure:
        return f"{one.method} is measured by {one.measure} and {other.method} by {other.measure}"
    if pairs < 2:
        return "one seed says nothing about others; give --seeds"
    return "two seeds cannot tell a method from luck; give three or more by --seeds" if pairs < FEWEST else None


def _with_prospect(found: Difference, values: Sequence[float], level: float) -> Difference:
    if are_equal(values):  # by Markov's inequality, for shares
        seeds = equal_seeds_to_show(found.difference or 0.0, level) if found.measure == SHARES else None
        return found if seeds is None else replace(found, more_seeds=seeds - len(values), would_show=found.difference)
    shown = smallest_shown(float(np.std(values, ddof=1)), len(values) + MORE, level)
    none = found.measure == SHARES and shown > 1  # by more than which no two shares differ
    return replace(found, more_seeds=MORE, would_show=None if none else shown)


def spelled(found: Difference) -> dict[str, str]:
    """The row of the table of differences, as it is printed."""
    would = "none" if found.would_show is None else told(found.would_show, found.measure)
    return {
        "scenario": found.scenario,
        "method": found.method,
        "than": found.other,
        "difference": "—" if found.difference is None else told(found.difference, found.measure),
        "95 % interval": told_interval(found.low, found.high, found.measure),
        "seeds": str(found.seeds),
        "p, corrected": "—" if found.p is None else _spelled_p(found.p),
        "P(better)": "—" if found.improvement is None else f"{found.improvement:.2g}",
        "more seeds": "—" if found.more_seeds is None else str(found.more_seeds),
        "would show": "—" if found.more_seeds is None else would,
    }


def _spelled_p(p: float) -> str:
    """With three digits, or as many as it takes to see on which side of the level it lies."""
    return next(text for digits in range(3, 18) if (float(text := f"{p:.{digits}g}") < LEVEL) == (p < LEVEL))


def told(value: float, measure: str) -> str:
    """A score, or a difference, with its unit: success in points of a hundred, a return as it is."""
    return f"{number(100 * value)} points" if measure == SHARES else f"{number(value)} of return"


def told_interval(low: float | None, high: float | None, measure: str) -> str:
    """The two bounds, without the unit: of points within a hundred, of anything else as they are."""
    if low is None or high is None:
        return "—"
    return between(100 * low, 100 * high) if measure == SHARES else between(low, high)


def between(low: float, high: float) -> str:
    """`16.7 to 23.3`: with three digits each, or with as many decimals as it takes for the width to be seen."""
    width = high - low
    if not 0 < width < max(_unit(low), _unit(high)):
        return f"{number(low)} to {number(high)}"
    decimals = max(0, 1 - math.floor(math.log10(width)))  # two digits of the width
    return f"{low:,.{decimals}f} to {high:,.{decimals}f}"


def _unit(value: float) -> float:
    """What the last digit of `number` counts."""
    rounded = abs(float(f"{value:.3g}"))
    return 1.0 if rounded >= 1000 else 10.0 ** (math.floor(math.log10(rounded)) - 2) if rounded else 0.0


def number(value: float) -> str:
    """With three digits, or to the whole where it has more before the point: never as 1e+03."""
    rounded = float(f"{value:.3g}")
    return f"{value:,.0f}" if abs(rounded) >= 1000 else f"{rounded:.3g}"


def sentence(found: Difference) -> str:
    """What the row says, of nothing but the row as it is printed."""
    row = spelled(found)
    names = f"{found.method} and {found.other}"
    if found.why is not None:
        return f"{found.scenario}: nothing is concluded of {names}: {found.why}."
    bounds = row["95 % interval"]
    within = f"95 % interval {bounds}" if bounds != "—" else "the seeds have no spread to go by"
    how = f"{within}, {row['seeds']} seeds, corrected p {row['p, corrected']}"
    if found.verdict == "beats":
        return f"{found.scenario}: {found.method} beats {found.other} by {row['difference']} ({how})."
    beside = " beside the other pairs" if found.low is not None and found.low > 0 else ""
    text = f"{found.scenario}: no difference between {names} was shown{beside}: {row['difference']} ({how})"
    if found.more_seeds is None:
        return text + "."
    shown = f"{'' if found.would_show is None else 'one of '}{row['would show']}"
    return f"{text}; {row['more seeds']} more seed{'' if found.more_seeds == 1 else 's'} would show {shown}."
