"""A workplace for an agent: a persistent Python and a shell in a sandbox of their own, with a folder of files.

    with Session() as session:
        session.python("x = 20")
        session.python("x + 1").output        # "21\\n"
        session.shell("ls -l")
        session.fetch("result.txt")           # bytes

Nothing that happens in here is a judgement. What the agent made is fetched as bytes and judged elsewhere, by a
fresh `Judge` that the agent never touched; exit codes and reports from here mean nothing. Left out: a network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from .bubblewrap import choose
from .frames import Deadline, Hangup, Malformed
from .inside.codec import Wire
from .supervised import SessionLimits, Supervised

_GRACE_S = 30.0  # beyond a cell's own time, before the whole sandbox is replaced
_CHUNK = 256 << 10


class SessionError(ValueError):
    """A file could not be written or read in the workspace; the message says why."""


@dataclass(frozen=True)
class Cell:
    """What became of a cell or a command. `notice` is for the agent: what it lost, if anything."""

    status: str  # "ok", "error", "time_limit", "memory_limit", or "ended": the interpreter ended
    output: str  # standard output and error as they came, cut in the middle with a marker if too long
    truncated: bool = False
    notice: str = ""
    code: int | None = None  # a command's exit code


class Session:
    """A sandbox with a persistent Python and a shell. Used by one thread at a time.

    Raises SandboxUnavailable where no bubblewrap passes the judge's self-test: there is no degraded tier for sessions.
    """

    def __init__(self, limits: SessionLimits | None = None) -> None:
        self.limits = limits or SessionLimits()
        self._program = choose().program
        self._sandbox: Supervised | None = Supervised(self._program, self.limits)

    def python(self, code: str, *, seconds: float | None = None) -> Cell:
        """Run a cell; what it defines stays. The value of a last line that is an expression is shown."""
        return self._run("python", code, seconds)

    def shell(self, command: str, *, seconds: float | None = None) -> Cell:
        """Run a command with /bin/sh in the workspace. Processes that it leaves behind in its group are killed."""
        return self._run("shell", command, seconds)

    def _run(self, op: str, code: str, seconds: float | None) -> Cell:
        seconds = self.limits.cell_s if seconds is None else seconds
        if not 0 < seconds < math.inf:
            raise ValueError(f"seconds must be positive and finite, not {seconds!r}")
        try:
            answer = self._ask({"op": op, "code": code, "seconds": seconds}, seconds + _GRACE_S)
            status, output = str(answer["status"]), str(answer["output"])
            lost = "The Python session was restarted: its variables are lost." if answer["restarted"] else ""
            exit_code = answer.get("code")
            return Cell(
                status, output, bool(answer["truncated"]), lost, exit_code if isinstance(exit_code, int) else None
            )
        except (Deadline, Malformed, Hangup, OSError, KeyError) as error:
            self._replace()
            status = "time_limit" if isinstance(error, Deadline) else "ended"
            return Cell(status, "", notice="The sandbox was replaced: all variables and files are lost.")

    def put(self, path: str, data: bytes) -> None:
        """Write a file into the workspace. SessionError if that does not work."""
        parts = [data[i : i + _CHUNK] for i in range(0, len(data), _CHUNK)] or [b""]
        for i, part in enumerate(parts):
            self._file({"op": "write", "path": _inside(path), "data": part.hex(), "append": i > 0})

    def fetch(self, path: str, *, max_bytes: int = 1 << 20) -> bytes:
        """The bytes of a regular file in the workspace, never through a symbolic link.

        SessionError if there is none, or if it is larger than `max_bytes`.
        """
        data = b""
        while True:
            answer = self._file({"op": "read", "path": _inside(path), "offset": len(data)})
            size, text = answer.get("size"), answer.get("data")
            if not isinstance(size, int) or not isinstance(text, str):
                raise SessionError(f"the sandbox gave no file for {path!r}")
            if size > max_bytes:
                raise SessionError(f"{path!r} has {size} bytes, more than {max_bytes}")
            data += bytes.fromhex(text)
            if not text or len(data) >= size:
                return data[:max_bytes]

    def _file(self, request: Wire) -> dict[str, Wire]:
        try:
            answer = self._ask(request, _GRACE_S)
        except (Deadline, Malformed, Hangup, OSError) as error:
            self._replace()
            raise SessionError("the sandbox failed and was replaced: all variables and files are lost") from error
        if "error" in answer:
            raise SessionError(f"{answer['error']}"[:200])
        return answer

    def _ask(self, request: Wire, seconds: float) -> dict[str, Wire]:
        if self._sandbox is None:
            raise RuntimeError("the session is closed")
        return self._sandbox.ask(request, seconds)

    def _replace(self) -> None:
        self.close()
        self._sandbox = Supervised(self._program, self.limits)

    def close(self) -> None:
        """End the sandbox and everything in it; closing twice is harmless."""
        if self._sandbox is not None:
            self._sandbox.close()
            self._sandbox = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _inside(path: str) -> str:
    """The path, which is relative to the workspace. ValueError for any other."""
    if not path or path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise ValueError(f"a path in the workspace is relative and has no '..', not {path!r}")
    return path
