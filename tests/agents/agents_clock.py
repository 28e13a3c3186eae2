"""Time that passes only where somebody sleeps: how busy a machine is uses up no limit."""

from __future__ import annotations

import pytest

from peripatos.agents.language import scheduling, voices


class Clock:
    """What scheduling and voices read, in seconds."""

    def __init__(self) -> None:
        self.begun = self.now = 1.0  # a moment like any other, which zero is not

    def perf_counter(self) -> float:
        """As of the module `time`."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """At once."""
        self.now += seconds

    @property
    def passed(self) -> float:
        """Seconds that were slept."""
        return self.now - self.begun


def stopped(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock in the place of the real one. Worlds take turns in a single thread, so that one that sleeps takes the
    time of no other."""
    clock = Clock()
    for module in (scheduling, voices):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(scheduling, "MOST_THREADS", 1)
    monkeypatch.setattr(scheduling, "AWAKE", 0.02)  # real seconds until somebody looks at the clock again
    return clock
