"""Python and a shell as tools: every episode has a sandbox of its own, with a session that keeps its variables.

    ToolWorld(tasks, lambda task: Workbench(), check)
    ToolWorld(tasks, lambda task: [Desk(task), Workbench()], check)      # beside tools of one's own

The confinement is that of the judge's sessions (`sandbox.session`): namespaces and a read-only view of the system by
bubblewrap, filtered system calls, no network, one folder in memory with a quota, limits of time, memory and processes.
Whatever happens in there (an endless loop, a crash, a fork bomb, a flood of bytes) is text for the agent. A sandbox
that cannot be started is no fault of the agent's: `WorldFailure`, the episode is not scored.

Nothing that happens on a bench is evidence, because the agent may forge all of it: a check fetches files as bytes and
judges them itself, or hands them to a `Judge`. Left out: pictures, and a terminal that can be typed into.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, TypeVar

from pydantic import AfterValidator

from ..errors import UserError
from ..sandbox import Cell, SandboxUnavailable, Session, SessionError, SessionLimits
from ..sandbox.bubblewrap import choose
from ..vocabulary import WorldFailure
from .tool import Tool, Toolkit

T = TypeVar("T")

LIMITS = SessionLimits(output_kb=8)
"""What an episode may use unless told otherwise; the output of a call is cut in the middle, with a notice."""


def _typed(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("a lone surrogate is no character") from None
    if "\0" in text:
        raise ValueError("no program can hold the character NUL")
    return text


Typed = Annotated[str, AfterValidator(_typed)]


class Workbench(Toolkit):
    """A sandbox with the tools `run_python` and `run_shell`. It starts with the first call, and ends with `close`, with
    the bench itself when nobody holds it any more, or with this process: nothing that it started outlives it.

    Raises:
        UserError: no bubblewrap passes the judge's self-test, or no Python is there that an unprivileged user can run.
    """

    def __init__(self, limits: SessionLimits = LIMITS) -> None:
        try:
            choose()
        except SandboxUnavailable as error:
            raise UserError(f"a Workbench needs a sandbox: {error}") from error
        self._limits = limits
        self._sessions: list[Session] = []  # the one, once it is needed
        self._lock = threading.Lock()
        self._finalizer = weakref.finalize(self, _end, self._sessions)

    @property
    def tools(self) -> Sequence[Tool]:
        """`run_python` and `run_shell`. They keep the time themselves."""
        tools = (Tool.from_function(method, timeout=None) for method in (self.run_python, self.run_shell))
        return [replace(tool, own_limit=self._limits.cell_s) for tool in tools]

    def run_python(self, code: Typed) -> str:
        """Run Python code. Variables, functions and files stay for the next call; the value of a last line that is an
        expression is shown. There is no network.
        """
        cell = self._with_session(lambda session: session.python(code))
        return _told(cell, self._limits)

    def run_shell(self, command: Typed) -> str:
        """Run a shell command in the folder that the Python code works in. There is no network."""
        cell = self._with_session(lambda session: session.shell(command))
        return _told(cell, self._limits)

    def put(self, path: str, data: bytes) -> None:
        """Write a file into the agent's folder; SessionError if that does not work."""
        self._with_session(lambda session: session.put(path, data))

    def fetch(self, path: str, *, max_bytes: int = 1 << 20) -> bytes | None:
        """The bytes of a file in the agent's folder, which are the agent's word. None where it left no regular file of
        at most `max_bytes` there: a link, a pipe, nothing.
        """
        if not self._sessions:
            return None
        try:
            return self._with_session(lambda session: session.fetch(path, max_bytes=max_bytes))
        except SessionError:
            return None

    def close(self) -> None:
        """End the sandbox, after a call that is still running; closing twice is harmless."""
        with self._lock:
            self._finalizer()

    def _with_session(self, ask: Callable[[Session], T]) -> T:
        with self._lock:  # a session is used by one thread at a time
            if not self._finalizer.alive:
                raise WorldFailure("the workbench was closed")
            try:
                if not self._sessions:
                    self._sessions.append(Session(self._limits))
                return ask(self._sessions[0])
            except (SandboxUnavailable, OSError) as error:
                _end(self._sessions)
                raise WorldFailure(f"the sandbox cannot be started: {error}") from error


def _end(sessions: list[Session]) -> None:
    while sessions:
        sessions.pop().close()


def _told(cell: Cell, limits: SessionLimits) -> str:
    """What the agent reads: the output, and what became of the program where that is not plain."""
    remarks = {
        "time_limit": f"[stopped after {limits.cell_s:g} s]",
        "memory_limit": f"[stopped: all processes together may use {limits.memory_mb} MB of memory]",
    }
    lines = [cell.output.removesuffix("\n"), remarks.get(cell.status, "")]
    if cell.code and cell.status == "error":
        lines.append(f"[exit code {cell.code}]")
    if cell.notice:
        lines.append(f"[{cell.notice}]")
    return "\n".join(filter(None, lines)) or "[no output]"
