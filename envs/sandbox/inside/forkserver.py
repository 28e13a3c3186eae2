"""The fork server: a warm interpreter in the sandbox which makes a confined process for every program.

On the control socket the host sends `b"S"` and a number for each process it wants. The answer is `R` with the number,
the host's end of a channel of its own and a handle to kill it by; when the process ends, `X` with the number, its
status and what it used. The process is confined before the host knows of it, and then waits on its channel for one
job, so that confinement costs time but not waiting. The program never holds the control socket.
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

from . import confine, driver, filters, program
from .agreed import CONTROL, PACKAGES, READY
from .codec import Channel

CHANNEL = 3
_PRELOADED = """
    abc bisect collections collections.abc copy dataclasses datetime decimal enum fractions functools heapq io
    itertools json math operator random re statistics string textwrap time typing
"""
_LAZY = ("numpy.random", "numpy.linalg", "numpy.fft", "numpy.polynomial")  # numpy imports them when they are used


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
    packages: tuple[str, ...]


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
    confine.own_null()
    os.dup2(channel.fileno(), CHANNEL)
    channel.detach()
    os.closerange(CHANNEL + 1, 4096)
    own = socket.socket(fileno=CHANNEL)
    if confinement.landlock:
        confine.enter_landlock(confinement.readable)
    confine.limit(confinement.rlimits)
    own.send(READY)  # whatever goes wrong from here on is the program's doing
    _receive_job(own)
    own.detach()
    frames = Channel(CHANNEL)
    job = frames.receive()
    confine.limit({"CPU": job["cpu"]})
    if confinement.filters:
        filters.install(last_filter)
    return driver.run(job, frames)


def _serve(control: socket.socket, confinement: Confinement) -> socket.socket | None:
    """In the server: until the host hangs up, and then None. In each child: its channel, at once.

    A child goes on from here and not from within, so that nothing of the server's is in its frames or its heap: not
    how many there were, not who lives. Numbers are the host's, and random, for the same reason.
    """
    poll = select.poll()
    poll.register(control, select.POLLIN)
    running: dict[int, tuple[bytes, int]] = {}  # handle → (number, pid)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor != control.fileno():
                poll.unregister(descriptor)
                _bury(control, descriptor, *running.pop(descriptor))
                continue
            request = control.recv(5)
            if not request:
                return None
            ours, theirs = socket.socketpair()
            pid = confine.fork(namespaces=confinement.namespaces)
            if pid == 0:
                control.close()
                ours.close()
                return theirs
            theirs.close()
            handle = os.pidfd_open(pid)
            socket.send_fds(control, [b"R" + request[1:]], [ours.fileno(), handle])
            ours.close()
            running[handle] = request[1:], pid
            poll.register(handle, select.POLLIN)


def _bury(control: socket.socket, handle: int, number: bytes, pid: int) -> None:
    os.close(handle)
    _, status, usage = os.wait4(pid, 0)
    control.send(b"X" + number + struct.pack("!idq", status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss))


def main(options: Mapping[str, Any]) -> None:
    """Serve until the host hangs up. `options` is a `Confinement` as JSON gives it."""
    confinement = Confinement(**{**options, "readable": tuple(options["readable"])})
    if confinement.packages:
        sys.path.append(PACKAGES)
    lazy = _LAZY if "numpy" in confinement.packages else ()
    for name in (*_PRELOADED.split(), *confinement.packages, *lazy):
        __import__(name)
    site.setquit()  # programs end with exit(), which only a full start of the interpreter defines
    sys.argv = [program.FILE]
    sys.path[:] = [entry for entry in sys.path if entry]
    control = socket.socket(fileno=CONTROL)
    if confinement.namespaces:
        confine.own_view(confinement.uid, confinement.gid, {})
    confine.introduce(control)
    last_filter = filters.program_filter(signals=confinement.namespaces) if confinement.filters else b""
    if confinement.filters:
        confine.no_new_privileges()
        filters.install(filters.base_filter())
    gc.collect()
    gc.freeze()
    gc.disable()
    channel = _serve(control, confinement)
    if channel is None:
        return
    status = 70
    try:
        status = _live(channel, confinement, last_filter)
    finally:
        os._exit(status)
