"""What is told of a gait beside a film: which foot is on the ground, in figures and over time, and other signals.

A world that wants to be drawn gives `info["signals"]` at each step while it renders, numbers by name:

    contact/NAME        the force on the foot NAME in multiples of body weight: it stands while that is over STANCE
    slip/NAME (m/s)     how fast the part of that foot which is loaded moves along the ground
    anything else       a curve in a panel of its own, labelled with the name, which says the unit

Nothing here knows a robot; our MuJoCo tasks name their `feet`. Left out: forces and slip as curves, and several
episodes in one picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Signals = Mapping[str, float]
STANCE = 0.05  # of body weight; below it a foot brushes the ground
STANDS = 0.9  # the share of time with all feet on the ground beyond which a trembling foot is no step
CONTACT, SLIP = "contact/", "slip/"
FEET = ("#4c78a8", "#e08a3c", "#54a24b", "#b0a03c")
CURVE, MEAN, LINE = "#4d4d4d", "#9e6ebd", "0.88"


@dataclass(frozen=True)
class Gait:
    """The figures of one episode; of feet, by their names."""

    shares: dict[str, float]  # as `duty_shares`
    steps: dict[str, int]  # how often it came down
    stance_s: dict[str, float]  # how long it then stood, on average; 0.0 for one that never stood
    symmetry: float | None
    """min(min n / max n, min τ / max τ) of the steps n and the stance times τ: 1 where all feet do alike, 0 where one
    of them does nothing. None where no foot came down, where all of them stood nearly all the time, and for a single
    foot."""
    slip: dict[str, float]  # m/s, mean over the time in which it stood; without feet of which none is told

    def spelled(self) -> str:
        """`feet: left only 47 %, …; steps left 12, right 12 of 0.41 s, 0.40 s, symmetry 0.97; slip left 0.01 m/s, …`"""
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self.shares.items())
        times = ", ".join(f"{foot} {n} of {self.stance_s[foot]:.2f} s" for foot, n in self.steps.items())
        alike = "undefined: it takes no steps" if self.symmetry is None else f"{self.symmetry:.2f}"
        alike = f" (symmetry {alike})" if len(self.steps) > 1 else ""
        slip = ", ".join(f"{foot} {speed:.3f} m/s" for foot, speed in self.slip.items())
        return f"feet: {shares}; steps: {times}{alike}" + (f"; slip: {slip}" if slip else "")


def gait_of(signals: Sequence[Signals], fps: float) -> Gait | None:
    """The figures of a film with so many steps of the world in a second; None where it tells of no feet."""
    on_ground = stance(signals)
    if not on_ground:
        return None
    landings = {foot: int((np.diff(steps.astype(int)) == 1).sum()) for foot, steps in on_ground.items()}
    bouts = {foot: landings[foot] + int(steps[0]) for foot, steps in on_ground.items()}
    times = {foot: float(steps.sum()) / fps / max(1, bouts[foot]) for foot, steps in on_ground.items()}
    alike = [min(of.values()) / max(of.values()) for of in (landings, times) if max(of.values()) > 0]
    slip: dict[str, float] = {}
    for foot, steps in on_ground.items():
        told = [step.get(f"{SLIP}{foot} (m/s)", np.nan) for step in signals]
        loaded = np.asarray(told)[steps & np.isfinite(told)]
        if len(loaded):
            slip[foot] = float(loaded.mean())
    stands = float(np.mean(np.all(list(on_ground.values()), axis=0))) > STANDS
    walks = len(on_ground) > 1 and max(landings.values()) > 0 and not stands
    symmetry = min(alike) if walks else None
    return Gait(duty_shares(on_ground), landings, times, symmetry, slip)


def stance(signals: Sequence[Signals]) -> dict[str, np.ndarray]:
    """For each foot, at which steps it is on the ground: [steps] bool. A step without its signal is none."""
    names = dict.fromkeys(name for step in signals for name in step if name.startswith(CONTACT))
    return {name.removeprefix(CONTACT): np.array([step.get(name, 0.0) > STANCE for step in signals]) for name in names}


def duty_shares(on_ground: dict[str, np.ndarray]) -> dict[str, float]:
    """The shares of time in which one foot alone is on the ground ("NAME only"), several are ("both" of two feet),
    and none is ("flight"); they sum to 1."""
    feet = np.sum(list(on_ground.values()), axis=0)
    shares = {f"{name} only": float((steps & (feet == 1)).mean()) for name, steps in on_ground.items()}
    together = "both" if len(on_ground) == 2 else "several"
    return {**shares, together: float(np.mean(feet >= 2)), "flight": float(np.mean(feet == 0))}


def draw_gait(signals: Sequence[Signals], fps: float, path: Path) -> Path | None:
    """Bars for the feet and a panel for every other signal, on one axis of seconds. `fps` is steps in a second.

    Returns None where the world gave no signals.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    on_ground = stance(signals)
    curves = dict.fromkeys(name for step in signals for name in step if not name.startswith((CONTACT, SLIP)))
    if not on_ground and not curves:
        return None
    heights = [0.35 + 0.32 * len(on_ground)] * bool(on_ground) + [1.35] * len(curves)
    figure = Figure(figsize=(10, 0.9 + sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    seconds = np.arange(len(signals) + 1) / fps  # step k lasts from k to k + 1
    if on_ground:
        _draw_bars(panels[0], on_ground, seconds)
    for panel, name in zip(panels[len(panels) - len(curves) :], curves, strict=True):
        _draw_curve(panel, name, seconds[1:], np.array([step.get(name, np.nan) for step in signals]))
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="x", color=LINE, linewidth=0.6)
        panel.set_axisbelow(True)
    panels[-1].set_xlabel("seconds")
    panels[-1].set_xlim(0.0, seconds[-1])
    figure.savefig(path, dpi=130)
    return path


def _draw_bars(axes: Axes, on_ground: dict[str, np.ndarray], seconds: np.ndarray) -> None:
    """One row for each foot, filled while it stands; the shares of time above."""
    for row, steps in enumerate(on_ground.values()):
        edges = np.flatnonzero(np.diff(np.concatenate(([False], steps, [False])).astype(int)))
        begin, end = seconds[edges[0::2]], seconds[edges[1::2]]
        spans = list(zip(begin, end - begin, strict=True))
        axes.broken_barh(spans, (row - 0.38, 0.76), color=FEET[row % len(FEET)], linewidth=0)
    axes.set_yticks(range(len(on_ground)), list(on_ground))
    axes.set_ylim(len(on_ground) - 0.5, -0.5)
    axes.tick_params(axis="both", length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    shares = "    ".join(f"{name} {share:.0%}" for name, share in duty_shares(on_ground).items())
    axes.set_title("feet on the ground", loc="left", fontsize="medium")
    axes.set_title(shares, loc="right", fontsize="medium", color=CURVE)


def _draw_curve(axes: Axes, name: str, seconds: np.ndarray, values: np.ndarray) -> None:
    """The values at the ends of the steps, and their mean."""
    mean = float(np.nanmean(values))
    axes.axhline(mean, color=MEAN, linewidth=1.0, linestyle=(0, (4, 3)))
    axes.plot(seconds, values, color=CURVE, linewidth=1.1)
    axes.set_title(name, loc="left", fontsize="medium")
    axes.set_title(f"mean {mean:.3g}", loc="right", fontsize="medium", color=MEAN)
    axes.margins(y=0.12)
