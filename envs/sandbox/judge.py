"""The judge: runs untrusted programs in confined processes and compares their answers on the host.

    with Judge() as judge:
        judge.function("def solve(x): return x + 1", entry="solve", tests=[((1,), 2)]).reward   # 1.0

The sandbox never says "passed". It returns answers; this process holds the expected values, keeps the clock and
decides. Left out: running anything but Python, and catching answers that are memorised.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from threading import Lock
from types import TracebackType
from typing import Self

from ..errors import unknown
from .assertion_exam import AssertionExam
from .bubblewrap import choose
from .expected import expected_wire
from .function_exam import FunctionExam
from .inside.codec import Unsupported, encode
from .launch import BUBBLEWRAP, LANDLOCK, NONE, UNSAFE_VARIABLE, Program, Tier, interpreter, rlimits
from .packages import folders_of
from .program_run import ProgramRun
from .same_value import COMPARE, Compare, as_json
from .selftest import refusal_of, self_test
from .stdio_exam import StdioExam, check_source
from .verdicts import Limits, SandboxUnavailable, Status, TestResult, Verdict, verdict_of
from .worker import Worker, WorkerDied

Exam = FunctionExam | StdioExam | AssertionExam

_ENTRY = re.compile(r"[^\W\d]\w*(?:\(\))?(?:\.[^\W\d]\w*)*")
RECYCLE_AFTER = 5000  # programs, after which a worker makes room for a fresh one
_log = logging.getLogger(__name__)


class Judge:
    """A pool of sandboxes. All methods may be called from many threads.

    `allow_degraded` accepts Landlock where bubblewrap does not work. `unsafe_no_isolation` runs programs with no
    isolation at all, and only if the environment variable PERIPATOS_UNSAFE_NO_ISOLATION is 1 as well. `packages` of
    this environment (`("numpy",)`) may be imported by programs and by test code, behind bubblewrap only.
    Raises SandboxUnavailable when nothing that was allowed works; the message says how to mend it.
    """

    def __init__(
        self,
        workers: int = 2,
        limits: Limits | None = None,
        *,
        packages: Sequence[str] = (),
        allow_degraded: bool = False,
        unsafe_no_isolation: bool = False,
    ) -> None:
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            raise ValueError(f"workers must be a positive whole number, not {workers!r}")
        if isinstance(packages, str) or not all(isinstance(name, str) for name in packages):
            raise ValueError(f"packages must be a list of names, not {packages!r:.80}")
        if packages and (allow_degraded or unsafe_no_isolation):
            raise ValueError("packages are given to programs behind bubblewrap only")
        self.packages = tuple(packages)
        for name in self.packages:
            folders_of(name, interpreter().abi)
        self.limits = limits or Limits()
        self.suspicions: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self._lock = Lock()
        self._closed = False
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="judge")
        self._idle: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        try:
            self.tier, self.program, self._report = self._choose(allow_degraded, unsafe_no_isolation)
            for _ in range(workers - 1):
                self._idle.put(self._launch(self.tier, self.program))
        except BaseException:
            self.close()
            raise
        self._workers = workers

    def _choose(self, allow_degraded: bool, unsafe: bool) -> tuple[Tier, Program | None, Mapping[str, str]]:
        """The best tier that was allowed and that passes its self-test, its program, and the report of that test."""
        if unsafe:
            if os.environ.get(UNSAFE_VARIABLE) != "1":
                raise SandboxUnavailable(
                    f"unsafe_no_isolation=True needs the environment variable {UNSAFE_VARIABLE}=1 too"
                )
            warnings.warn("untrusted programs run WITHOUT isolation, with your rights", stacklevel=3)
            self._idle.put(self._launch(NONE))
            return NONE, None, {}
        try:
            tested = choose()
            self._idle.put(self._launch(BUBBLEWRAP, tested.program))
            return BUBBLEWRAP, tested.program, tested.report
        except SandboxUnavailable as error:
            if not allow_degraded:
                raise SandboxUnavailable(f"{error} Judge(allow_degraded=True) accepts Landlock instead.") from error
            reason = str(error)
        try:
            worker = self._launch(LANDLOCK)
        except SandboxUnavailable as error:
            raise SandboxUnavailable(f"{reason} Landlock: {error}") from error
        report = self_test(worker, LANDLOCK)
        if refusal := refusal_of(report):
            worker.close()
            raise SandboxUnavailable(f"{reason} Landlock {refusal}.")
        self._idle.put(worker)
        return LANDLOCK, None, report

    def _launch(self, tier: Tier, program: Program | None = None) -> Worker:
        return Worker(tier, self.limits, program, self.packages)

    # What can be asked.

    def function(
        self,
        code: str | bytes,
        entry: str,
        tests: Sequence[tuple[Sequence[object], object]],
        *,
        partial: bool = False,
        tolerance: float = 0.0,
        tuples_as_lists: bool = False,
    ) -> Verdict:
        """Judge a function by its results. `tests` are `((argument, …), expected)`.

        Types must agree exactly: True is not 1, 1 is not 1.0, and a tuple is not a list. With `tuples_as_lists`, for
        tests that came through JSON, values agree that JSON would write alike, or `==` find equal: a tuple and a list,
        1 and 1.0, the keys 1 and "1"; True still is not 1. Floats a, b (expected) agree if |a − b| ≤ tolerance ·
        max(1, |b|). With `partial` the reward is the fraction of tests that passed. Where several results are right,
        or none, a test expects `AnyOrder` or `Raises`. `entry` may be a method (`Solution().solve`), and a method of a
        `class Solution` will do for a function. Of a coroutine, its value is the result, of an iterator its list.
        ValueError on no tests, or on a value that cannot be compared.
        """
        check_entry(entry)
        if not tolerance >= 0.0:
            raise ValueError(f"tolerance must not be negative, not {tolerance!r}")
        pairs = _pairs(tests, "((argument, ...), expected)")
        try:
            inputs = tuple(encode(list(arguments)) for arguments, _ in pairs)
            expected = tuple(expected_wire(value) for _, value in pairs)
        except (Unsupported, TypeError) as error:
            raise ValueError(f"a test cannot be used: {error}") from None
        if tuples_as_lists:
            expected = tuple(map(as_json, expected))
        return self._judge(
            code,
            lambda text: FunctionExam(text, entry, inputs, expected, tolerance, tuples_as_lists),
            len(pairs),
            partial,
        )

    def stdio(
        self,
        code: str | bytes,
        tests: Sequence[tuple[str, str]],
        *,
        partial: bool = False,
        tolerance: float = 0.0,
        compare: Compare = "tokens",
        checker: str = "",
    ) -> Verdict:
        """Judge a program by what it prints. `tests` are `(standard input, expected output)`.

        Outputs are compared by "tokens"; as "lines" of tokens, in any order; or "exact", but for white space at the
        end. With a tolerance, tokens that are decimal numbers agree as the floats of `function` do; without, as texts.

        Where more than one answer is right, `checker` is the source of `check(input, expected, output)`, three texts,
        which returns True or False. It runs in a sandboxed process of its own. A test whose expected output it does not
        accept is broken, and the reward None; where it fails on what the program printed, that is a wrong answer.

        ValueError on no tests, on a checker that does not compile, or on options that do not go together.
        """
        if not tolerance >= 0.0:
            raise ValueError(f"tolerance must not be negative, not {tolerance!r}")
        if compare not in COMPARE:
            raise ValueError(unknown("way to compare", str(compare), COMPARE))
        if (tolerance > 0.0) + (compare != "tokens") + bool(checker) > 1:
            raise ValueError("of a tolerance, another way to compare and a checker, a test can have one")
        if checker:
            check_source(checker)
        pairs = tuple(_pairs(tests, "(input, output)"))
        for given, expected in pairs:
            if not isinstance(given, str) or not isinstance(expected, str):
                raise ValueError(f"a stdio test is two strings, not {(given, expected)!r:.100}")
        return self._judge(
            code, lambda text: StdioExam(text, pairs, partial, tolerance, compare, checker), len(pairs), partial
        )

    def assertions(
        self, code: str | bytes, entry: str, test_code: str, *, in_place: bool = False, nan: bool = False
    ) -> Verdict:
        """Judge a function by test code, which calls it by the name `entry`, or defines `check(candidate)`, or both.

        Other names that the test code uses and does not define are the program's functions and classes too. What it
        makes of its own (objects, functions, iterators) stays in its process, and the test uses it from here, see
        `inside.remote`; functions of the test's may be arguments. All other arguments and answers are copies; with
        `in_place`, what a call changes in its arguments is seen by the test. What it prints is printed here too. An
        answer that holds NaN is wrong unless `nan` says that the test deals with it: it would pass
        `not abs(got - want) > 1e-6`. Test code that fails before its first call, never calls, or asserts nothing is a
        broken test, and the reward None. Cases of unittest are run; the test may exit, with 0 where it holds.

        ValueError when the test code is empty or does not compile.
        """
        check_entry(entry)
        if not test_code.strip():
            raise ValueError("the test code is empty: nothing would be judged")
        return self._judge(code, lambda text: AssertionExam(text, entry, test_code, in_place, nan), 1, False)

    def submit(self, kind: str, *args: object, **options: object) -> Future[Verdict]:
        """The same as the method named `kind` ("function", "stdio" or "assertions"), in the background."""
        kinds: dict[str, Callable[..., Verdict]] = {
            "function": self.function,
            "stdio": self.stdio,
            "assertions": self.assertions,
        }
        if kind not in kinds:
            raise ValueError(unknown("kind of judgement", kind, kinds))
        return self._pool.submit(kinds[kind], *args, **options)

    def describe(self) -> dict[str, object]:
        """The backend, its program, whether it isolates, the limits in force, the self-test's report, the counters."""
        with self._lock:
            counters = {"suspicions": dict(self.suspicions), "statuses": dict(self.statuses)}
        return {
            "backend": self.tier.name,
            "isolated": self.tier.isolated,
            "degraded": self.tier is LANDLOCK,
            "program": self.program and self.program.path,
            "source": self.program and self.program.source,
            "interpreter": interpreter().path,
            "workers": self._workers,
            "packages": list(self.packages),
            "limits": asdict(self.limits),
            "rlimits": rlimits(self.limits),
            "self_test": dict(self._report),
            **counters,
        }

    # How it is done.

    def _judge(self, code: str | bytes, exam_of: Callable[[str], Exam], size: int, partial: bool) -> Verdict:
        text = _text(code)
        if text is None:
            result = TestResult(Status.COMPILE_ERROR, "the program is not UTF-8")
            return self._deliver((result,) * size, partial, 0.0, 0.0, set())
        exam = exam_of(text)
        for last_try in (False, True):
            began = time.monotonic()
            worker = None
            try:
                worker = self._acquire()
                run = ProgramRun(worker, self.limits)
                results = exam.grade(run)
                worker.prepare()
            except WorkerDied as error:
                _log.warning("a sandbox failed (%s); %s", error, "giving up" if last_try else "trying once more")
                self._discard(worker)
                failure = TestResult(Status.INFRA_ERROR, str(error))
            except SandboxUnavailable as error:
                self._discard(worker)
                failure = TestResult(Status.SANDBOX_UNAVAILABLE, str(error))
            except BaseException:
                self._discard(worker)
                raise
            else:
                self._release(worker)
                spent = time.monotonic() - began
                return self._deliver(results, partial, run.cpu_s, spent, run.suspicions)
        return self._deliver((failure,) * exam.size, partial, 0.0, time.monotonic() - began, set())

    def _deliver(
        self, results: tuple[TestResult, ...], partial: bool, cpu_s: float, wall_s: float, suspicions: set[str]
    ) -> Verdict:
        verdict = verdict_of(
            results,
            partial=partial,
            cpu_s=cpu_s,
            wall_s=wall_s,
            suspicions=tuple(sorted(suspicions)),
            isolated=self.tier.isolated,
        )
        with self._lock:
            self.statuses[verdict.status.value] += 1
            self.suspicions.update(verdict.suspicions)
        return verdict

    def _acquire(self) -> Worker:
        if self._closed:
            raise RuntimeError("the judge is closed")
        worker = self._idle.get()
        if worker is None:  # its predecessor failed, and so did the attempt to replace it
            worker = self._launch_or_give_back()
        return worker

    def _launch_or_give_back(self) -> Worker:
        try:
            return self._launch(self.tier, self.program)
        except BaseException:
            self._idle.put(None)
            raise

    def _release(self, worker: Worker) -> None:
        if worker.served < RECYCLE_AFTER:
            self._idle.put(worker)
        else:
            self._discard(worker)

    def _discard(self, worker: Worker | None) -> None:
        """Drop a worker; its place in the pool is filled when it is next needed."""
        if worker is not None:
            worker.close()
            self._idle.put(None)

    def close(self) -> None:
        """End all sandboxes; closing twice is harmless. Judgements under way are finished first."""
        self._closed = True
        self._pool.shutdown(wait=True)
        while not self._idle.empty():
            worker = self._idle.get()
            if worker is not None:
                worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_entry(entry: object) -> None:
    """ValueError for what names no function, class or method, as `solve`, `Stack` and `Solution().solve` do."""
    if not isinstance(entry, str) or not _ENTRY.fullmatch(entry):
        raise ValueError(f"entry must be the name of a function, a class or a method, not {entry!r}")


def _text(code: str | bytes) -> str | None:
    """The program as text, or None if it is not UTF-8."""
    try:
        return code.decode() if isinstance(code, bytes) else code.encode().decode()
    except UnicodeError:
        return None


def _pairs(tests: Sequence[tuple[object, object]], form: str) -> list[tuple]:
    """The tests, of which there must be some: a program is never right for want of evidence."""
    pairs = [tuple(test) for test in tests]
    if not pairs:
        raise ValueError("no tests: nothing would be judged")
    for pair in pairs:
        if len(pair) != 2:
            raise ValueError(f"a test is a pair {form}, not {pair!r:.100}")
    return pairs
