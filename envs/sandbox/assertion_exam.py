"""The assertion exam: test code in one confined process questions the program in another, by value.

The host carries every call and every answer. The program can neither see nor touch the assertions, because they
are in another process, in other namespaces; and the test code is no part of what is judged.
"""

from __future__ import annotations

from dataclasses import dataclass

from .frames import TOO_LONG, Deadline, Hangup, Malformed
from .inside.codec import MAX_FRAME, Wire
from .program_run import ProgramRun, hint
from .verdicts import Status, TestResult
from .worker import Process, WorkerDied

_REQUEST = ("do", "of", "name", "call", "named")
_ANSWER = ("v", "raised", "m", "error", "out")
_CALL_BACK = ("back", "call", "named")
_DEEPEST = 20  # calls of the test's by the candidate by the test …


class _Failed(Exception):
    """The candidate failed in a way that ends the exam."""

    def __init__(self, result: TestResult) -> None:
        super().__init__(result.message)
        self.result = result


class _Over(Exception):
    """The test code has ended in the middle of a call."""

    def __init__(self, message: dict[str, Wire]) -> None:
        super().__init__("the test code ended")
        self.message = message


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
        asked = False
        try:
            job: Wire = {"kind": "examiner", "code": self.test_code, "entry": self.entry, "nan": self.nan}
            examiner.begin({**job, "cpu": run.processor_s(1)}, run.deadline)
            while "do" in (message := examiner.receive(run.deadline, MAX_FRAME)):
                asked = True
                examiner.send(self._carry(message, candidate, examiner, run), run.deadline)
            return _told(message)
        except _Over as over:
            return _told(over.message)
        except Deadline as error:
            return run.failure(candidate, error)
        except (Malformed, Hangup, OSError) as error:
            ended = examiner.end()
            if ended.signal is not None:
                return TestResult(Status.TIME_LIMIT, "the test code was ended: it used up its own limits")
            if asked:  # no sandbox has failed: what it was given was too much for it
                return TestResult(Status.MEMORY_LIMIT, "the test code ended early, after it had called the program")
            raise WorkerDied(f"the examiner ended without a word: {error!r}") from error
        finally:
            run.close(examiner)

    def _carry(
        self, message: dict[str, Wire], candidate: Process, examiner: Process, run: ProgramRun, depth: int = 0
    ) -> dict[str, Wire]:
        """The candidate's answer to one request. Before it answers it may call functions that the test gave to it, and
        those may ask the candidate.

        What is said of the answer is what an honest candidate's process says, and no more: the rest could change the
        test's own values.
        """
        answer = _ask(candidate, _only(message, _REQUEST), run)
        while "back" in answer:
            if depth == _DEEPEST:
                raise _Failed(TestResult(Status.RUNTIME_ERROR, f"{_DEEPEST} calls of the test's inside one another"))
            if not answer.keys() >= {*_CALL_BACK}:
                raise _Failed(TestResult(Status.PROTOCOL_ERROR, "half a call of a function of the test's"))
            examiner.send(_only(answer, _CALL_BACK), run.deadline)
            while "do" in (message := examiner.receive(run.deadline, MAX_FRAME)):
                examiner.send(self._carry(message, candidate, examiner, run, depth + 1), run.deadline)
            if message.keys().isdisjoint(("v", "raised")):
                raise _Over(message)
            answer = _ask(candidate, _only(message, ("v", "raised", "m")), run)
        return _only(answer, (*_ANSWER, "after") if self.in_place else _ANSWER)


def _told(message: dict[str, Wire]) -> TestResult:
    """The result as the test code's process says it, which is trusted."""
    if "done" in message:
        return TestResult(Status.PASSED)
    if message.get("x") == "no_test":
        raise ValueError(f"the test code does not compile: {message.get('m')}")
    if message.get("x") == "broken_test":
        return TestResult(Status.BROKEN_TEST, f"the test code fails by itself: {message.get('m')}")
    return hint(message)


def _only(message: dict[str, Wire], keys: tuple[str, ...]) -> dict[str, Wire]:
    return {key: message[key] for key in keys if key in message}


def _ask(candidate: Process, message: dict[str, Wire] | None, run: ProgramRun) -> dict[str, Wire]:
    """Carry one message to the candidate, or none at first, and bring its answer. _Failed if there is none."""
    try:
        if message is not None:
            candidate.send(message, run.deadline)
        answer = candidate.receive(run.deadline, MAX_FRAME)
    except (Deadline, Malformed) as error:
        raise _Failed(run.failure(candidate, error)) from None
    except (Hangup, OSError):
        raise _Failed(run.failure(candidate, Hangup())) from None
    if TOO_LONG in answer:
        raise _Failed(TestResult(Status.OUTPUT_LIMIT, f"an answer of {answer[TOO_LONG]} bytes"))
    if "x" in answer:
        raise _Failed(hint(answer))
    return answer
