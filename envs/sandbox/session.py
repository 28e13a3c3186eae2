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

import contextlib
import math
import socket
import subprocess
import time
from dataclasses import dataclass, fields
from types import TracebackType
from typing import Self

from .frames import Deadline, Frames, Hangup, Malformed
from .inside.codec import Wire
from .launch import interpreter, run_inside, session_prefix
from .verdicts import SandboxUnavailable

_MODULES = ("calls", "codec", "filters", "confine", "kernel", "cells")
_GRACE_S = 5.0  # beyond a cell's own time, before the whole sandbox is replaced
_CHUNK = 256 << 10


class SessionError(ValueError):
    """A file could not be written or read in the workspace; the message says why."""


@dataclass(frozen=True)
class SessionLimits:
    """What a session may use. `memory_mb` is for all its processes together, by sampling: a best effort."""

    cell_s: float = 10.0
    memory_mb: int = 1024
    workspace_mb: int = 64
    output_kb: int = 32
    processes: int = 64

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ValueError(f"SessionLimits.{field.name} must be a positive number, not {value!r}")
            if field.type == "int" and not isinstance(value, int):
                raise ValueError(f"SessionLimits.{field.name} must be a whole number, not {value!r}")


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

    Raises SandboxUnavailable where bubblewrap does not work: there is no degraded tier for sessions.
    """

    def __init__(self, limits: SessionLimits | None = None) -> None:
        self.limits = limits or SessionLimits()
        self._process: subprocess.Popen[bytes] | None = None
        self._start()

    def _start(self) -> None:
        python = interpreter()
        options = {
            "output_bytes": self.limits.output_kb << 10,
            "memory_bytes": self.limits.memory_mb << 20,
            "rlimits": {
                "AS": self.limits.memory_mb << 20,
                "NPROC": self.limits.processes,
                "NOFILE": 256,
                "CORE": 0,
            },
        }
        prefix = session_prefix(python, self.limits.workspace_mb)
        self._process, channel = run_inside(prefix, python, _MODULES, options, socket.SOCK_STREAM)
        self._frames = Frames(channel)
        try:
            self._frames.receive(time.monotonic() + 20.0)
        except (Deadline, Malformed, Hangup) as error:
            self.close()
            raise SandboxUnavailable(
                f"a session's sandbox does not start ({error!r}): bubblewrap and user namespaces have to work"
            ) from error

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
        if self._process is None:
            raise RuntimeError("the session is closed")
        deadline = time.monotonic() + seconds
        self._frames.send(request, deadline)
        return self._frames.receive(deadline)

    def _replace(self) -> None:
        self.close()
        self._start()

    def close(self) -> None:
        """End the sandbox and everything in it; closing twice is harmless."""
        if self._process is None:
            return
        self._frames.channel.close()
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _inside(path: str) -> str:
    """A path relative to the workspace. ValueError for any other."""
    if not path or path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise ValueError(f"a path in the workspace is relative and has no '..', not {path!r}")
    return f"/workspace/{path}"
