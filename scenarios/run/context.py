"""What a stage knows of the run that it belongs to: where it is written, how far it has come, whom it tells."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ...agents.protocols import Policy
from ..assembly.policies import make_policy
from ..assembly.worlds import WorldSources
from ..config.loading import dump_data
from ..config.schema import Scenario
from .counters import Progress
from .journal import Journal
from .logs import GrowingFiles
from .run_directory import RunDirectory
from .saved_agent import begin_from
from .signals import Stop
from .strangeness import Strangeness


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
    deadline: float | None = None  # of what is done now, by `time.monotonic`
    _began: float = field(default_factory=time.perf_counter, repr=False)

    session: dict[str, Any] = field(default_factory=dict)  # who makes this part of the run, see `provenance`
    scored_by: str = ""  # which version of the reward, see `reward_versions`
    strangeness: Strangeness = field(init=False)
    _growing: GrowingFiles | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.strangeness = Strangeness(self.journal.said, {name: source.id for name, source in self.sources.items()})

    def known(self) -> dict[str, Any]:
        """What a checkpoint knows of its run besides where it stands: the logs as they are, the scenario, and who
        made it."""
        self._growing = self._growing or GrowingFiles(self.run.path)
        with self.run.written():
            logs = self._growing.known()
        return {
            "logs": logs,
            "scenario": dump_data(self.scenario),
            "session": self.session,
            "scored_by": self.scored_by,
        }

    def first_policy(self) -> Policy:
        """The policy with which the run began."""
        policy = make_policy(self.scenario, self.device, self.sources.first)
        assert policy is not None, "only who learns asks"
        origin = getattr(self.scenario.agent, "origin", None)
        if origin is not None:
            begin_from(policy, origin)
        return policy

    @contextmanager
    def until(self, seconds: float | None) -> Iterator[None]:
        """What is done here is given up (`TimeIsUp`) where the run has worked for `seconds`; never, if it is None."""
        self.deadline = None if seconds is None else time.monotonic() + seconds - self.seconds
        try:
            yield
        finally:
            self.deadline = None

    def start_clock(self) -> None:
        """Count on from what the run had worked when it was last saved."""
        self._began = time.perf_counter() - self.progress.seconds

    @property
    def seconds(self) -> float:
        """Time that this run has worked, over all its resumes."""
        return time.perf_counter() - self._began
