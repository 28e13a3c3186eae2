"""What a judge is asked to keep to and what it answers."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import StrEnum

from ..errors import UserError


class Status(StrEnum):
    """What became of a program, or of one test of it. Only the host's own comparison gives the first two."""

    PASSED = "passed"
    WRONG_ANSWER = "wrong_answer"
    NO_ANSWER = "no_answer"
    """It ended without answering: it exited early, or defines no such function, or the tests never called it."""
    RUNTIME_ERROR = "runtime_error"
    COMPILE_ERROR = "compile_error"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    OUTPUT_LIMIT = "output_limit"
    KILLED = "killed"
    """A signal ended it: a crash, or a forbidden system call."""
    PROTOCOL_ERROR = "protocol_error"
    """It wrote something to its channel that is no answer."""
    SKIPPED = "skipped"
    """A test that was not run, because the time for all tests together was over."""
    BROKEN_TEST = "broken_test"
    """The test code failed before it called the program, whatever that is like: the reward is None."""
    UNSURE = "unsure"
    """It may be right, and the grader does not know: the reward is None, and the message says why."""
    INFRA_ERROR = "infra_error"
    """The sandbox failed, not the program: the reward is None."""
    SANDBOX_UNAVAILABLE = "sandbox_unavailable"
    """No sandbox could be started: the reward is None."""


UNSCORED = frozenset((Status.UNSURE, Status.INFRA_ERROR, Status.SANDBOX_UNAVAILABLE, Status.BROKEN_TEST))


class SandboxUnavailable(UserError):
    """Untrusted programs cannot be isolated on this machine; the message says what to do about it."""


@dataclass(frozen=True)
class Limits:
    """What one program may use. ValueError names the value that makes no sense.

    `wall_s` and `cpu_s` are for each test, that is for each input (assertions are one test), and `total_s` is of wall
    time for all tests together.
    `memory_mb` bounds the address space; the scratch folder lives in memory too and has its own bound.
    """

    wall_s: float = 10.0
    total_s: float = 60.0
    cpu_s: float = 4.0
    memory_mb: int = 512
    scratch_mb: int = 64
    output_kb: int = 1024
    threads: int = 64

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"Limits.{field.name} must be a number, not {value!r}")
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"Limits.{field.name} must be positive and finite, not {value!r}")
            if field.type == "int" and not isinstance(value, int):
                raise ValueError(f"Limits.{field.name} must be a whole number, not {value!r}")
        if self.memory_mb < 64:
            raise ValueError(f"Limits.memory_mb must be at least 64 for the interpreter itself, not {self.memory_mb}")


@dataclass(frozen=True)
class TestResult:
    """What became of one test. `message` and `got` are for a reader; `got` is the answer as Python would write it."""

    __test__ = False  # pytest: this is no test class

    status: Status
    message: str = ""
    got: str = ""


@dataclass(frozen=True)
class Verdict:
    """A judgement. `reward` is 1.0 or 0.0, a fraction where partial credit was asked for, or None if nobody knows.

    `suspicions` are signs of cheating, for a log and a metric; they never change the reward.
    """

    status: Status
    reward: float | None
    tests: tuple[TestResult, ...]
    cpu_s: float
    wall_s: float
    suspicions: tuple[str, ...]
    isolated: bool
    message: str = ""


def verdict_of(
    tests: tuple[TestResult, ...],
    *,
    partial: bool,
    cpu_s: float,
    wall_s: float,
    suspicions: tuple[str, ...],
    isolated: bool,
) -> Verdict:
    """The verdict on a program from the results of its tests, of which there is at least one.

    The status is that of the first test that did not pass, unless some test could not be judged at all.
    """
    unscored = [test for test in tests if test.status in UNSCORED]
    failed = [test for test in tests if test.status is not Status.PASSED]
    if unscored:
        reward, worst = None, unscored[0]
    elif failed:
        passed = sum(test.status is Status.PASSED for test in tests)
        reward, worst = (passed / len(tests) if partial else 0.0), failed[0]
    else:
        reward, worst = 1.0, tests[0]
    return Verdict(worst.status, reward, tests, cpu_s, wall_s, suspicions, isolated, worst.message)
