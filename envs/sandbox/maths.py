"""Whether an answer says what was expected: math-verify, wrapped, in workers that can be killed.

    with MathsJudge() as judge:
        judge.compare(r"\\frac{1}{2}", "0.5").status   # Status.PASSED
        judge.compare("7", "84/12").status             # Status.WRONG_ANSWER: work is left to be done

What is expected has a kind, which its notation says or the caller does, and the check follows it; the table of kinds
stands in `mathematics/grader.py`. Expressions are read by a grammar; nothing is ever evaluated as Python. An answer
that takes for ever costs its time limit and a worker, never the run, and holds up no other worker. Left out: finding
the answer in a reply (see `answers.py` of the worlds).
"""

from __future__ import annotations

import importlib.util
import json
import queue
import select
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

from ..errors import UserError, unknown
from .mathematics.verdict import KINDS
from .verdicts import Status, TestResult

MAX_LENGTH = 2000  # characters of an expression
START_S = 60.0  # the libraries take seconds to import, more on a busy machine
_WORKER = Path(__file__).with_name("maths_worker.py")
_STATUSES = {
    "equal": Status.PASSED,
    "different": Status.WRONG_ANSWER,
    "no_answer": Status.NO_ANSWER,
    "unsure": Status.UNSURE,
    "too_much": Status.MEMORY_LIMIT,
    "failed": Status.INFRA_ERROR,
}


class _Stopped(Exception):
    """The worker did not answer in time (`late`), or ended."""

    def __init__(self, late: bool) -> None:
        super().__init__("late" if late else "ended")
        self.late = late


class _Worker:
    """One process, started when it is first asked; one caller at a time."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def ask(self, task: str, wall_s: float) -> list[str]:
        """The word and the reason. _Stopped if none comes."""
        if self.process is None:
            self.process = self._start()
        assert self.process.stdin is not None  # it was made with pipes
        try:
            self.process.stdin.write(task)
            self.process.stdin.flush()
        except (OSError, ValueError):
            raise _Stopped(late=False) from None
        return _read(self.process, wall_s)

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-I", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )
        try:
            if _read(process, START_S)[0] != "ready":
                raise _Stopped(late=False)
        except _Stopped:
            _end(process)
            raise _Stopped(late=False) from None
        return process

    def stop(self) -> None:
        """End the process; the next question starts another."""
        process, self.process = self.process, None
        if process is not None:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def _read(process: subprocess.Popen[str], timeout: float) -> list[str]:
    assert process.stdout is not None  # it was made with pipes
    until = time.monotonic() + timeout
    ready, _, _ = select.select([process.stdout], [], [], max(0.0, until - time.monotonic()))
    if not ready:
        raise _Stopped(late=True)
    line = process.stdout.readline()
    if not line:
        raise _Stopped(late=False)
    return json.loads(line)


class MathsJudge:
    """Compares expressions, as many at once as it has workers; may be called from many threads.

    Args:
        wall_s: seconds for one comparison.
        workers: processes; a slow answer holds one of them.

    Raises:
        UserError: math-verify is not installed, or the time limit or the number of workers is not positive.
    """

    def __init__(self, *, wall_s: float = 5.0, workers: int = 2) -> None:
        if not wall_s > 0:
            raise UserError(f"wall_s is {wall_s!r}; allowed is a number of seconds above 0")
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            raise UserError(f"workers is {workers!r}; allowed is a whole number, 1 or greater")
        if importlib.util.find_spec("math_verify") is None:
            raise UserError("comparing mathematics needs math-verify: pip install 'peripatos[maths]'")
        self._wall_s = wall_s
        self._workers = [_Worker() for _ in range(workers)]
        self._free: queue.LifoQueue[_Worker] = queue.LifoQueue()  # the one used last is warm
        for worker in self._workers:
            self._free.put(worker)

    def compare(
        self, expected: str, answer: str, *, kind: str | None = None, tolerance: str | float | None = None
    ) -> TestResult:
        """PASSED if `answer` says what was `expected`; else WRONG_ANSWER, NO_ANSWER (it cannot be read), TIME_LIMIT.

        UNSURE if it may be right and INFRA_ERROR if a worker failed twice with no fault of the answer's: nobody should
        score these as zero. The message is the reason.

        Args:
            kind: one of `KINDS`, where the notation of what is expected does not say it.
            tolerance: how far from it an approximate number may be, in the same unit.

        Raises:
            ValueError: `expected` itself cannot be read, or not as this kind, or is longer than `MAX_LENGTH`.
            UserError: no such kind; a tolerance that is no number from 0.
        """
        if kind is not None and kind not in KINDS:
            raise UserError(unknown("kind of answer", str(kind), KINDS))
        margin = None if tolerance is None else _margin(tolerance)
        if len(expected) > MAX_LENGTH:
            raise ValueError(
                f"the expected answer has {len(expected):,} characters; at most {MAX_LENGTH:,} are compared"
            )
        if len(answer) > MAX_LENGTH:
            return TestResult(Status.NO_ANSWER, f"longer than {MAX_LENGTH} characters")
        asked = {"expected": expected, "answer": answer, "kind": kind, "tolerance": margin}
        worker = self._free.get()
        try:
            word, reason = self._ask(worker, json.dumps(asked) + "\n")
        except _Stopped as stopped:
            if stopped.late:
                return TestResult(Status.TIME_LIMIT, f"not compared within {self._wall_s:g} s")
            return TestResult(Status.INFRA_ERROR, "the process that compares mathematics ended twice")
        finally:
            self._free.put(worker)
        if word == "no_expected":
            as_kind = "mathematics" if kind is None else kind
            raise ValueError(f"the expected answer cannot be read as {as_kind}: {expected!r:.100}")
        return TestResult(_STATUSES[word], reason)

    def _ask(self, worker: _Worker, task: str) -> list[str]:
        """What the worker says, asked again where it ended by itself."""
        for last in (False, True):
            try:
                return worker.ask(task, self._wall_s)
            except _Stopped as stopped:
                worker.stop()
                if stopped.late or last:
                    raise
        raise AssertionError("one of the two tries returns or raises")

    def close(self) -> None:
        """End the workers, once those that compare have done so; closing twice is harmless."""
        for worker in [self._free.get() for _ in self._workers]:
            worker.stop()
            self._free.put(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _margin(tolerance: str | float) -> str:
    try:
        value = Fraction(str(tolerance))
    except (ValueError, ZeroDivisionError):
        value = Fraction(-1)
    if value < 0:
        raise UserError(f"a tolerance is a number from 0, not {tolerance!r:.40}")
    return str(value)
