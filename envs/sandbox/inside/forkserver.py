"""The fork server: a warm interpreter in the sandbox which makes a confined process for every program.

On the control socket the host sends `b"S"` for each process it wants. The answer is `R` with a number, the host's
end of a channel of its own and a handle to kill it by; when the process ends, `X` with the number, its status and
what it used. The process is confined before the host knows of it, and then waits on its channel for one job, so
that confinement costs time but not waiting. The program never holds the control socket.
"""

from __future__ import annotations

import gc
import os
import select
import site
import socket
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import confine, driver, filters
from .codec import Channel

CONTROL, CHANNEL = 3, 3
READY = b"+"  # confinement succeeded: whatever goes wrong from here on is the program's doing
_PRELOADED = """
    abc bisect collections collections.abc copy dataclasses datetime decimal enum fractions functools heapq io
    itertools json math operator random re statistics string textwrap time typing
"""


@dataclass(frozen=True)
class Confinement:
    """What the host asks for. Which layers are on depends on the tier; the numbers are the judge's limits."""

    namespaces: bool
    landlock: bool
    filters: bool
    uid: int
    gid: int
    scratch_mb: int
    rlimits: Mapping[str, int]
    readable: tuple[str, ...]


def _receive_job(channel: socket.socket) -> None:
    """Wait for the host's first byte; descriptors that come with it become standard input and output."""
    byte, ancillary, _, _ = channel.recvmsg(1, socket.CMSG_SPACE(8))
    if not byte:
        os._exit(0)
    for _, _, data in ancillary:
        for standard, received in enumerate(struct.unpack("2i", data)):
            os.dup2(received, standard)
            os.close(received)


def _live(channel: socket.socket, confinement: Confinement, last_filter: bytes) -> int:
    """The life of a program's process, from birth to its exit status."""
    if confinement.namespaces:
        confine.enter_namespaces(confinement.uid, confinement.gid, confinement.scratch_mb)
    else:
        confine.die_with_parent()
    os.dup2(channel.fileno(), CHANNEL)
    channel.detach()
    os.closerange(CHANNEL + 1, 4096)
    own = socket.socket(fileno=CHANNEL)
    if confinement.landlock:
        confine.enter_landlock(confinement.readable)
    confine.limit(confinement.rlimits)
    own.send(READY)
    _receive_job(own)
    own.detach()
    frames = Channel(CHANNEL)
    job = frames.receive()
    if confinement.filters:
        filters.install(last_filter)
    return driver.run(job, frames)


class _Server:
    def __init__(self, control: socket.socket, confinement: Confinement) -> None:
        self._control, self._confinement = control, confinement
        self._last_filter = filters.program_filter(signals=confinement.namespaces) if confinement.filters else b""
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._running: dict[int, tuple[int, int]] = {}  # handle → (number, pid)
        self._count = 0

    def serve(self) -> None:
        self._control.send(b"H" + struct.pack("!I", os.getpid()))
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor != self._control.fileno():
                    self._bury(descriptor)
                elif not self._control.recv(1):
                    return
                else:
                    self._give_birth()

    def _give_birth(self) -> None:
        ours, theirs = socket.socketpair()
        pid = confine.fork(namespaces=self._confinement.namespaces)
        if pid == 0:
            status = 70
            try:
                self._control.close()
                ours.close()
                status = _live(theirs, self._confinement, self._last_filter)
            finally:
                os._exit(status)
        theirs.close()
        handle = os.pidfd_open(pid)
        rights = struct.pack("2i", ours.fileno(), handle)
        number = struct.pack("!I", self._count)
        self._control.sendmsg([b"R" + number], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        ours.close()
        self._running[handle] = (self._count, pid)
        self._poll.register(handle, select.POLLIN)
        self._count += 1

    def _bury(self, handle: int) -> None:
        number, pid = self._running.pop(handle)
        self._poll.unregister(handle)
        os.close(handle)
        _, status, usage = os.wait4(pid, 0)
        used = (usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
        self._control.send(b"X" + struct.pack("!Iidq", number, status, *used))


def main(options: Mapping[str, Any]) -> None:
    """Serve until the host hangs up. `options` is a `Confinement` as JSON gives it."""
    confinement = Confinement(**{**options, "readable": tuple(options["readable"])})
    for name in _PRELOADED.split():
        __import__(name)
    site.setquit()  # programs end with exit(), which only a full start of the interpreter defines
    sys.argv = [driver.FILE]
    sys.path[:] = [entry for entry in sys.path if entry]
    control = socket.socket(fileno=CONTROL)
    if confinement.filters:
        confine.no_new_privileges()
        filters.install(filters.base_filter())
    gc.collect()
    gc.freeze()
    gc.disable()
    _Server(control, confinement).serve()
