"""The function exam: call a function on inputs and compare what it returns. Expected values stay on the host."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property

from .expected import RAISES, special
from .frames import ROOM, TOO_LONG, Deadline, Hangup, Malformed
from .inside.codec import Wire
from .program_run import ProgramRun, hint
from .same_value import as_json, same, show
from .verdicts import Status, TestResult

_SPARE = 1 << 16


@dataclass(frozen=True)
class FunctionExam:
    """Call `entry` on each of `inputs`, in one process, and compare with `expected`."""

    code: str
    entry: str
    inputs: tuple[Wire, ...]
    expected: tuple[Wire, ...]
    tolerance: float
    tuples_as_lists: bool

    @property
    def size(self) -> int:
        return len(self.expected)

    def grade(self, run: ProgramRun) -> tuple[TestResult, ...]:
        process = run.worker.take()
        results: list[TestResult] = []
        try:
            job: Wire = {"kind": "function", "code": self.code, "entry": self.entry, "inputs": list(self.inputs)}
            process.begin({**job, "cpu": run.processor_s(self.size)}, run.deadline)
            while True:
                message = process.receive(run.deadline, self._room(len(results)))
                if len(results) == self.size:
                    if not run.note_probes(message):
                        raise Malformed("an answer that nobody asked for")
                elif "x" in message:
                    results += [hint(message)] * (self.size - len(results))
                elif run.note_probes(message):
                    continue
                else:
                    late = run.used_too_much(process)
                    results.append(late or self._grade(message, len(results)))
                    run.next_test()
        except (Deadline, Malformed) as error:
            return self._all_failed(run.failure(process, error), results)
        except Hangup as error:
            if len(results) == self.size:
                return tuple(results)
            failure = run.failure(process, error)
            return (*results, *[failure] * (self.size - len(results)))
        finally:
            run.close(process)

    def _room(self, i: int) -> int:
        """Bytes of an answer that may be right; a longer one is not worth the host's time to read it."""
        return _SPARE + 16 * self._lengths[i] if i < self.size else _SPARE

    @cached_property
    def _lengths(self) -> list[int]:
        return [len(json.dumps(wire)) for wire in self.expected]

    def _grade(self, message: dict[str, Wire], i: int) -> TestResult:
        if isinstance(length := message.get(TOO_LONG), int):
            if length > ROOM:
                return TestResult(Status.OUTPUT_LIMIT, f"the answer is too large: {length} bytes")
            return TestResult(Status.WRONG_ANSWER, f"an answer of {length} bytes, where few were expected")
        if message.get("i") != i:
            raise Malformed(f"an answer to test {str(message.get('i'))[:20]}, where {i} was due")
        if (name := special(self.expected[i], RAISES)) is not None:
            return _raised(message, name)
        if "v" not in message:
            return hint(message)
        answer = as_json(message["v"]) if self.tuples_as_lists else message["v"]
        right = same(answer, self.expected[i], tolerance=self.tolerance, as_json=self.tuples_as_lists)
        return TestResult(Status.PASSED if right else Status.WRONG_ANSWER, got=show(message["v"]))

    def _all_failed(self, failure: TestResult, results: list[TestResult]) -> tuple[TestResult, ...]:
        """Answers given before a forgery count for nothing; those before the time ran out do count."""
        if failure.status is Status.TIME_LIMIT and len(results) < self.size:
            return (*results, *[failure] * (self.size - len(results)))
        return (failure,) * self.size


def _raised(message: dict[str, Wire], name: Wire) -> TestResult:
    """The result of a test that expects an exception. What is said of one may be forged, as an answer may."""
    if "v" in message:
        return TestResult(Status.WRONG_ANSWER, f"no {name} was raised", show(message["v"]))
    names = message.get("raised")
    if isinstance(names, list) and name in names:
        return TestResult(Status.PASSED)
    return hint(message)
