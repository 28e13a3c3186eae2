"""Expressions are compared by a parser in a process that can be killed; nothing is evaluated."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import pytest

from peripatos.envs.errors import UserError
from peripatos.envs.sandbox.maths import MathsJudge

pytest.importorskip("math_verify", reason="the extra peripatos[maths] is not installed")

ANSWERS = json.loads(Path(__file__).with_name("maths_answers.json").read_text(encoding="utf-8"))
JUDGED = json.loads(Path(__file__).with_name("maths_answers_judged.json").read_text(encoding="utf-8"))
FRESH = json.loads(Path(__file__).with_name("maths_answers_fresh.json").read_text(encoding="utf-8"))
SLOW = "e^{e^{e^{e^{5}}}}"


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


def test_a_tower_of_powers_is_refused_without_being_worked_out(judge: MathsJudge) -> None:
    began = time.monotonic()
    assert judge.compare("7", "9^{9^{9^9}}").status == "wrong_answer"
    assert judge.compare("x", "9^{9^{9^9}}").status == "no_answer"
    assert judge.compare("7", "(" * 300).status == "no_answer"
    assert time.monotonic() - began < 55


def test_a_slow_answer_costs_its_time_limit_and_holds_up_no_other() -> None:
    with MathsJudge(wall_s=5, workers=2) as judge, ThreadPoolExecutor(1) as pool:
        for worker in judge._workers:
            worker.process = worker._start()  # starting takes seconds, which are not what is tried here
        slow = pool.submit(judge.compare, r"\sqrt2", SLOW)
        time.sleep(0.3)
        assert judge.compare(r"\frac12", "0.5").status == "passed"
        assert not slow.done()
        assert slow.result().status == "time_limit"
        assert judge.compare("7", "7").status == "passed"


def test_a_killed_worker_is_replaced(judge: MathsJudge) -> None:
    assert judge.compare("1", "1").status == "passed"
    for worker in judge._workers:
        if worker.process is not None:
            os.kill(worker.process.pid, signal.SIGKILL)
    assert judge.compare("1", "1").status == "passed"


def test_crafted_wrong_answers_are_refused_and_right_ones_accepted(judge: MathsJudge) -> None:
    found = {
        key: [(row["expected"], row["answer"], judge.compare(row["expected"], row["answer"])) for row in ANSWERS[key]]
        for key in ("wrong", "right")
    }
    assert not [row for row in found["wrong"] if row[2].status in ("passed", "infra_error", "time_limit")]
    assert not [row for row in found["right"] if row[2].status != "passed"]


@pytest.mark.parametrize("key", [pytest.param("wrong", marks=pytest.mark.slow), "right", "by rule not accepted"])
def test_answers_that_were_judged_by_hand_before_the_grader_saw_them(judge: MathsJudge, key: str) -> None:
    """In the first run 3 of 473 wrong ones were accepted, and 18 of 392 right ones were not. Nine of these are not by a
    rule that is stated: work left to be done, a unit that is missing, an equation that is not solved.
    """
    mistakes = []
    for row in JUDGED[key]:
        stated = {name: row[name] for name in ("kind", "tolerance") if name in row}
        result = judge.compare(row["expected"], row["answer"], **stated)
        if (result.status == "passed") != (key == "right") or result.status in ("infra_error", "time_limit"):
            mistakes.append((row["expected"], row["answer"], result))
    assert not mistakes


@pytest.mark.parametrize("key", ["wrong", "right", "by rule not accepted"])
def test_a_share_of_answers_as_three_people_write_them(judge: MathsJudge, key: str) -> None:
    """A teacher, a solver with LaTeX, and a language model that talks. Each was written before the grader saw it."""
    found = [(row["expected"], row["answer"], judge.compare(row["expected"], row["answer"])) for row in FRESH[key]]
    assert not [row for row in found if (row[2].status == "passed") != (key == "right")]


@pytest.mark.parametrize(
    ("expected", "answer", "status"),
    [
        ("84", "83 or \\boxed{84}", "wrong_answer"),
        ("84", "It is not \\boxed{84}.", "wrong_answer"),
        ("84", "-\\boxed{84}", "wrong_answer"),
        ("84", "1\\boxed{84}", "wrong_answer"),
        ("84", "\\boxed{84}5", "wrong_answer"),
        ("84", "\\boxed{83} \\boxed{84}", "wrong_answer"),
        ("84", "x = 83\nx = 84", "wrong_answer"),
        ("84", "The answer is 83.\nSo the answer is 84.", "wrong_answer"),
        ("84", "84 (85)", "wrong_answer"),
        ("84", "\u274c 84", "no_answer"),
        ("84", "Die Antwort ist nicht 84", "unsure"),
        ("84", "La respuesta no es 84", "wrong_answer"),
    ],
)
def test_a_frame_is_taken_off_only_where_it_holds_no_doubt_and_no_second_answer(
    judge: MathsJudge, expected: str, answer: str, status: str
) -> None:
    result = judge.compare(expected, answer)
    assert result.status != "passed", (result, status)


@pytest.mark.parametrize("key", ["wrong", "right"])
def test_what_is_expected_is_always_a_right_answer(judge: MathsJudge, key: str) -> None:
    refused = [row["expected"] for row in ANSWERS[key] if judge.compare(*[row["expected"]] * 2).status != "passed"]
    assert not refused


@pytest.mark.parametrize(
    ("expected", "answer", "words"),
    [
        (r"5\text{ km}", "5", "names none"),
        (r"50\%", "50", "percent"),
        ("3.14", r"\pi", "no tolerance"),
        ("2", r"2\text{ falsch}", "unknown words"),
        ("y=2x+1", "y-2x=1", "not solved"),
        ("x=1,y=2", "(1,2)", "without the names"),
    ],
)
def test_unsure_is_told_with_a_reason(judge: MathsJudge, expected: str, answer: str, words: str) -> None:
    result = judge.compare(expected, answer)
    assert (result.status, words in result.message) == ("unsure", True), result


def test_what_cannot_be_right_is_never_only_unsure(judge: MathsJudge) -> None:
    for expected, answer in ((r"5\text{ km}", "6"), (r"50\%", "51"), ("3.14", r"\sqrt{2}"), ("2", r"3\text{ falsch}")):
        assert judge.compare(expected, answer).status == "wrong_answer"


@pytest.mark.parametrize(
    ("expected", "answer", "kind", "tolerance", "status"),
    [
        ("3.14", r"\pi", "approximate", None, "passed"),
        ("3.14", "3.146", "approximate", None, "wrong_answer"),
        ("100", "104", "approximate", 5, "passed"),
        ("100", "106", "approximate", 5, "wrong_answer"),
        ("2^{10}", "2^{10}", "number", None, "wrong_answer"),
        ("2^{10}", "1024", "number", None, "passed"),
        ("(1,2)", "1<x<2", "tuple", None, "wrong_answer"),
        ("(1,2)", "1<x<2", "interval", None, "passed"),
        ("x=5", "5", "equation", None, "wrong_answer"),
        (r"5\text{ km}", "5000 m", "unit", None, "wrong_answer"),
        ("1,234", "234, 1", "set", None, "passed"),
        ("Paris", "paris", "text", None, "passed"),
        ("B", "(B)", "choice", None, "passed"),
    ],
)
def test_a_declared_kind_is_kept_to(
    judge: MathsJudge, expected: str, answer: str, kind: str, tolerance: float | None, status: str
) -> None:
    assert judge.compare(expected, answer, kind=kind, tolerance=tolerance).status == status


def test_numbers_are_compared_exactly(judge: MathsJudge) -> None:
    chance = random.Random(0)
    for _ in range(40):
        value = Fraction(chance.randint(-(10**30), 10**30), 10 ** chance.randint(0, 60))
        if value.denominator == 1:
            continue
        spelled = rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
        near = rf"\frac{{{value.numerator + 1}}}{{{value.denominator}}}"
        assert judge.compare(spelled, spelled).status == "passed"
        assert judge.compare(spelled, near).status == "wrong_answer"


def test_an_expected_answer_that_is_no_mathematics_is_the_users_mistake(judge: MathsJudge) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        judge.compare("", "7")
    with pytest.raises(ValueError, match="cannot be read as set"):
        judge.compare("(1, 2", "7", kind="set")
    with pytest.raises(UserError, match="Did you mean 'number'"):
        judge.compare("1", "1", kind="nmber")
    with pytest.raises(UserError, match="tolerance"):
        judge.compare("1", "1", tolerance=-1)
    for options, words in (({"wall_s": 0}, "above 0"), ({"workers": 0}, "1 or greater")):
        with pytest.raises(UserError, match=words):
            MathsJudge(**options)
