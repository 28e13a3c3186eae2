"""Pictures of a run: its learning curve, as PNG.

Drawn with matplotlib's Agg canvas, which needs no display and touches no global state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..run.run_directory import RunDirectory, read_rows

TRAIN, TEST = "#8da0cb", "#d95f02"


def draw_learning_curve(run: RunDirectory) -> Path | None:
    """`curves.png`: training and held-out return (and success, where known) over steps of the world.

    Returns None if there is nothing to draw yet.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    metrics, evaluations = read_rows(run.metrics), read_rows(run.evaluations)
    panels = [("return", "reward/mean", "return_mean", "return_low", "return_high")]
    if any("success_rate" in row for row in evaluations):
        panels.append(("success rate", "success/rate", "success_rate", "success_low", "success_high"))
    if not metrics and not evaluations:
        return None
    shown = {stage.name for stage in run.scenario().stages if stage.demonstrations}
    own = [row for row in metrics if row["stage"] not in shown]  # how well a teacher did is no learning curve
    figure = Figure(figsize=(5.2 * len(panels), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for number, (label, train, mean, low, high) in enumerate(panels, start=1):
        axes = figure.add_subplot(1, len(panels), number)
        axes.plot(*_points(own, train), color=TRAIN, linewidth=1, label="training")
        steps, center = _points(evaluations, mean)
        axes.plot(steps, center, color=TEST, marker="o", markersize=3, label="held out, greedy")
        known = [row for row in evaluations if None not in (row.get(low), row.get(high))]
        if known:
            bottom, top = ([row[edge] for row in known] for edge in (low, high))
            axes.fill_between([row["env_steps"] for row in known], bottom, top, color=TEST, alpha=0.2, linewidth=0)
        for edge in _stage_ends(metrics):
            axes.axvline(edge, color="0.7", linestyle=":", linewidth=1)
        axes.set_xlabel("steps of the world")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_ylabel(label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize="small")
    path = run.path / "curves.png"
    figure.savefig(path, dpi=130)
    return path


def _points(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[list[float], list[float]]:
    """Steps and values of the rows that have a value."""
    known = [row for row in rows if row.get(name) is not None]
    return [row["env_steps"] for row in known], [row[name] for row in known]


def _stage_ends(metrics: Sequence[Mapping[str, Any]]) -> list[float]:
    """Where one stage gave way to the next."""
    return [before["env_steps"] for before, after in pairwise(metrics) if before["stage"] != after["stage"]]
