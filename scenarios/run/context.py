"""What a stage knows of the run that it belongs to: where it is written, how far it has come, whom it tells."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from ..assembly.worlds import WorldSources
from ..config.schema import Scenario
from .counters import Progress
from .journal import Journal
from .run_directory import RunDirectory
from .signals import Stop


@dataclass
class RunContext:
    """One run, as its runner and its stages share it."""

    run: RunDirectory
    scenario: Scenario
    journal: Journal
    device: str
    sources: WorldSources  # of the scenario's worlds
    progress: Progress = field(default_factory=Progress)
    stop: Stop = field(default_factory=Stop)
    _began: float = field(default_factory=time.perf_counter, repr=False)

    def start_clock(self) -> None:
        """Count on from what the run had worked when it was last saved."""
        self._began = time.perf_counter() - self.progress.seconds

    @property
    def seconds(self) -> float:
        """Time that this run has worked, over all its resumes."""
        return time.perf_counter() - self._began
