"""What a comparison says: a table with intervals, a CSV with every run, and learning curves with bands.

Intervals are those of `intervals`, over seeds. Two methods that ran with the same seeds had the same tasks of
evaluation: their difference is taken seed by seed, which is sharper than two intervals side by side. A run that
failed has no score: it is named below the table, counted in its row, and in no mean and no difference.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ..run.disk import write_text
from ..run.episode_statistics import score
from ..run.logs import EVALUATIONS
from ..run.reward_versions import one_version
from ..run.run_directory import RunDirectory
from ..run.verified import read_log
from .intervals import interval
from .jobs import JobResult

POINTS = 60  # of the common grid of a learning curve


def report(outcomes: Sequence[JobResult], out: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Write `runs.csv` and `curves.png` under `out`; the rows, and the sentences below them: differences between
    methods, failures, files. UserError, after `runs.csv`, where runs of one scenario were scored by different versions
    of its reward.
    """
    write_text(out / "runs.csv", _csv(outcomes))
    for task in dict.fromkeys(outcome.job.task for outcome in outcomes):
        whole = [o for o in outcomes if o.job.task == task and o.failure is None]
        one_version((str(outcome.job.path), str(outcome.summary.get("scored_by", ""))) for outcome in whole)
    groups = _grouped(outcomes)
    rows = [_row(*key, group) for key, group in groups.items()]
    for (first, one), (second, other) in combinations(zip(rows, groups.values(), strict=True), 2):
        difference = paired_difference(one, other) if first["scenario"] == second["scenario"] else None
        if difference is not None:
            second["minus"][first["method"]] = difference
    draw_curves(outcomes, out / "curves.png")
    return rows, _notes(rows, outcomes, out)


def final_score(outcome: JobResult) -> float | None:
    """The score of the last evaluation; None for a run that failed."""
    if outcome.failure is not None:
        return None
    value = score(outcome.summary["stages"][-1]["evaluation"]["after"])
    return None if value is None else float(value)


def _grouped(outcomes: Sequence[JobResult]) -> dict[tuple[str, str], list[JobResult]]:
    groups: dict[tuple[str, str], list[JobResult]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.job.task, outcome.job.method), []).append(outcome)
    return groups


def _row(task: str, method: str, group: Sequence[JobResult]) -> dict[str, Any]:
    values = [value for outcome in group if (value := final_score(outcome)) is not None]
    after = next((o.summary["stages"][-1]["evaluation"]["after"] for o in group if o.failure is None), {})
    return {
        "scenario": task,
        "method": method,
        "measure": "success_rate" if "success_rate" in after else "return_mean",
        **_mean_and_interval(values),
        "seeds": len(group),
        "failed": sum(outcome.failure is not None for outcome in group),
        "values": values,
        "minus": {},  # this method minus an earlier one, by that one's name
    }


def _mean_and_interval(values: Sequence[float]) -> dict[str, float | None]:
    """`mean`, `low` and `high`; None for a number that is not known, and for a bound at infinity."""
    low, high = (bound if math.isfinite(bound) else None for bound in interval(values))
    return {"mean": float(np.mean(values)) if values else None, "low": low, "high": high}


def paired_difference(one: Sequence[JobResult], other: Sequence[JobResult]) -> dict[str, float | None] | None:
    """`other` minus `one` over the seeds that both finished, with its interval; None for fewer than two."""
    scores = [
        {outcome.job.scenario.seed: value for outcome in group if (value := final_score(outcome)) is not None}
        for group in (one, other)
    ]
    common = sorted(scores[0].keys() & scores[1].keys())
    if len(common) < 2:
        return None
    return {**_mean_and_interval([scores[1][seed] - scores[0][seed] for seed in common]), "seeds": len(common)}


def table(rows: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """The rows of `report` as a person reads them."""
    return [
        {
            "scenario": row["scenario"],
            "method": row["method"],
            "measure": row["measure"],
            "mean": "—" if row["mean"] is None else f"{row['mean']:.4g}",
            "95 % interval": _spell(row),
            "seeds": str(row["seeds"]) + (f", {row['failed']} failed" if row["failed"] else ""),
        }
        for row in rows
    ]


def _notes(rows: Sequence[dict[str, Any]], outcomes: Sequence[JobResult], out: Path) -> list[str]:
    failures = [
        f"FAILED {o.job.task} {o.job.method} seed {o.job.scenario.seed}: {o.failure}" for o in outcomes if o.failure
    ]
    differences = [
        f"{row['scenario']}: {row['method']} − {name} = {found['mean']:.4g} {_spell(found)}, {found['seeds']} pairs"
        for row in rows
        for name, found in row["minus"].items()
    ]
    return [*differences, *failures, f"{out / 'runs.csv'}, {out / 'curves.png'}"]


def _spell(row: dict[str, Any]) -> str:
    return "—" if row["low"] is None else f"[{row['low']:.4g}, {row['high']:.4g}]"


def _csv(outcomes: Sequence[JobResult]) -> str:
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    counters = ("updates", "env_steps", "action_units", "wall_s")
    writer.writerow(("scenario", "method", "seed", "status", "score", *counters, "failure", "scored_by", "run"))
    for outcome in outcomes:
        job, value = outcome.job, final_score(outcome)
        status = "failed" if outcome.failure else "done"
        counts = [outcome.summary.get(name, "") for name in counters]
        shown, version = "" if value is None else value, outcome.summary.get("scored_by", "")
        writer.writerow(
            (job.task, job.method, job.scenario.seed, status, shown, *counts, outcome.failure or "", version, job.path)
        )
    return page.getvalue()


def draw_curves(outcomes: Sequence[JobResult], path: Path) -> None:
    """A panel for each scenario, a line for each method: the mean over seeds, with the band of its interval."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    tasks = list(dict.fromkeys(outcome.job.task for outcome in outcomes))
    figure = Figure(figsize=(5.2 * len(tasks), 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    for number, task in enumerate(tasks, start=1):
        axes = figure.add_subplot(1, len(tasks), number)
        for (name, method), group in _grouped(outcomes).items():
            curves = [curve for outcome in group if outcome.failure is None and (curve := _curve(outcome))]
            if name != task or not curves:
                continue
            grid, values = _on_a_grid(curves)
            (line,) = axes.plot(grid, values.mean(axis=0), label=f"{method} ({len(curves)})")
            bands = np.asarray([interval(list(column)) for column in values.T])
            known = np.isfinite(bands).all(axis=1)
            axes.fill_between(grid, *bands.T, where=known, color=line.get_color(), alpha=0.2, linewidth=0)
        axes.set_title(task, fontsize="medium")
        axes.set_xlabel("steps of the world")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_ylabel("held-out score")
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=130)


def _curve(outcome: JobResult) -> list[tuple[float, float]]:
    """Steps and scores on the way: of the validations, where there were any, else of the tests before and after."""
    rows = read_log(RunDirectory(outcome.job.path), EVALUATIONS)
    kind = "test" if outcome.job.scenario.evaluation.every is None else "validation"
    return [(row["env_steps"], value) for row in rows if row["set"] == kind and (value := score(row)) is not None]


def _on_a_grid(curves: Sequence[list[tuple[float, float]]]) -> tuple[np.ndarray, np.ndarray]:
    """Steps that every run has seen [P], and each run's score there [runs, P], between evaluations linearly."""
    end = min(curve[-1][0] for curve in curves)
    grid = np.linspace(0.0, end, POINTS)
    return grid, np.stack([np.interp(grid, *np.asarray(curve, np.float64).T) for curve in curves])
