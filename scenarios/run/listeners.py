"""Whoever wants to hear how a run goes, besides its directory and the terminal: trackers, pages, notebooks.

A listener is told and never asked. Each has a thread and a bounded queue of its own, so that none can delay, change or
end the run: one that raises, hangs, is too slow or has gone costs one line, and is told nothing more.
"""

from __future__ import annotations

import copy
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

WAITING = 1000  # messages that a listener may be behind
PATIENCE = 5.0  # seconds that a run waits at its end for listeners that are behind


class Listener(Protocol):
    """What a run tells. Every value is a copy, made of what JSON can hold."""

    def began(self, path: Path, scenario: Mapping[str, Any]) -> None:
        """The run in the folder `path` begins, or goes on."""
        ...

    def moved(self, stage: str, fraction: float, numbers: Mapping[str, float]) -> None:
        """A stage has spent `fraction` of its budget."""
        ...

    def row(self, row: Mapping[str, Any]) -> None:
        """A row of metrics.jsonl: one update."""
        ...

    def evaluated(self, row: Mapping[str, Any]) -> None:
        """A row of evaluations.jsonl."""
        ...

    def episodes(self, name: str, episodes: Sequence[Mapping[str, Any]]) -> None:
        """Episodes that are kept for reading, as `NAME.jsonl` holds them."""
        ...

    def saved(self, checkpoint: Path) -> None:
        """A checkpoint is whole, in the folder `checkpoint`."""
        ...

    def said(self, text: str) -> None:
        """A line for people."""
        ...

    def ended(self, summary: Mapping[str, Any]) -> None:
        """The run is over: done, failed or interrupted. Nothing is told after this."""
        ...


class Silence:
    """A listener that ignores everything: for those that want to hear one thing."""

    def began(self, path: Path, scenario: Mapping[str, Any]) -> None: ...

    def moved(self, stage: str, fraction: float, numbers: Mapping[str, float]) -> None: ...

    def row(self, row: Mapping[str, Any]) -> None: ...

    def evaluated(self, row: Mapping[str, Any]) -> None: ...

    def episodes(self, name: str, episodes: Sequence[Mapping[str, Any]]) -> None: ...

    def saved(self, checkpoint: Path) -> None: ...

    def said(self, text: str) -> None: ...

    def ended(self, summary: Mapping[str, Any]) -> None: ...


class Aside:
    """Tells one listener, in a thread of its own. `complain` is called, from the run's own thread, with one line."""

    def __init__(
        self,
        listener: Listener,
        complain: Callable[[str], None],
        *,
        waiting: int = WAITING,
        patience: float = PATIENCE,
    ) -> None:
        self._listener, self._complain, self._patience = listener, complain, patience
        self._queue: queue.Queue[tuple[str, tuple[Any, ...]] | None] = queue.Queue(waiting)
        self._trouble: str | None = None  # what it raised
        self._given_up = False
        self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
        self._thread.start()

    @property
    def _name(self) -> str:
        return f"listener {type(self._listener).__name__}"

    def tell(self, what: str, *values: Any) -> None:
        """Call the listener's method `what`, soon."""
        if self._hopeless():
            return
        try:
            self._queue.put_nowait((what, copy.deepcopy(values)))
        except queue.Full:
            self._give_up(f"is {self._queue.maxsize} messages behind")

    def close(self) -> None:
        """Wait a while for what it has not heard yet."""
        if self._hopeless():
            return
        try:
            self._queue.put(None, timeout=self._patience)
        except queue.Full:
            self._give_up(f"is {self._queue.maxsize} messages behind")
            return
        self._thread.join(self._patience)
        if self._thread.is_alive() and not self._given_up:
            self._give_up(f"has not come to its end in {self._patience:g} s")
        self._hopeless()

    def _hopeless(self) -> bool:
        """Whether there is no use in telling; says why, the first time."""
        if self._trouble is not None and not self._given_up:
            self._give_up(f"raised {self._trouble}")
        return self._given_up

    def _give_up(self, why: str) -> None:
        self._given_up = True
        self._complain(f"{self._name} {why}: it is told nothing more; the run goes on")

    def _work(self) -> None:
        while (message := self._queue.get()) is not None:
            what, values = message
            try:
                getattr(self._listener, what)(*values)
            except BaseException as problem:  # SystemExit too: a listener's end is not the run's
                self._trouble = f"{type(problem).__name__}: {problem}".partition("\n")[0]
                return
