"""From runs to scores: what each method has in each scenario, what it cost, and over all scenarios together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import combinations
from typing import Any

import numpy as np

from ..config.schema import Anchors
from ..run.episode_statistics import score, told_in
from .aggregates import MANY, aggregate, bootstrap_interval, normalised, probability_of_improvement
from .conclusions import SHARES, Cell
from .intervals import interval
from .jobs import JobResult
from .peak import read_peak

COUNTERS = ("updates", "env_steps", "action_units")
Groups = dict[tuple[str, str], list[JobResult]]  # by scenario and method


def alike(outcomes: Sequence[JobResult]) -> list[JobResult]:
    """`outcomes` that are measured by one measure in each scenario: a world that has told of success in one run tells
    of it in all, and a run in whose test no episode succeeded has a rate of zero there."""
    told: dict[str, set[str]] = {}
    for one in outcomes:
        tests = [stage["evaluation"] for stage in one.summary.get("stages", [])]
        heard = [told_in(test.get(when) or {}) for test in tests for when in ("before", "after")]
        told.setdefault(one.job.task, set()).update(*heard)
    return [replace(one, told=frozenset(told[one.job.task])) for one in outcomes]


def grouped(outcomes: Sequence[JobResult]) -> Groups:
    """The runs of each method in each scenario."""
    groups: Groups = {}
    for outcome in outcomes:
        groups.setdefault((outcome.job.task, outcome.job.method), []).append(outcome)
    return groups


def tested(outcome: JobResult) -> dict[str, Any]:
    """What the last test of a run says; empty for a run that failed."""
    return {} if outcome.failure is not None else outcome.summary["stages"][-1]["evaluation"]["after"]


def final_score(outcome: JobResult) -> float | None:
    """The score of the last test; None for a run that failed, and where nothing was scored."""
    test = tested(outcome)
    value = score(test, outcome.told) if test else None
    return None if value is None else float(value)


def are_shares(group: Sequence[JobResult]) -> bool:
    """Whether the scores of a method's runs are success rates, which cannot leave [0, 1]."""
    return any(one.told or SHARES in tested(one) for one in group)


def scores_told(groups: Groups) -> list[str]:
    """A sentence for each scenario of several worlds of which some have no part in the score, for they say nothing of
    success where others do; and for each whose `scores` do not fit."""
    told = {}
    for (task, _), group in groups.items():
        names = [world.called for world in group[0].job.scenario.worlds or ()]
        saying = [name for name in names if any(name in one.told or f"{name}/{SHARES}" in tested(one) for one in group)]
        if saying and (silent := [name for name in names if name not in saying]):
            told[task] = (
                f"{task}: the score is the success rate of {', '.join(saying)}; {', '.join(silent)} "
                f"say{'s' if len(silent) == 1 else ''} nothing of success, and the return of "
                f"{'it' if len(silent) == 1 else 'these'} is in no score: see {silent[0]}/return_mean in the "
                "evaluations.jsonl of the runs."
            )
    return [*told.values(), *_misplaced(groups)]


def _misplaced(groups: Groups) -> list[str]:
    """A sentence for each scenario whose `scores` are of another measure than its runs have."""
    tasks = dict.fromkeys(
        task for (task, _), group in groups.items() if group[0].job.scenario.scores and not _anchors(group)
    )
    words = "and its `scores` are not in [0, 1]: nothing of it is normalised."
    return [f"{task}: the score is the share of tasks that succeeded, {words}" for task in tasks]


def cell(scenario: str, method: str, group: Sequence[JobResult]) -> Cell:
    """What is concluded from of a method's runs."""
    scores = {one.job.scenario.seed: value for one in group if (value := final_score(one)) is not None}
    failed = sum(one.failure is not None for one in group)
    return Cell(scenario, method, SHARES if are_shares(group) else "return_mean", scores, len(group), failed)


def row(scenario: str, method: str, group: Sequence[JobResult]) -> dict[str, Any]:
    """A method in a scenario: mean and interval over the seeds that have a score, and means of the costs. A number
    that is not known, and a bound at infinity, is None."""
    known = cell(scenario, method, group)
    values = list(known.scores.values())
    low, high = (bound if math.isfinite(bound) else None for bound in interval(values, shares=are_shares(group)))
    mean = float(np.mean(values)) if values else None
    anchors = _anchors(group)
    return {
        "scenario": scenario,
        "method": method,
        "measure": known.measure,
        "mean": mean,
        "low": low,
        "high": high,
        "normalised": None if mean is None or anchors is None else normalised(mean, anchors.random, anchors.reference),
        "seeds": known.seeds,
        "failed": known.failed,
        "values": values,
        "costs": _mean_costs([cost(one) for one in group if one.failure is None]),
    }


def cost(outcome: JobResult) -> dict[str, float]:
    """What a run has taken, as far as it came, its cold start apart."""
    found = {name: float(outcome.summary[name]) for name in (*COUNTERS, "wall_s") if name in outcome.summary}
    peak = read_peak(outcome.job.path)
    return found | ({} if peak is None else {"peak_mib": peak})


def _mean_costs(costs: Sequence[dict[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in costs for name in one)
    return {name: float(np.mean([one[name] for one in costs if name in one])) for name in names}


def normalised_tables(groups: Groups) -> dict[str, np.ndarray]:
    """For each method its normalised scores [S, K] in the K scenarios that say their `scores`: methods all of whose
    runs there have a score, and none for fewer than two such scenarios."""
    anchors = {task: scores for (task, _), group in groups.items() if (scores := _anchors(group))}
    tables: dict[str, np.ndarray] = {}
    for method in dict.fromkeys(method for _, method in groups):
        columns = [_normalised(groups.get((task, method), []), anchors[task]) for task in anchors]
        if len(anchors) > 1 and all(column and None not in column for column in columns):
            tables[method] = np.asarray(columns, np.float64).T
    return tables


def _anchors(group: Sequence[JobResult]) -> Anchors | None:
    """What the scenario says of its scores, unless it speaks of another measure than theirs."""
    said = group[0].job.scenario.scores
    return None if said is None or (are_shares(group) and not said.are_shares) else said


def _normalised(group: Sequence[JobResult], anchors: Anchors) -> list[float | None]:
    values = [final_score(one) for one in group]
    return [None if value is None else normalised(value, anchors.random, anchors.reference) for value in values]


def overall(tables: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """A row for each method: its normalised score over all scenarios, by the rule for that number of seeds."""
    rows = []
    for method, score_S_K in tables.items():
        found = asdict(aggregate(score_S_K))
        finite = {name: bound if math.isfinite(bound) else None for name in ("low", "high") for bound in [found[name]]}
        rows.append({"method": method, **found, **finite, "scenarios": score_S_K.shape[1], "seeds": len(score_S_K)})
    return rows


def improvements(tables: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """For every two methods the probability that a run of the one scores above a run of the other in the same scenario;
    from ten seeds with its interval, which is that of equal shares where no draw of seeds gives another one."""
    rows = []
    for (method, one), (other, two) in combinations(tables.items(), 2):
        value = float(probability_of_improvement(one, two))
        low = high = None
        if (seeds := min(len(one), len(two))) >= MANY:
            low, high = bootstrap_interval(probability_of_improvement, one, two)
            if low == high:
                low, high = interval([value] * seeds, shares=True)
        rows.append({"method": method, "than": other, "probability": value, "low": low, "high": high})
    return rows
