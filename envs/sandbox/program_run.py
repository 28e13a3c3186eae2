"""One program's run on one worker: its clock, what it used, how it failed, and what looked odd."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field

from .frames import Deadline, Malformed
from .inside.codec import Wire
from .verdicts import Limits, Status, TestResult
from .worker import Exit, Process, Worker

_HINTS = frozenset(
    {
        Status.WRONG_ANSWER,
        Status.NO_ANSWER,
        Status.RUNTIME_ERROR,
        Status.COMPILE_ERROR,
        Status.MEMORY_LIMIT,
        Status.OUTPUT_LIMIT,
    }
)


@dataclass
class ProgramRun:
    """What an exam needs besides its questions."""

    worker: Worker
    limits: Limits
    cpu_s: float = 0.0
    suspicions: set[str] = field(default_factory=set)
    _noted: bool = False

    def __post_init__(self) -> None:
        self._known = 0.0, time.monotonic()  # processor time of the process, and when
        self._allowed = self.limits.cpu_s
        self._end = time.monotonic() + max(self.limits.total_s, self.limits.wall_s)
        self.next_test()

    def next_test(self) -> None:
        """The clock of the next test begins."""
        self._began = time.monotonic()
        self.deadline = min(self._began + self.limits.wall_s, self._end)

    def forgive(self, seconds: float) -> None:
        """Time that went by and was not the program's."""
        self._end += seconds

    @property
    def over(self) -> bool:
        """Whether the time for all tests together is."""
        return time.monotonic() >= self._end

    def processor_s(self, tests: int) -> int:
        """Whole seconds of processor time for so many tests in one process: the kernel's limit, rounded up."""
        self._allowed = min(self.limits.cpu_s * tests, max(self.limits.cpu_s, self.limits.total_s))
        return max(1, -int(-self._allowed // 1))

    def used_too_much(self, process: Process) -> TestResult | None:
        """The result of a test whose answer took more processor time than one may; None for all others.

        Only one that took as long by the clock is looked at, and what is not known counts for the program.
        """
        now = time.monotonic()
        if now - self._began <= self.limits.cpu_s:
            return None
        used, (known, at) = process.processor_s(), self._known
        self._known = used, now
        if used - known - max(0.0, self._began - at) <= self.limits.cpu_s:
            return None
        return TestResult(Status.TIME_LIMIT, f"more than {self.limits.cpu_s:g} s of processor time")

    def failure(self, process: Process, error: Exception) -> TestResult:
        """Why a process stopped answering, judged from outside: from the clock, the channel and its exit status."""
        ended = process.end()
        if isinstance(error, Deadline):
            limit = "total_s" if self.over else "wall_s"
            return TestResult(Status.TIME_LIMIT, f"no answer within {getattr(self.limits, limit):g} s ({limit})")
        if isinstance(error, Malformed):
            self.suspicions.add("forged_frame")
            return TestResult(Status.PROTOCOL_ERROR, str(error))
        return self.obituary(ended)

    def obituary(self, ended: Exit) -> TestResult:
        """The result for a process that ended by itself before its answers were complete."""
        # The kernel counts ticks for the limit and nanoseconds for the report: the two may differ a good deal.
        if ended.signal == signal.SIGKILL and ended.cpu_s >= 0.5 * self._allowed:
            return TestResult(Status.TIME_LIMIT, f"more than {self._allowed:g} s of processor time")
        if ended.signal is None or ended.signal == signal.SIGKILL:  # the host kills what has closed its channel
            self.suspicions.add("exit_without_answer")
            code = "" if ended.code is None else f", with exit code {ended.code}"
            return TestResult(Status.NO_ANSWER, f"it ended early{code}")
        if ended.signal == signal.SIGSYS:
            self.suspicions.add("forbidden_call")
        return TestResult(Status.KILLED, f"ended by {_name(ended.signal)}")

    def close(self, process: Process) -> Exit:
        """End a process, count what it used, free it."""
        try:
            ended = process.end()
        finally:
            process.close()
        self.cpu_s += ended.cpu_s
        return ended

    def note_probes(self, message: dict[str, Wire]) -> bool:
        """Whether this is the driver's one note of what the program tried. It is a hint: it may be forged."""
        probes = message.get("probes")
        if not isinstance(probes, list) or len(message) != 1 or self._noted:
            return False
        self._noted = True
        self.suspicions.update(f"probe:{name[:40]}" for name in probes[:20] if isinstance(name, str))
        return True


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most of the real-time signals have no name
        return f"signal {number}"


def hint(message: dict[str, Wire]) -> TestResult:
    """A failure as the driver told it. It cannot say "passed", and what it says is worth nothing but a label."""
    kind, text = message.get("x", message.get("k")), message.get("m")
    status = Status(kind) if isinstance(kind, str) and kind in _HINTS else Status.PROTOCOL_ERROR
    return TestResult(status, text[:400] if isinstance(text, str) else "")
