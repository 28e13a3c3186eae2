"""Every mistake of the corpus is said before the first step, so that a stranger can mend it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from corpus import CORPUS
from harness import Maker, Verdict
from mistake_cases import Case

SAMPLED = ("world", "model", "role", "data", "run")  # classes of which CI makes one mistake in four


def _marks(class_: str, number: int, case: Case) -> list[pytest.MarkDecorator]:
    if class_ in SAMPLED and number % 4:
        return [pytest.mark.exhaustive]
    return [pytest.mark.slow] if case.slow else []


ALL = [
    pytest.param(case, id=f"{class_}-{case.name}", marks=_marks(class_, number, case))
    for class_, cases in CORPUS.items()
    for number, case in enumerate(cases)
]
ONE_LINE = "error: "


def _can_be_rehearsed(param: Any) -> bool:
    (case,) = param.values
    waits_for_more = case.argv[-1].startswith("--")  # it would take --dry-run for its value
    return case.argv[0] == "run" and case.exits == (2,) and "--dry-run" not in case.argv and not waits_for_more


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Maker]:
    with Maker(tmp_path_factory.mktemp("mistakes")) as one:
        yield one


@pytest.mark.parametrize("case", ALL)
def test_a_stranger_can_mend_it(case: Case, maker: Maker) -> None:
    verdict = maker.make(case)
    assert verdict.good, str(verdict)
    _in_one_voice(verdict)


@pytest.mark.exhaustive
@pytest.mark.parametrize("case", [param for param in ALL if _can_be_rehearsed(param)])
def test_a_rehearsal_says_the_same(case: Case, maker: Maker) -> None:
    verdict, rehearsed = maker.make(case), maker.make(case, "--dry-run")
    assert (rehearsed.exit, _mistake(rehearsed)) == (verdict.exit, _mistake(verdict))


def _mistake(verdict: Verdict) -> str:
    """What is said from the mistake on: a run has named its device before. Each case has a folder of its own, whose
    name may stand there."""
    said = verdict.err[verdict.err.index(ONE_LINE) :]
    return re.sub(rf"\S*/\d{{4}}-{re.escape(verdict.case.name.replace('.', '-'))}", "FOLDER", said)


def _in_one_voice(verdict: Verdict) -> None:
    """A user's mistake is the last thing that is said, behind `error: `, with nothing that only a programmer reads."""
    if verdict.exit == 2:
        assert re.search(rf"^{ONE_LINE}", verdict.err, re.M), verdict.err
        assert "pydantic" not in verdict.err


def test_no_two_cases_of_a_class_have_one_name() -> None:
    for cases in CORPUS.values():
        names = [case.name for case in cases]
        assert len(names) == len(set(names))
