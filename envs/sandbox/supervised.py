"""The host's side of a session's sandbox: its supervisor, and the channel to it.

Nothing in here chooses a bubblewrap: the caller names one, and only the self-test names one that is not yet proven.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields

from .frames import Deadline, Frames, Hangup, Malformed
from .inside.codec import Wire
from .launch import START_S, Program, start_session
from .verdicts import SandboxUnavailable


@dataclass(frozen=True)
class SessionLimits:
    """What a session may use. `memory_mb` is for all its processes together, by sampling: a best effort.

    `workspace_mb` and `files` (with folders and links) are for each of the two folders that can be written to.
    """

    cell_s: float = 10.0
    memory_mb: int = 1024
    workspace_mb: int = 64
    output_kb: int = 32
    files: int = 10_000
    processes: int = 64

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ValueError(f"SessionLimits.{field.name} must be a positive number, not {value!r}")
            if field.type == "int" and not isinstance(value, int):
                raise ValueError(f"SessionLimits.{field.name} must be a whole number, not {value!r}")


class Supervised:
    """A supervisor in a sandbox of its own. Used by one thread at a time. SandboxUnavailable if it does not start."""

    def __init__(self, program: Program, limits: SessionLimits) -> None:
        options = {
            "output_bytes": limits.output_kb << 10,
            "memory_bytes": limits.memory_mb << 20,
            "folder": f"size={limits.workspace_mb}m,nr_inodes={limits.files},mode=700",
            "rlimits": {"AS": limits.memory_mb << 20, "NPROC": limits.processes, "NOFILE": 256, "CORE": 0},
        }
        self._sandbox = start_session(program, options)
        self._frames = Frames(self._sandbox.channel)
        try:
            self._sandbox.meet(START_S)
            self._frames.receive(time.monotonic() + START_S)
        except (SandboxUnavailable, Deadline, Malformed, Hangup, OSError) as error:
            self.close()
            raise SandboxUnavailable(
                f"a session's sandbox does not start ({error!r}): bubblewrap and user namespaces have to work"
            ) from error

    @property
    def pid(self) -> int:
        """The process of bubblewrap, outside; the supervisor is its child."""
        return self._sandbox.process.pid

    def ask(self, request: Wire, seconds: float) -> dict[str, Wire]:
        """The answer to one request. Deadline, Malformed, Hangup or OSError if none comes."""
        deadline = time.monotonic() + seconds
        self._frames.send(request, deadline)
        return self._frames.receive(deadline)

    def close(self) -> None:
        """End the sandbox and everything in it; closing twice is harmless."""
        self._sandbox.end()
