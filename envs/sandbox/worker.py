"""The host's side of a fork server: processes to run programs in, and frames to talk to them.

Everything that arrives here comes from a place that a hostile program may control. Bytes are counted before they
are kept, and parsed before they are believed. A worker that does not behave is killed, never repaired.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .frames import Frames
from .inside.agreed import READY
from .inside.codec import Wire
from .launch import START_S, Program, Tier, start
from .verdicts import Limits, SandboxUnavailable

_MAX_BYTES = 128 << 20  # of frames from one process: parsing them costs the host time
_STOCK = 2  # processes ready and waiting
_SCHED_CLOCK = 2  # of a process by its number, as in clock_getcpuclockid(3)
GRACE_S = 30.0  # how long a fork server may take over what needs no more than milliseconds


class WorkerDied(RuntimeError):
    """The sandbox failed through no fault of the program's: worth one more try elsewhere."""


@dataclass(frozen=True)
class Exit:
    """How a process ended: its exit code, or the signal that ended it, and the processor time and memory it used."""

    code: int | None
    signal: int | None
    cpu_s: float
    memory_kb: int


class Process(Frames):
    """One confined process, waiting for its one job, and the channel to it."""

    def __init__(self, worker: Worker, number: int, channel: socket.socket, handle: int) -> None:
        super().__init__(channel, _MAX_BYTES)
        self._worker, self.number, self.handle = worker, number, handle
        self._exit: Exit | None = None

    def begin(self, job: Wire, deadline: float, descriptors: tuple[int, ...] = ()) -> None:
        """Hand over the job; `descriptors` become standard input and output. WorkerDied if nobody takes it."""
        try:
            self.channel.settimeout(GRACE_S)
            if self.channel.recv(1) != READY:
                raise WorkerDied("the sandbox could not confine a process")
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"{len(descriptors)}i", *descriptors))]
            self.channel.sendmsg([b"j"], rights if descriptors else [])
            self.send(job, deadline)
        except OSError as error:
            raise WorkerDied(f"a confined process did not take its job: {error}") from error

    def kill(self) -> None:
        """End the process and all it started; harmless if it has ended."""
        try:
            signal.pidfd_send_signal(self.handle, signal.SIGKILL)
        except ProcessLookupError:
            return

    def processor_s(self) -> float:
        """Processor time that the process has used so far, by the kernel's account."""
        try:
            for line in Path(f"/proc/self/fdinfo/{self.handle}").read_text().splitlines():
                if line.startswith("Pid:") and int(line[4:]) > 0:
                    return time.clock_gettime(~int(line[4:]) << 3 | _SCHED_CLOCK)
        except OSError:  # it has ended in between
            pass
        return 0.0

    def end(self) -> Exit:
        """Kill the process if it still lives and say how it ended. WorkerDied if the server does not know."""
        if self._exit is None:
            self.kill()
            self._exit = self._worker.bury(self.number)
        return self._exit

    def close(self) -> None:
        """Free the descriptors."""
        self.channel.close()
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1


class Worker:
    """A fork server and its control socket. Used by one thread at a time. `program` is bubblewrap, in its tier;
    `packages` are loaded for the programs.
    """

    def __init__(
        self, tier: Tier, limits: Limits, program: Program | None = None, packages: Sequence[str] = ()
    ) -> None:
        self._sandbox = start(tier, limits, program, packages)
        self._control = self._sandbox.channel
        self._spare: deque[Process] = deque()
        self._exits: dict[int, Exit] = {}
        self._asked = 0
        self.served = 0
        try:
            self._sandbox.meet(START_S)
            self.prepare()
        except (SandboxUnavailable, WorkerDied) as error:
            self.close()
            loaded = f" with {', '.join(packages)} loaded" if packages else ""
            raise SandboxUnavailable(f"the {tier.name} sandbox does not start{loaded}: {error}") from error

    @property
    def pid(self) -> int:
        """The process that a test, or an operator, would kill."""
        return self._sandbox.process.pid

    def prepare(self) -> None:
        """Ask for processes to be ready for the next jobs, without waiting for them.

        Best between jobs: making a process while another runs slows that one. With two in stock, the one that is
        missing is made while the other has its turn, and nobody waits.
        """
        try:
            while self._asked + len(self._spare) < _STOCK:
                self._control.send(b"S" + os.urandom(4))  # a number that tells nothing
                self._asked += 1
        except OSError as error:
            raise WorkerDied(str(error)) from error

    def take(self) -> Process:
        """A process to run a job in."""
        if not self._spare:
            self.prepare()
        while not self._spare:
            self._listen(GRACE_S)
        self.served += 1
        return self._spare.popleft()

    def bury(self, number: int) -> Exit:
        """How process `number` ended; it was killed, so this does not take long."""
        until = time.monotonic() + GRACE_S
        while number not in self._exits:
            self._listen(max(0.0, until - time.monotonic()))
        return self._exits.pop(number)

    def _listen(self, timeout: float) -> None:
        kind, body, descriptors = self._hear(timeout)
        if kind == b"R" and len(body) == 4 and len(descriptors) == 2:
            (number,) = struct.unpack("!I", body)
            channel = socket.socket(fileno=descriptors[0])
            self._spare.append(Process(self, number, channel, descriptors[1]))
            self._asked -= 1
        elif kind == b"X" and len(body) == 24:
            number, status, cpu_s, memory_kb = struct.unpack("!Iidq", body)
            ended = os.waitstatus_to_exitcode(status)
            code, killer = (ended, None) if ended >= 0 else (None, -ended)
            self._exits[number] = Exit(code, killer, cpu_s, memory_kb)
        else:
            for descriptor in descriptors:
                os.close(descriptor)
            raise WorkerDied(f"the fork server said {kind!r}")

    def _hear(self, timeout: float) -> tuple[bytes, bytes, list[int]]:
        waiting = select.poll()
        waiting.register(self._control, select.POLLIN)
        if not waiting.poll(timeout * 1000):
            raise WorkerDied("the fork server does not answer")
        try:
            message, descriptors, _, _ = socket.recv_fds(self._control, 64, 2)
        except OSError as error:
            raise WorkerDied(str(error)) from error
        if not message:
            raise WorkerDied("the fork server ended")
        return message[:1], message[1:], descriptors

    def close(self) -> None:
        """Kill the server and all its processes, and free everything; closing twice is harmless."""
        self._sandbox.end()
        while self._spare:
            self._spare.popleft().close()
