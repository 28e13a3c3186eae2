"""The stdio exam: give a program its input and compare the whole of what it prints. Expected output stays here."""

from __future__ import annotations

import ast
import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .frames import Deadline, Hangup, Malformed
from .function_exam import FunctionExam
from .inside.codec import Wire, encode
from .program_run import ProgramRun, hint
from .same_value import Compare, same_output
from .verdicts import Status, TestResult
from .worker import Process


class _TooMuch(Exception):
    """The program printed more than it may."""


@dataclass(frozen=True)
class StdioExam:
    """Run the program once for each `(input, output)`, each time in a process of its own.

    A wrong answer does not end the exam: the number of its processes would tell the program how many were right.
    Running out of time does, unless the others count for partial credit; how long it runs, a program knows anyhow.

    With `checker`, the source of a function `check(input, expected, output)`, that decides, in a process of its own. It
    has to accept what is expected, or the test is broken. On what a program printed it may fail as it likes: that is a
    wrong answer, so that no program can break a test.
    """

    code: str
    tests: tuple[tuple[str, str], ...]
    partial: bool
    tolerance: float
    compare: Compare
    checker: str

    @property
    def size(self) -> int:
        return len(self.tests)

    def grade(self, run: ProgramRun) -> tuple[TestResult, ...]:
        """The results of all tests, in order."""
        results: list[TestResult] = []
        for given, expected in self.tests:
            run.next_test()
            results.append(self._run(run, given, expected))
            if run.over or (results[-1].status is Status.TIME_LIMIT and not self.partial):
                break
        status = Status.TIME_LIMIT if run.over else Status.SKIPPED
        return (*results, *[TestResult(status, "the time was over")] * (self.size - len(results)))

    def _run(self, run: ProgramRun, given: str, expected: str) -> TestResult:
        process = run.worker.take()
        try:
            with _streams(given) as (standard, reading):
                process.begin(
                    {"kind": "stdio", "code": self.code, "cpu": run.processor_s(1)}, run.deadline, tuple(standard)
                )
                output = _collect(process, standard, reading, run)
            text, failure = self._output(process, output, run)
            if failure is not None:
                return failure
        except _TooMuch:
            return TestResult(Status.OUTPUT_LIMIT, f"more than {run.limits.output_kb} KiB of output")
        except (Deadline, Malformed) as error:
            return run.failure(process, error)
        finally:
            run.close(process)
        if self.checker:
            return self._checked(run, given, expected, text)
        right = same_output(text, expected, self.tolerance, self.compare)
        return TestResult(Status.PASSED if right else Status.WRONG_ANSWER, got=text[:200])

    def _checked(self, run: ProgramRun, given: str, expected: str, text: str) -> TestResult:
        inputs = tuple(encode([given, expected, output]) for output in (expected, text))
        began = time.monotonic()
        own = ProgramRun(run.worker, run.limits)  # neither its time nor what looks odd about it is the program's
        fitting, right = FunctionExam(self.checker, "check", inputs, (True, True), 0.0, False).grade(own)
        run.forgive(time.monotonic() - began)
        if fitting.status is not Status.PASSED:
            said = fitting.message or f"it says {fitting.got}"
            return TestResult(Status.BROKEN_TEST, f"the checker does not accept what is expected: {said}")
        if right.status is Status.PASSED:
            return TestResult(Status.PASSED, got=text[:200])
        return TestResult(Status.WRONG_ANSWER, f"the checker: {right.message}" if right.message else "", text[:200])

    def _output(self, process: Process, output: bytes, run: ProgramRun) -> tuple[str, TestResult | None]:
        """What a program printed that has ended, and its failure if it did not end well."""
        said: list[dict[str, Wire]] = []
        try:
            while True:
                message = process.receive(run.deadline)
                if not run.note_probes(message):
                    said.append(message)
        except Hangup:
            ended = process.end()
        text = output.decode("utf-8", "replace")
        if ended.signal is not None:
            return text, run.obituary(ended)
        if said:
            return text, hint(said[0])
        if ended.code != 0:
            return text, TestResult(Status.RUNTIME_ERROR, f"exit code {ended.code}", text[:200])
        return text, None


def check_source(checker: str) -> None:
    """ValueError for a checker that is no Python or has no function `check`."""
    try:
        tree = ast.parse(checker)
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"the checker is no Python: {error}") from None
    if not any(isinstance(node, ast.FunctionDef) and node.name == "check" for node in tree.body):
        raise ValueError("the checker defines no function check(input, expected, output)")


@contextmanager
def _streams(given: str) -> Iterator[tuple[list[int], int]]:
    """Descriptors for standard input and output, and the one to read the output from.

    The list is emptied by whoever closes them; what is left in it is closed here.
    """
    source = os.memfd_create("input", os.MFD_CLOEXEC)
    reading, writing = os.pipe()
    standard = [source, writing]
    try:
        with os.fdopen(os.dup(source), "wb") as file:
            file.write(given.encode("utf-8", "surrogatepass"))
        os.lseek(source, 0, os.SEEK_SET)
        yield standard, reading
    finally:
        for descriptor in (*standard, reading):
            os.close(descriptor)


def _collect(process: Process, standard: list[int], reading: int, run: ProgramRun) -> bytes:
    """All that the program prints until it ends. Raises Deadline, or _TooMuch."""
    while standard:
        os.close(standard.pop())
    cap = run.limits.output_kb << 10
    output = bytearray()
    os.set_blocking(reading, False)
    waiting = select.poll()
    waiting.register(reading, select.POLLIN)
    waiting.register(process.handle, select.POLLIN)
    ended = False
    while not ended:
        ready = {descriptor for descriptor, _ in waiting.poll(max(0.0, run.deadline - time.monotonic()) * 1000)}
        if not ready:
            raise Deadline
        ended = process.handle in ready
        if reading in ready and _drain(reading, output, cap):
            waiting.unregister(reading)  # the program closed its output, and may go on
    return bytes(output)


def _drain(reading: int, output: bytearray, cap: int) -> bool:
    """Read what is there; true at the end of the stream."""
    while True:
        try:
            data = os.read(reading, 1 << 16)
        except BlockingIOError:
            return False
        output += data
        if len(output) > cap:
            raise _TooMuch
        if not data:
            return True
