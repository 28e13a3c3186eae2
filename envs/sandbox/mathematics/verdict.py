"""What the grader answers, and the two ways in which an answer leaves it without one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

KINDS = (
    "number",
    "exact",
    "approximate",
    "expression",
    "equation",
    "set",
    "tuple",
    "interval",
    "unit",
    "choice",
    "text",
)  # of expected answers
Word = Literal["equal", "different", "no_answer", "unsure", "no_expected"]


class Doubtful(ValueError):
    """The answer denies or doubts what it says, or says several things; the message says which."""


class Unsure(ValueError):
    """The answer may say something that this grammar does not know; the message says what."""


@dataclass(frozen=True)
class Verdict:
    """`word` and, wherever it is not "equal", the reason."""

    word: Word
    reason: str = ""

    def __bool__(self) -> bool:
        return self.word == "equal"


EQUAL = Verdict("equal")


def different(reason: str) -> Verdict:
    """It is wrong."""
    return Verdict("different", reason)


def unsure(reason: str) -> Verdict:
    """It may be right."""
    return Verdict("unsure", reason)


def both(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on a whole from those on its parts: the first that is different, else the first unsure one."""
    doubt = EQUAL
    for verdict in verdicts:
        if verdict.word not in ("equal", "unsure"):
            return verdict
        doubt = verdict if verdict.word == "unsure" and doubt else doubt
    return doubt
