"""The assertion exam: test code in one confined process questions the program in another, by value.

The host carries every call and every answer. The program can neither see nor touch the assertions, because they
are in another process, in other namespaces; and the test code is no part of what is judged.
"""

from __future__ import annotations

from dataclasses import dataclass

from .frames import Deadline, Hangup, Malformed
from .inside.codec import Wire
from .program_run import ProgramRun, hint
from .verdicts import Status, TestResult
from .worker import Process, WorkerDied


class _Failed(Exception):
    """The candidate failed in a way that ends the exam."""

    def __init__(self, result: TestResult) -> None:
        super().__init__(result.message)
        self.result = result


@dataclass(frozen=True)
class AssertionExam:
    """Run `test_code` against the program's function `entry`. One result: the assertions held, or they did not."""

    code: str
    entry: str
    test_code: str
    in_place: bool
    nan: bool

    @property
    def size(self) -> int:
        return 1

    def grade(self, run: ProgramRun) -> tuple[TestResult, ...]:
        """One result."""
        candidate = run.worker.take()
        try:
            job: Wire = {"kind": "candidate", "code": self.code, "entry": self.entry, "in_place": self.in_place}
            candidate.begin({**job, "cpu": run.processor_s(1)}, run.deadline)
            if _ask(candidate, None, run) != {"ready": True}:
                return (TestResult(Status.PROTOCOL_ERROR, "the program answered before it was asked"),)
            return (self._examine(candidate, run),)
        except _Failed as failed:
            return (failed.result,)
        finally:
            run.close(candidate)

    def _examine(self, candidate: Process, run: ProgramRun) -> TestResult:
        examiner = run.worker.take()
        try:
            job: Wire = {"kind": "examiner", "code": self.test_code, "entry": self.entry, "nan": self.nan}
            examiner.begin({**job, "cpu": run.processor_s(1)}, run.deadline)
            while True:
                message = examiner.receive(run.deadline)
                if "call" in message:
                    examiner.send(self._said(_ask(candidate, message, run)), run.deadline)
                elif "done" in message:
                    return TestResult(Status.PASSED)
                elif "x" in message:
                    if message["x"] == "no_test":
                        raise ValueError(f"the test code does not compile: {message.get('m')}")
                    if message["x"] == "broken_test":
                        return TestResult(Status.BROKEN_TEST, f"the test code fails by itself: {message.get('m')}")
                    return hint(message)
        except Deadline as error:
            return run.failure(candidate, error)
        except (Malformed, Hangup, OSError) as error:
            ended = examiner.end()
            if ended.signal is not None:
                return TestResult(Status.TIME_LIMIT, "the test code was ended: it used up its own limits")
            raise WorkerDied(f"the examiner ended without a word: {error!r}") from error
        finally:
            run.close(examiner)

    def _said(self, answer: dict[str, Wire]) -> dict[str, Wire]:
        """What an honest candidate's process says, and no more: the rest could change the test's own values."""
        keys = ("v", "raised", "m", "after") if self.in_place else ("v", "raised", "m")
        return {key: answer[key] for key in keys if key in answer}


def _ask(candidate: Process, message: dict[str, Wire] | None, run: ProgramRun) -> dict[str, Wire]:
    """Carry one call to the candidate, or none at first, and bring its answer. _Failed if there is none."""
    try:
        if message is not None:
            candidate.send({key: message[key] for key in ("name", "call", "named")}, run.deadline)
        answer = candidate.receive(run.deadline)
    except (Deadline, Malformed) as error:
        raise _Failed(run.failure(candidate, error)) from None
    except (Hangup, OSError):
        raise _Failed(run.failure(candidate, Hangup())) from None
    if "x" in answer:
        raise _Failed(hint(answer))
    return answer
