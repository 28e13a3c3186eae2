"""The stdio exam: give a program its input and compare the whole of what it prints. Expected output stays here."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .frames import Deadline, Hangup, Malformed
from .inside.codec import Wire
from .program_run import ProgramRun, hint
from .same_value import same_output
from .verdicts import Status, TestResult
from .worker import Process


class _TooMuch(Exception):
    """The program printed more than it may."""


@dataclass(frozen=True)
class StdioExam:
    """Run the program once for each `(input, output)`, each time in a process of its own.

    A wrong answer does not end the exam: the number of its processes would tell the program how many were right.
    Running out of time does, unless the others count for partial credit; how long it runs, a program knows anyhow.
    """

    code: str
    tests: tuple[tuple[str, str], ...]
    partial: bool
    tolerance: float

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
            return self._grade(process, output, expected, run)
        except _TooMuch:
            return TestResult(Status.OUTPUT_LIMIT, f"more than {run.limits.output_kb} KiB of output")
        except (Deadline, Malformed) as error:
            return run.failure(process, error)
        finally:
            run.close(process)

    def _grade(self, process: Process, output: bytes, expected: str, run: ProgramRun) -> TestResult:
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
            return run.obituary(ended)
        if said:
            return hint(said[0])
        if ended.code != 0:
            return TestResult(Status.RUNTIME_ERROR, f"exit code {ended.code}", text[:200])
        right = same_output(text, expected, self.tolerance)
        return TestResult(Status.PASSED if right else Status.WRONG_ANSWER, got=text[:200])


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
