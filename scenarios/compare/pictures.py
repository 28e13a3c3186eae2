"""Pictures of a comparison, each as PNG and as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..run.episode_statistics import score
from ..run.logs import EVALUATIONS
from ..run.run_directory import RunDirectory
from ..run.verified import read_log
from .aggregates import MANY, expanded_tail, performance_profile, resampled
from .intervals import interval
from .jobs import JobResult
from .scores import Groups, are_shares

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 60  # of the common grid of a curve


def draw_curves(groups: Groups, path: Path) -> list[Path]:
    """A panel for each scenario, a line for each method: the mean over seeds, with the band of its interval."""
    from matplotlib.ticker import EngFormatter

    tasks = list(dict.fromkeys(task for task, _ in groups))
    figure = _figure(len(tasks))
    for number, task in enumerate(tasks, start=1):
        axes = figure.add_subplot(1, len(tasks), number)
        for method in [method for name, method in groups if name == task]:
            done = [outcome for outcome in groups[task, method] if outcome.failure is None]
            curves = [curve for outcome in done if (curve := learning_curve(outcome))]
            if curves:
                grid, values = _on_a_grid(curves)
                bands = np.asarray([interval(list(column), shares=are_shares(done)) for column in values.T])
                _line(axes, grid, values.mean(axis=0), bands, f"{method} ({len(curves)})")
        _finish(axes, task, "steps of the world", "held-out score")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    return _save(figure, path)


def draw_profiles(tables: Mapping[str, np.ndarray], path: Path) -> list[Path]:
    """For each method the share of its runs above each normalised score; from ten seeds with a band at each score.
    Nothing is drawn without tables, and nothing is left there of a comparison that had some."""
    if not tables:
        for file in _files(path):
            file.unlink(missing_ok=True)
        return []
    lowest, highest = (pick([float(pick(table.ravel())) for table in tables.values()]) for pick in (min, max))
    grid = np.linspace(min(0.0, lowest), max(1.0, highest), POINTS)
    figure = _figure(1)
    axes = figure.add_subplot(1, 1, 1)
    for method, score_S_K in tables.items():
        bands = np.full((POINTS, 2), np.nan)
        if len(score_S_K) >= MANY:
            tail = expanded_tail(len(score_S_K))
            drawn = performance_profile(resampled(score_S_K)[0], grid)
            bands = np.quantile(drawn, [tail, 1 - tail], axis=0).T
        _line(axes, grid, performance_profile(score_S_K, grid), bands, method)
    _finish(axes, "performance profiles", "normalised score τ", "share of runs above τ")
    return _save(figure, path)


def _figure(panels: int) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * panels, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _line(axes: Axes, grid: np.ndarray, center: np.ndarray, bands: np.ndarray, label: str) -> None:
    """A line [P], and a band [P, 2] where it is finite."""
    (line,) = axes.plot(grid, center, label=label)
    known = np.isfinite(bands).all(axis=1)
    axes.fill_between(grid, *bands.T, where=known, color=line.get_color(), alpha=0.2, linewidth=0)


def _finish(axes: Axes, title: str, across: str, up: str) -> None:
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines:
        # named one by one: of itself matplotlib leaves out whatever begins with an underscore
        labels = [str(line.get_label()) for line in axes.lines]
        axes.legend(axes.lines, labels, frameon=False, fontsize="small")


def _save(figure: Figure, path: Path) -> list[Path]:
    for file in _files(path):
        figure.savefig(file, dpi=130)
    return _files(path)


def _files(path: Path) -> list[Path]:
    return [path.with_suffix(ending) for ending in (".png", ".svg")]


def learning_curve(outcome: JobResult) -> list[tuple[float, float]]:
    """Steps and scores on the way: of the validations, where there were any, else of the tests before and after."""
    rows = read_log(RunDirectory(outcome.job.path), EVALUATIONS)
    kind = "test" if outcome.job.scenario.evaluation.every is None else "validation"
    return [
        (row["env_steps"], value)
        for row in rows
        if row["set"] == kind and (value := score(row, outcome.told)) is not None
    ]


def _on_a_grid(curves: Sequence[list[tuple[float, float]]]) -> tuple[np.ndarray, np.ndarray]:
    """Steps that every run has seen [P], and each run's score there [runs, P], between evaluations linearly."""
    end = min(curve[-1][0] for curve in curves)
    grid = np.linspace(0.0, end, POINTS)
    return grid, np.stack([np.interp(grid, *np.asarray(curve, np.float64).T) for curve in curves])
