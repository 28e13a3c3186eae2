"""Whether two mathematical expressions are equal: math-verify, in a worker that can be killed.

    with MathsJudge() as judge:
        judge.compare(r"\\frac{1}{2}", "0.5").status   # Status.PASSED

Expressions are read as LaTeX by a grammar; nothing is ever evaluated as Python. An expression that takes for ever
to read or to simplify costs its time limit and the worker, never the run. Left out: finding the answer in a reply
(see `answers.py` of the worlds), and text that is not mathematics.
"""

from __future__ import annotations

import importlib.util
import json
import select
import subprocess
import sys
import time
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from ..errors import UserError
from .verdicts import Status, TestResult

MAX_LENGTH = 2000  # characters of an expression
START_S = 60.0  # the libraries take seconds to import, more on a busy machine
_WORKER = Path(__file__).with_name("maths_worker.py")


class _Stopped(Exception):
    """The worker did not answer in time (`late`), or ended."""

    def __init__(self, late: bool) -> None:
        super().__init__("late" if late else "ended")
        self.late = late


class MathsJudge:
    """Compares expressions, one at a time; may be called from many threads.

    Raises:
        UserError: math-verify is not installed, or the time limit is not positive.
    """

    def __init__(self, *, wall_s: float = 5.0) -> None:
        if not wall_s > 0:
            raise UserError(f"wall_s must be positive, not {wall_s!r}")
        if importlib.util.find_spec("math_verify") is None:
            raise UserError("comparing mathematics needs math-verify: pip install 'peripatos[maths]'")
        self._wall_s = wall_s
        self._worker: subprocess.Popen[str] | None = None
        self._lock = Lock()

    def compare(self, expected: str, answer: str) -> TestResult:
        """PASSED if `answer` equals `expected`; else WRONG_ANSWER, NO_ANSWER (it cannot be read), TIME_LIMIT.

        INFRA_ERROR, which nobody should score as zero, if the worker failed twice with no fault of the answer's.

        Raises:
            ValueError: `expected` itself cannot be read.
        """
        if len(answer) > MAX_LENGTH:
            return TestResult(Status.NO_ANSWER, f"longer than {MAX_LENGTH} characters")
        task = json.dumps({"expected": expected, "answer": answer}) + "\n"
        with self._lock:
            for _ in range(2):
                try:
                    word = self._ask(task)
                except _Stopped as stopped:
                    self._stop()
                    if stopped.late:
                        return TestResult(Status.TIME_LIMIT, f"not compared within {self._wall_s:g} s")
                    continue
                return self._result(word, expected)
        return TestResult(Status.INFRA_ERROR, "the process that compares mathematics ended twice")

    def _result(self, word: str, expected: str) -> TestResult:
        if word == "no_expected":
            raise ValueError(f"the expected answer cannot be read as mathematics: {expected!r:.100}")
        statuses = {
            "equal": Status.PASSED,
            "different": Status.WRONG_ANSWER,
            "no_answer": Status.NO_ANSWER,
            "too_much": Status.MEMORY_LIMIT,
        }
        return TestResult(statuses[word])

    def _ask(self, task: str) -> str:
        if self._worker is None:
            self._worker = self._start()
        assert self._worker.stdin is not None  # it was made with pipes
        try:
            self._worker.stdin.write(task)
            self._worker.stdin.flush()
        except OSError:
            raise _Stopped(late=False) from None
        return self._read(self._worker, self._wall_s)

    def _start(self) -> subprocess.Popen[str]:
        worker = subprocess.Popen(
            [sys.executable, "-I", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )
        try:
            if self._read(worker, START_S) != "ready":
                raise _Stopped(late=False)
        except _Stopped:
            worker.kill()
            worker.communicate()
            raise _Stopped(late=False) from None
        return worker

    def _read(self, worker: subprocess.Popen[str], timeout: float) -> str:
        assert worker.stdout is not None  # it was made with pipes
        until = time.monotonic() + timeout
        ready, _, _ = select.select([worker.stdout], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            raise _Stopped(late=True)
        line = worker.stdout.readline()
        if not line:
            raise _Stopped(late=False)
        return line.strip()

    def _stop(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker.communicate()
            self._worker = None

    def close(self) -> None:
        """End the worker; closing twice is harmless."""
        with self._lock:
            self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
