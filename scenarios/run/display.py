"""What a person sees while a run works: always on stderr, so that stdout stays data.

A terminal gets one live line for the stage; a log file or CI gets a plain line every few seconds.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from ...envs.visible_text import visible
from .noticed import notice
from .signals import silence, tell

LEAST_SECONDS = 1e-9  # that anything takes: a world may have made the clock stand still
SHOWN = {  # the few numbers that matter, by their name in metrics.jsonl
    "reward/mean": "reward",
    "success/rate": "success",
    "kl/old": "kl",
    "policy/entropy": "entropy",
    "time/env_steps_per_second": "steps/s",
}


class Display(Protocol):
    """Where a run tells how it goes."""

    def say(self, text: str) -> None:
        """One line that stays."""
        ...

    def warn(self, text: str) -> None:
        """One line that is said in any case."""
        ...

    def move(self, stage: str, fraction: float, numbers: Mapping[str, float]) -> None:
        """The stage has spent `fraction` of its budget."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was; closing twice is harmless."""
        ...


def make_display(*, quiet: bool = False) -> Display:
    """Silent, plain, or live, whichever stderr can take."""
    if quiet:
        return Silent()
    return Plain() if not sys.stderr.isatty() or os.environ.get("CI") else Live()


class Silent:
    """Says nothing but warnings."""

    def say(self, text: str) -> None: ...

    def warn(self, text: str) -> None:
        notice(text)

    def move(self, stage: str, fraction: float, numbers: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class Plain:
    """A line every `seconds`, and one at the end of a stage."""

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds, self._last, self._clock = seconds, -float("inf"), Clock()

    def say(self, text: str) -> None:
        tell(visible(text))

    def warn(self, text: str) -> None:
        self.say(text)

    def move(self, stage: str, fraction: float, numbers: Mapping[str, float]) -> None:
        left = self._clock.left(stage, fraction)
        if fraction < 1 and time.monotonic() - self._last < self._seconds:
            return
        self._last = time.monotonic()
        self.say(f"{stage} {min(fraction, 1.0):4.0%}  {left} left  {spell(numbers)}")

    def close(self) -> None: ...


class Live:
    """One line that moves, by rich."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        columns = (
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            TextColumn("{task.fields[left]} left  {task.fields[numbers]}"),
        )
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._tasks: dict[str, int] = {}
        self._clock = Clock()
        self._progress.start()

    def say(self, text: str) -> None:
        try:
            self._progress.console.print(visible(text), markup=False, highlight=False)
        except OSError:  # the terminal is gone
            silence(2)

    def warn(self, text: str) -> None:
        self.say(text)

    def move(self, stage: str, fraction: float, numbers: Mapping[str, float]) -> None:
        from rich.progress import TaskID

        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=1.0, left="?", numbers="")
        left = self._clock.left(stage, fraction)
        task = TaskID(self._tasks[stage])
        self._progress.update(task, completed=min(fraction, 1.0), left=left, numbers=spell(numbers))

    def close(self) -> None:
        self._progress.stop()


class Clock:
    """The time left of a stage, from the share of its budget spent since it was first seen."""

    def __init__(self) -> None:
        self._stage, self._begun, self._fraction = "", 0.0, 0.0

    def left(self, stage: str, fraction: float) -> str:
        """`1:05`, or `?` while nobody can know."""
        if stage != self._stage:
            self._stage, self._begun, self._fraction = stage, time.monotonic(), fraction
        gained = fraction - self._fraction
        if gained <= 0:
            return "?"
        seconds = round(max(0.0, 1 - fraction) * (time.monotonic() - self._begun) / gained)
        return (
            f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
            if seconds >= 3600
            else (f"{seconds // 60}:{seconds % 60:02}")
        )


def spell(numbers: Mapping[str, float]) -> str:
    """`reward 12.3  kl 0.004`"""
    return "  ".join(f"{word} {numbers[name]:.3g}" for name, word in SHOWN.items() if name in numbers)


def time_split(rows: Sequence[Mapping[str, float]]) -> str:
    """`14200 steps/s: simulate 44 %, infer 5 %, update 48 %`: where the time of these rows of metrics.jsonl went."""
    seconds: dict[str, float] = {}
    for row in rows:
        for name in row:
            if name.startswith("time/") and name != "time/env_steps_per_second":
                seconds[name[5:]] = seconds.get(name[5:], 0.0) + row[name]
    whole = max(seconds.pop("collect") + seconds["update"], LEAST_SECONDS)
    steps = sum(row["time/env_steps_per_second"] * (row["time/collect"] + row["time/update"]) for row in rows)
    shares = ", ".join(f"{name} {value / whole:.0%}".replace("%", " %") for name, value in seconds.items())
    return f"{steps / whole:.0f} steps/s: {shares}"
