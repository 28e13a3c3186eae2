"""The fork server: a warm interpreter in the sandbox which has a confined process made for every program.

On the control socket the host sends `b"S"` and a number for each process it wants. The answer is `R` with the number,
the host's end of a channel of its own and a handle to kill it by; when the process ends, `X` with the number, its
status and what it used. The process is confined and then waits on its channel for one job, so that confinement costs
time but not waiting. The program never holds the control socket.

Programs are not born of the server: whoever keeps accounts has what became of earlier programs in its memory, and a
child inherits memory. They are born of the *nursery*, a process beside it which does nothing else and hears of no
number, no end and no use, as the server's children, by whom they are buried.
"""

from __future__ import annotations

import gc
import os
import select
import site
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable, Mapping
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


def _live(nursery: socket.socket, confinement: Confinement, last_filter: bytes) -> int:
    """The life of a program's process, from birth to its exit status."""
    channel = _announced(nursery)
    if confinement.namespaces:
        confine.enter_namespaces(confinement.uid, confinement.gid, confinement.scratch_mb)
    else:
        confine.die_with_parent()
    confine.own_null()
    os.dup2(channel, CHANNEL)
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


def _announced(nursery: socket.socket) -> int:
    """A newborn's own end of its channel; the other end goes to the server, with a handle on this process."""
    ours, theirs = socket.socketpair()
    handle = os.pidfd_open(os.getpid())
    socket.send_fds(nursery, [READY], [theirs.fileno(), handle])
    for descriptor in (handle, theirs.detach(), nursery.detach()):
        os.close(descriptor)
    return ours.detach()


def _nurse(nursery: socket.socket, fork: Callable[[], int]) -> bool:
    """In the nursery: a process for each byte until the server is gone, and then False. In each of them: True, at once.

    Each iteration leaves the memory as it found it. Even the order in which what it used was freed would be a memory:
    the next objects would lie elsewhere in every second program.
    """
    descriptor = nursery.fileno()
    while os.read(descriptor, 1):
        if fork() == 0:
            return True
    return False


def _serve(control: socket.socket, births: socket.socket) -> None:
    """In the server: until the host hangs up, or the nursery ends. Numbers are the host's, and random."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(births, select.POLLIN)
    expected: deque[bytes] = deque()
    running: dict[int, bytes] = {}  # handle → number
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == control.fileno():
                request = control.recv(5)
                if not request:
                    return
                expected.append(request[1:])
                births.send(READY)
            elif descriptor == births.fileno():
                _, received, _, _ = socket.recv_fds(births, 1, 2)
                if not received:
                    return
                channel, handle = received
                running[handle] = expected.popleft()
                socket.send_fds(control, [b"R" + running[handle]], [channel, handle])
                os.close(channel)
                poll.register(handle, select.POLLIN)
            else:
                poll.unregister(descriptor)
                control.send(b"X" + running.pop(descriptor) + _buried(descriptor))


def _buried(handle: int) -> bytes:
    """The status of a process that has ended, and what it used. Its handle is closed."""
    ended = os.waitid(os.P_PIDFD, handle, os.WEXITED | os.WNOWAIT)
    os.close(handle)
    assert ended is not None  # it is waited for
    _, status, usage = os.wait4(ended.si_pid, 0)
    return struct.pack("!idq", status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)


def _bear_the_first(births: socket.socket) -> None:
    """One that gets no job: what a first call makes and keeps is made, and all that are born later are alike."""
    births.send(READY)
    _, (channel, handle), _, _ = socket.recv_fds(births, 1, 2)
    os.close(channel)
    _buried(handle)


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
    births, nursery = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork():
        nursery.close()
        _bear_the_first(births)
        _serve(control, births)
        return
    control.close()
    births.close()
    status = 70
    try:
        if _nurse(nursery, confine.forker(namespaces=confinement.namespaces)):
            status = _live(nursery, confinement, last_filter)
    finally:
        os._exit(status)
