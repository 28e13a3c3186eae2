"""What a comparison leaves: plain data, and its files.

    runs.csv           a row a run: status, score and counters; the same after a comparison that was killed went on
    costs.csv          a row a run: seconds and memory, which no two runs have alike
    differences.csv    a row for every two methods of a scenario, in plain numbers, with its sentence
    comparison.json    all of it, in numbers
    curves.png, .svg   learning curves with bands
    profiles.png, .svg performance profiles (Agarwal et al. 2021), where scenarios say their `scores`

A run that failed has no score: it is named, counted in its row, and in no mean; nothing is concluded of its method.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from itertools import combinations
from pathlib import Path
from typing import Any

from ..run.disk import write_json, write_text
from ..run.reward_versions import one_version
from . import pictures
from .conclusions import Difference, between, conclude, number, sentence, spelled, told, told_interval
from .fairness import Ran, unfair
from .jobs import JobResult
from .origins import settings_told
from .scores import (
    COUNTERS,
    Groups,
    alike,
    cell,
    cost,
    final_score,
    grouped,
    improvements,
    normalised_tables,
    overall,
    row,
    scores_told,
)

Rows = list[dict[str, Any]]
DIFFERENCE_ROW = (*(field.name for field in fields(Difference)), "verdict", "sentence")


def report(outcomes: Sequence[JobResult], out: Path, against: str | None = None) -> dict[str, Any]:
    """Write the files under `out`, and give `methods`, `overall`, `improvements` and `differences`, which are rows;
    `conclusions`, a sentence for each difference; `notes`, of which worlds a score is; `settings`, where those of the
    methods are from; `failures`; and `files`. With `against` the differences are those of all others from that one.
    UserError, after `runs.csv`, where runs of one scenario were scored by different versions of its reward.
    """
    outcomes = alike(outcomes)
    write_text(out / "runs.csv", csv_text([run_row(outcome) for outcome in outcomes]))
    refuse_two_versions(outcomes)
    groups = grouped(outcomes)
    tables = normalised_tables(groups)
    differences = conclude([cell(*key, group) for key, group in groups.items()], _unfair(groups), against)
    write_text(out / "costs.csv", csv_text([cost_row(outcome) for outcome in with_cold_starts(outcomes)]))
    write_text(out / "differences.csv", csv_text([difference_row(one) for one in differences], DIFFERENCE_ROW))
    drawn = pictures.draw_curves(groups, out / "curves") + pictures.draw_profiles(tables, out / "profiles")
    written = [out / name for name in ("runs.csv", "costs.csv", "differences.csv", "comparison.json")]
    found = {
        "methods": [row(*key, group) for key, group in groups.items()],
        "overall": overall(tables),
        "improvements": improvements(tables),
        "differences": [{**asdict(one), "verdict": one.verdict} for one in differences],
        "conclusions": [sentence(one) for one in differences],
        "notes": scores_told(groups),
        "settings": settings_told(outcome.job for outcome in outcomes),
        "failures": [f"FAILED {o.job}: {o.failure}" for o in outcomes if o.failure],
        "files": [str(path) for path in (*written, *drawn)],
    }
    write_json(out / "comparison.json", found)
    return found


def refuse_two_versions(outcomes: Sequence[JobResult]) -> None:
    """UserError where runs of one scenario were scored by different versions of its reward."""
    for task in dict.fromkeys(outcome.job.task for outcome in outcomes):
        whole = [o for o in outcomes if o.job.task == task and o.failure is None]
        one_version((str(outcome.job.path), str(outcome.summary.get("scored_by", ""))) for outcome in whole)


def tables(found: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """What `report` found as a person reads it: tables by their headings."""
    differences = [Difference(**{key: one[key] for key in one if key != "verdict"}) for one in found["differences"]]
    return {
        "scores": [_spelled_score(one) for one in found["methods"]],
        "over all scenarios": [_spelled_overall(one) for one in found["overall"]],
        "improvement over all scenarios": [_spelled_improvement(one) for one in found["improvements"]],
        "differences": [spelled(one) for one in differences],
        "costs": [_spelled_cost(one) for one in found["methods"]],
    }


def _spelled_score(one: Mapping[str, Any]) -> dict[str, str]:
    measure = one["measure"]
    return {
        "scenario": one["scenario"],
        "method": one["method"],
        "mean": "—" if one["mean"] is None else told(one["mean"], measure),
        "95 % interval": told_interval(one["low"], one["high"], measure),
        "seeds": str(one["seeds"]) + (f", {one['failed']} failed" if one["failed"] else ""),
    }


def _spelled_overall(one: Mapping[str, Any]) -> dict[str, str]:
    return {
        "method": one["method"],
        "statistic": one["statistic"],
        "normalised score": number(one["value"]),
        "95 % interval": "—" if one["low"] is None else between(one["low"], one["high"]),
        "seeds": str(one["seeds"]),
    }


def _spelled_improvement(one: Mapping[str, Any]) -> dict[str, str]:
    return {
        "method": one["method"],
        "than": one["than"],
        "P(better)": f"{one['probability']:.3g}",
        "95 % interval": "—" if one["low"] is None else f"{one['low']:.3g} to {one['high']:.3g}",
    }


def _spelled_cost(one: Mapping[str, Any]) -> dict[str, str]:
    names = {
        "updates": "updates",
        "env_steps": "world steps",
        "action_units": "units",
        "wall_s": "s",
        "peak_mib": "MiB",
    }
    costs = {shown: f"{one['costs'][name]:,.0f}" if name in one["costs"] else "—" for name, shown in names.items()}
    return {"scenario": one["scenario"], "method": one["method"], **costs}


def _unfair(groups: Groups) -> dict[tuple[str, str, str], str]:
    """Why methods had no equal budgets or tests, by scenario and the two methods."""
    found = {}
    for ((task, method), one), ((other_task, other), two) in combinations(groups.items(), 2):
        if task == other_task and (why := unfair(_ran(one), _ran(two))) is not None:
            found[task, method, other] = why
    return found


def _ran(group: Sequence[JobResult]) -> Ran:
    return Ran(group[0].job.learns, {one.job.scenario.seed: one.summary for one in group if one.failure is None})


def run_row(outcome: JobResult) -> dict[str, Any]:
    """Everything of a run that is the same however often it was stopped."""
    job, value = outcome.job, final_score(outcome)
    return {
        "scenario": job.task,
        "method": job.method,
        "seed": job.scenario.seed,
        "status": "failed" if outcome.failure else "done",
        "score": "" if value is None else value,
        **{name: outcome.summary.get(name, "") for name in COUNTERS},
        "failure": outcome.failure or "",
        "scored_by": outcome.summary.get("scored_by", ""),
        "run": job.path,
    }


def cost_row(outcome: JobResult) -> dict[str, Any]:
    """What a run has taken, which no two runs have alike."""
    known = cost(outcome)
    where = {"scenario": outcome.job.task, "method": outcome.job.method, "seed": outcome.job.scenario.seed}
    counted = {name: int(known[name]) if name in known else "" for name in COUNTERS}
    return where | counted | {name: known.get(name, "") for name in ("wall_s", "peak_mib")}


def with_cold_starts(outcomes: Sequence[JobResult]) -> list[JobResult]:
    """What was run for `outcomes`, cold starts first."""
    cold = {one.job.cold.path: one.job.cold for one in outcomes if one.job.cold is not None}
    return [*(JobResult(job, job.summary()) for job in cold.values()), *outcomes]


def difference_row(one: Difference) -> dict[str, Any]:
    """Of two methods what `comparison.json` has, what is not known empty, and the sentence."""
    return {**asdict(one), "verdict": one.verdict, "sentence": sentence(one)}


def csv_text(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """With a heading, of `columns` or of the first row's; empty without either."""
    page = io.StringIO()
    if heading := list(columns or (rows[0] if rows else ())):
        writer = csv.DictWriter(page, heading, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return page.getvalue()
