"""The journal of a run: one place that everything is told to.

The run directory and the terminal are written to inline, because nothing may be lost there; every other listener is
told aside (`listeners`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...envs.vocabulary import Episode
from ..config.schema import Scenario
from .display import Display
from .listeners import Aside, Listener
from .run_directory import RunDirectory, episode_row


class Journal:
    """Writes to a run's directory and its terminal, and tells `listeners`."""

    def __init__(self, run: RunDirectory, display: Display, listeners: Sequence[Listener] = ()) -> None:
        self.run, self._display = run, display
        self._asides = [Aside(listener, display.say) for listener in listeners]

    def began(self, scenario: Scenario) -> None:
        """The run begins or goes on."""
        self._tell("began", self.run.path, scenario.model_dump(mode="json"))

    def moved(self, stage: str, fraction: float, numbers: Mapping[str, float]) -> None:
        """A stage has spent `fraction` of its budget."""
        self._display.move(stage, fraction, numbers)
        self._tell("moved", stage, fraction, dict(numbers))

    def row(self, row: Mapping[str, Any]) -> None:
        """One update's row. RunFailed if the disk is full."""
        self.run.append(self.run.metrics, row)
        self._tell("row", dict(row))

    def evaluated(self, row: Mapping[str, Any]) -> None:
        """One evaluation's row. RunFailed if the disk is full."""
        self.run.append(self.run.evaluations, row)
        self._tell("evaluated", dict(row))

    def episodes(self, name: str, episodes: Sequence[Episode]) -> None:
        """Episodes for reading. RunFailed if the disk is full."""
        self.run.keep_episodes(name, episodes)
        self._tell("episodes", name, [episode_row(episode) for episode in episodes])

    def saved(self, checkpoint: Path) -> None:
        """A checkpoint is whole."""
        self._tell("saved", checkpoint)

    def said(self, text: str) -> None:
        """A line for people."""
        self._display.say(text)
        self._tell("said", text)

    def warned(self, text: str) -> None:
        """A line for people that nobody can turn off: something of the run is not as it was."""
        self._display.warn(text)
        self._tell("said", text)

    def summarized(self, summary: Mapping[str, Any]) -> None:
        """Replace summary.json. RunFailed if the disk is full."""
        self.run.write_summary(summary)

    def ended(self, summary: Mapping[str, Any]) -> None:
        """The run is over; waits a little for listeners that are behind."""
        self._tell("ended", dict(summary))
        for aside in self._asides:
            aside.close()
        self._display.close()

    def _tell(self, what: str, *values: Any) -> None:
        for aside in self._asides:
            aside.tell(what, *values)
