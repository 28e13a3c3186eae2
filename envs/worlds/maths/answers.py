"""Answers in text: where an answer stands in a reply, and which rational number it is, exactly.

    "... so \\boxed{\\frac{3}{4}}"  →  one tag, "\\frac{3}{4}"  →  Fraction(3, 4)

Spelling is strict: ASCII digits without leading zeros, an optional minus, thousands commas only where they
belong, and fractions in lowest terms (`12/8`, `5/1`, `-0`, `007`, `1e3` and `3.50` are no answers). An agent
can therefore not answer "84/12" with the question itself. Nothing is evaluated, and every step is linear in
the length of the reply, which is capped.

Left out: decimals, roots, symbolic mathematics.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

AnswerTag = Literal["boxed", "answer", "number"]
ANSWER_TAGS: tuple[AnswerTag, ...] = ("boxed", "answer", "number")

MAX_REPLY = 65_536  # characters; a longer reply holds no answer
MAX_ANSWER = 160  # characters between the tags; keeps `int()` cheap

_WHOLE = r"(?:0|[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]*)"
_RATIONAL = re.compile(rf"(-?)(?:({_WHOLE})(?:/({_WHOLE}))?|\\d?frac\{{({_WHOLE})\}}\{{({_WHOLE})\}})")
_WORD = re.compile(r"[\w.,/\-]+")  # \w is Unicode on purpose: "1５7" is one word that is no number, not "1" and "7"
_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Found:
    """The last answer in a reply, and how many there were."""

    text: str | None  # None: there is none that could be read
    count: int


def find_answer(reply: str, tag: AnswerTag) -> Found:
    """The last answer in `reply`: in `\\boxed{…}`, in `<answer>…</answer>`, or the last word with a digit.

    For "number", `count` is 1 wherever there is any number: words around it are allowed.
    """
    if len(reply) > MAX_REPLY:
        return Found(None, 0)
    if tag == "boxed":
        count = reply.count("\\boxed{")
        start = reply.rfind("\\boxed{") + len("\\boxed{")
        return Found(_balanced(reply[start : start + MAX_ANSWER + 1]) if count else None, count)
    if tag == "answer":
        count = max(reply.count("<answer>"), reply.count("</answer>"))
        _, opened, rest = reply.rpartition("<answer>")
        inside, closed, _ = rest[: MAX_ANSWER + len("</answer>")].partition("</answer>")
        return Found(inside.strip() if opened and closed else None, count)
    for word in reversed(_WORD.findall(reply)):
        if any(character.isdigit() for character in word):
            return Found(word.rstrip(".,"), 1)
    return Found(None, 0)


def _balanced(text: str) -> str | None:
    """What stands before the brace that closes one opened just before `text`."""
    depth = 1
    for position, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return text[:position].strip()
    return None


def parse_rational(text: str) -> Fraction | None:
    """The number that `text` spells: `-12`, `1,234`, `3/4`, `\\frac{3}{4}`; None if it is not spelled so."""
    match = _RATIONAL.fullmatch(text) if len(text) <= MAX_ANSWER else None
    if match is None:
        return None
    sign, whole, under, above, below = match.groups()
    numerator = int((whole or above).replace(",", ""))
    denominator = int((under or below or "1").replace(",", ""))
    if denominator == 0:
        return None
    value = Fraction(numerator, denominator)
    spelled_as_fraction = under is not None or below is not None
    reduced = value.denominator == denominator and (denominator > 1 or not spelled_as_fraction)
    if not reduced or (sign and numerator == 0):
        return None
    return -value if sign else value


def spell(value: Fraction, *, reverse: bool = False) -> str:
    """The plain spelling of `value`. With `reverse`, each run of digits begins with its least significant."""
    return reverse_digits(str(value)) if reverse else str(value)


def reverse_digits(text: str) -> str:
    """`text` with every run of ASCII digits read backwards: "-157/20" ↔ "-751/02"."""
    return _DIGITS.sub(lambda run: run.group()[::-1], text)


def wrap(answer: str, tag: AnswerTag) -> str:
    """`answer` in the wanted form."""
    return {"boxed": f"\\boxed{{{answer}}}", "answer": f"<answer>{answer}</answer>", "number": answer}[tag]
