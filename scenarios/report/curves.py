"""Pictures of a run: its learning curve, as PNG.

Drawn with matplotlib's Agg canvas, which needs no display and touches no global state.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..assembly.settings import learns_from_shown
from ..run.disk import typed, write_bytes
from ..run.display import Display, make_display
from ..run.ended import stopped_when_done
from ..run.logs import read_jsonl, without_doubles
from ..run.run_directory import RunDirectory

NAME = "curves.png"
TRAIN, COLOR = "#8da0cb", {"validation": "#1b9e77", "test": "#d95f02"}


def draw_learning_curve(run: RunDirectory) -> Path | None:
    """`curves.png`: return (and success, where known) over steps of the world, in training and on held-out tasks.

    Returns None if there is nothing to draw yet.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    metrics, evaluations = (without_doubles(read_jsonl(file)[0]) for file in (run.metrics, run.evaluations))
    panels = [("return", "reward/mean", "return_mean", "return_low", "return_high")]
    if any("success_rate" in row for row in evaluations):
        panels.append(("success rate", "success/rate", "success_rate", "success_low", "success_high"))
    if not metrics and not evaluations:
        return None
    shown = {stage.name for stage in run.scenario().stages if learns_from_shown(stage)}
    own = [row for row in metrics if row["stage"] not in shown]  # how well a teacher did is no learning curve
    figure = Figure(figsize=(5.2 * len(panels), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for number, (label, train, mean, low, high) in enumerate(panels, start=1):
        axes = figure.add_subplot(1, len(panels), number)
        axes.plot(*_points(own, train), color=TRAIN, linewidth=1, label="training")
        for name, color in COLOR.items():
            rows = [row for row in evaluations if row["set"] == name and row.get(mean) is not None]
            if rows:
                steps, center = _points(rows, mean)
                low_high = np.asarray([_bounds(row, mean, low, high) for row in rows]).T
                if name == "test":  # a point at each end of a stage, which no line should connect
                    error = np.abs(low_high - np.asarray(center))
                    axes.errorbar(steps, center, yerr=error, color=color, fmt="o", markersize=4, label="test, greedy")
                else:
                    axes.plot(steps, center, color=color, marker="o", markersize=3, label="validation, greedy")
                    axes.fill_between(steps, *low_high, color=color, alpha=0.2, linewidth=0)
        for edge in _stage_ends(metrics):
            axes.axvline(edge, color="0.7", linestyle=":", linewidth=1)
        axes.set_xlabel("steps of the world")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_ylabel(label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize="small")
    path = run.path / NAME
    picture = io.BytesIO()
    figure.savefig(picture, dpi=130)
    write_bytes(path, picture.getvalue())
    return path


def draw_if_possible(run: RunDirectory, display: Display) -> None:
    """The learning curve of a run that is done, and a line that says where it is, or why there is none. That of the run
    when it was shorter is removed first, so that one that is there is whole.

    Raises:
        Stopped: a signal, and the curve is missing; the message is for the user.
    """
    again = f"peripatos resume {typed(run.path)} draws it"
    with stopped_when_done(f"stopped; the run is done, and only its learning curve is missing: {again}"):
        try:
            (run.path / NAME).unlink(missing_ok=True)
            path = draw_learning_curve(run)
        except OSError as problem:
            display.say(f"the run is done; only its learning curve could not be written ({problem}): {again}")
            return
        if path:
            display.say(f"learning curve: {path}")


def draw_if_missing(run: RunDirectory, *, quiet: bool) -> None:
    """The same of a run that was done before, where whoever drew its curve was stopped, or could not write it."""
    if (run.path / NAME).exists():
        return
    with closing(make_display(quiet=quiet)) as display:
        draw_if_possible(run, display)


def _points(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[list[float], list[float]]:
    """Steps and values of the rows that have a value."""
    known = [row for row in rows if row.get(name) is not None]
    return [row["env_steps"] for row in known], [row[name] for row in known]


def _bounds(row: Mapping[str, Any], mean: str, *bounds: str) -> list[float]:
    """Of an interval; the mean where there is none, as of a single task. A bound may be 0."""
    return [row[mean] if row.get(bound) is None else row[bound] for bound in bounds]


def _stage_ends(metrics: Sequence[Mapping[str, Any]]) -> list[float]:
    """Where one stage gave way to the next."""
    return [before["env_steps"] for before, after in pairwise(metrics) if before["stage"] != after["stage"]]
