"""A process that holds worlds, as whoever gives it orders sees it.

One order is under way at a time. What does not come back in time is killed with everything that it has started, and
how a process ended is told in words.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ..errors import UserError
from .world_process import Drawing, Order, Refused, Setup, Source

_BEGINS = 120.0  # seconds for a process to make its worlds
_CLOSES = 2.0  # seconds for worlds to close
_ENDS = 20.0  # seconds for a process to end whose channel is closed: mostly none, but Python has much to take down
_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[3]); "
    "from peripatos.envs.control.world_process import main; main(int(sys.argv[1]), int(sys.argv[2]))"
)


class Lost(Exception):
    """The process is gone, and its worlds with it; the message says how."""


class WorldWorker:
    """`n` worlds of `source` in a process of its own, which is started here and made ready by `ready`."""

    def __init__(self, source: Source, n: int) -> None:
        self.channel, theirs = Pipe()
        with theirs:
            self._process = _spawner(os.getpid()).submit(partial(_start, theirs, Path.cwd())).result()
        self._limit, self._until = _BEGINS, time.monotonic() + _BEGINS
        self.busy, self.gone = True, False
        with suppress(OSError):  # it has died already, which `receive` tells
            self.channel.send(Setup(source, n))

    def send(self, order: Order | Drawing, seconds: float) -> None:
        """Begin an order, for which there are so many seconds."""
        self._limit, self._until, self.busy = seconds, time.monotonic() + seconds, True
        with suppress(OSError):
            self.channel.send(order)

    @property
    def late(self) -> bool:
        """Whether the order under way takes longer than it may, or nobody carries it out any more (a child of a world
        may hold the channel of a process that has ended)."""
        return self.busy and (time.monotonic() > self._until or self._process.poll() is not None)

    def receive(self) -> Any:
        """The `Ready`, `Answer` or picture that has come. `Lost` where the process has ended, or is late; UserError
        where it says what the user can mend, RuntimeError where it broke."""
        try:
            if self.late and not self.channel.poll():
                if self._process.poll() is not None:
                    raise Lost(self._ending())
                self.kill()
                raise Lost(f"it has not come back for {self._limit:g} s, and its process was ended")
            said = self.channel.recv()
        except (EOFError, OSError) as problem:
            raise Lost(self._ending()) from problem
        self.busy = False
        if isinstance(said, Refused):
            self.kill()
            raise UserError(said.why) if said.mendable else RuntimeError(f"a process of worlds broke:\n{said.why}")
        return said

    def kill(self) -> None:
        """End it at once, and all that it has started; twice is harmless."""
        self.channel.close()
        if not self.gone:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self.busy, self.gone = False, True

    def begin_close(self) -> None:
        """Let it close its worlds; `close` waits for that."""
        self.channel.close()

    def close(self, moment: float) -> None:
        """End it, at the latest at that moment of `time.monotonic()`."""
        try:
            self._process.wait(max(0.0, moment - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill()

    def _ending(self) -> str:
        """How the process has ended, in words."""
        try:
            code = self._process.wait(_ENDS)
        except subprocess.TimeoutExpired:  # the world has closed what does not belong to it
            self.kill()
            return "it closed the channel of its process, which was ended"
        self.kill()  # what it has left behind
        if code >= 0:
            return f"its process ended by itself, with exit code {code}"
        return f"its process was ended by {signal.Signals(-code).name}"


def close_all(workers: list[WorldWorker]) -> None:
    """Close them, side by side."""
    for worker in workers:
        worker.begin_close()
    moment = time.monotonic() + _CLOSES
    for worker in workers:
        worker.close(moment)


def _start(theirs: Connection, folder: Path) -> subprocess.Popen[bytes]:
    """In the current folder of whoever asks, which may not be this thread's (see `scenarios.run.one_thread`)."""
    arguments = [str(theirs.fileno()), str(os.getpid()), json.dumps([str(folder) for folder in sys.path])]
    return subprocess.Popen(
        [sys.executable, "-c", _CODE, *arguments],
        stdin=subprocess.DEVNULL,
        cwd=folder,
        pass_fds=[theirs.fileno()],
        start_new_session=True,  # a terminal's Ctrl-C is for the run, which ends its workers
    )


@cache
def _spawner(pid: int) -> ThreadPoolExecutor:
    """The thread that starts processes, as long as this process lives: the kernel ends a process with the *thread* that
    has started it. One that was forked from this has its own."""
    return ThreadPoolExecutor(1, "spawner")
