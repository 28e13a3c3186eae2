"""Expressions are compared by a parser in a process that can be killed; nothing is evaluated."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from peripatos.envs.errors import UserError
from peripatos.envs.sandbox.maths import MathsJudge

pytest.importorskip("math_verify", reason="the extra peripatos[maths] is not installed")


@pytest.fixture(scope="module")
def judge() -> Iterator[MathsJudge]:
    with MathsJudge(wall_s=20) as judge:  # generous: the machine may be busy, and nothing here is slow
        yield judge


@pytest.mark.parametrize(
    ("expected", "answer", "status"),
    [
        (r"\frac{1}{2}", "0.5", "passed"),
        (r"\frac12", "1/2", "passed"),
        (r"2\sqrt{2}", r"\sqrt{8}", "passed"),
        ("x^2+2x+1", "(x+1)^2", "passed"),
        ("x^2+2x+1", "(x+1)^3", "wrong_answer"),
        (r"\{1,2\}", r"\{2,1\}", "passed"),
        ("1000", "1,000", "passed"),
        ("3", "4", "wrong_answer"),
        ("(1,2)", "(2,1)", "wrong_answer"),
        ("0.5", "0.501", "wrong_answer"),
        ("7", "", "no_answer"),
        ("7", "7" * 3000, "no_answer"),
    ],
)
def test_expressions_are_compared_as_mathematics(judge: MathsJudge, expected: str, answer: str, status: str) -> None:
    assert judge.compare(expected, answer).status == status


def test_an_answer_is_never_run_as_python(judge: MathsJudge, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for answer in (f"open('{mark}','w')", f"__import__('os').system('touch {mark}')", "().__class__.__bases__"):
        assert judge.compare("7", answer).status != "passed"
    assert not mark.exists()


def test_a_pathological_answer_costs_its_time_limit_and_not_the_run() -> None:
    with MathsJudge(wall_s=1) as judge:
        began = time.monotonic()
        assert judge.compare("7", "9^{9^{9^9}}").status == "time_limit"
        assert time.monotonic() - began < 40
        assert judge._worker is None
    with MathsJudge(wall_s=20) as judge:
        assert judge.compare("7", "(" * 300).status == "no_answer"
        assert judge.compare("7", "7").status == "passed"


def test_a_killed_worker_is_replaced(judge: MathsJudge) -> None:
    assert judge.compare("1", "1").status == "passed"
    assert judge._worker is not None
    os.kill(judge._worker.pid, signal.SIGKILL)
    assert judge.compare("1", "1").status == "passed"


def test_an_expected_answer_that_is_no_mathematics_is_the_users_mistake(judge: MathsJudge) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        judge.compare("", "7")
    with pytest.raises(UserError, match="positive"):
        MathsJudge(wall_s=0)
