"""Answers in text: where an answer stands in a reply, and which rational number it is, exactly.

    "... so \\boxed{\\frac{3}{4}}"  →  one tag, "\\frac{3}{4}"  →  Fraction(3, 4)

Spelling is strict: ASCII digits without leading zeros, an optional minus, thousands commas only where they
belong, and fractions in lowest terms (`12/8`, `5/1`, `-0`, `007`, `1e3` and `3.50` are no answers). An agent
can therefore not answer "84/12" with the question itself. Nothing is evaluated, and every step is linear in
the length of the reply, which is capped.

Left out: decimals, roots, symbolic mathematics (see `grading.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

AnswerTag = Literal["boxed", "answer", "number"]
ANSWER_TAGS: tuple[AnswerTag, ...] = ("boxed", "answer", "number")
WANTED: dict[AnswerTag, str] = {
    "boxed": "Give the final answer inside \\boxed{}.",
    "answer": "Give the final answer between <answer> and </answer>.",
    "number": "Answer with just the number.",
}

MAX_REPLY = 65_536  # characters; a longer reply holds no answer
MAX_ANSWER = 160  # characters between the tags; keeps `int()` cheap

_WHOLE = r"(?:0|[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]*)"
_RATIONAL = re.compile(rf"(-?)(?:({_WHOLE})(?:/({_WHOLE}))?|\\d?frac\{{({_WHOLE})\}}\{{({_WHOLE})\}})")
_MINUS = "\\-\u2212\u2010\u2011\u2012\u2013\ufe63\uff0d"
# \w is Unicode on purpose: "1５7" is one word that is no number, not "1" and "7". Signs and powers belong to the word.
_WORD = re.compile(rf"(?:\\[dtc]?frac\{{[^{{}}]{{0,80}}\}}\{{[^{{}}]{{0,80}}\}}|[\w.,/^{_MINUS}])+")
# What stands before a number and makes it a part of something else: 40 + 2, - 5, 2^{10}, \sqrt{16}, f(5), 3:30, 1 234.
_BEFORE = re.compile(
    rf"(?:[+/^_√<≤≥≠×÷·{_MINUS}]|(?:[0-9)\]}}]|\b[a-zA-Z]) ?\*+| >"
    r"|\\(?:cdot|times|div|le|ge|lt|gt|leq|geq|ne|neq|pm)) ?[{(\[]*$"
    r"|(?:sqrt|log|ln|sin|cos|tan)[ {(]*$|\w\($|[0-9]:$|[0-9][ \u00a0\u2009\u202f]$|[0-9](?:\\[,;:! ]|\{,\})$"
)
# What stands behind it and does: 5 + x, 5%, 5 million.
_BEHIND = re.compile(
    rf" ?(?:\\?%|[+/×÷·^]|[{_MINUS}] ?[\w(](?!\w)|\\(?:cdot|times|div|pm|%)"
    r"|(?:percent|hundred|thousand|million|billion|dozen)\b)"
)
_BOX = re.compile(r"\\(?:f|frame|c)?box(?:ed)?(?![a-zA-Z])", re.IGNORECASE)
_TAG = {end: re.compile(rf"<[ \t]?{end}[ \t]?answer[ \t]?>", re.IGNORECASE) for end in ("", "/")}
_NEAR = 48  # characters on each side that may change what a number says
_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Found:
    """The last answer in a reply, and how many there were."""

    text: str | None  # None: there is none that could be read
    count: int


def find_answer(reply: str, tag: AnswerTag, *, longest: int = MAX_ANSWER) -> Found:
    """The last answer in `reply`: in `\\boxed{…}`, in `<answer>…</answer>`, or the last word with a digit.

    For "number", `count` is 1 wherever there is any number: words around it are allowed. A number that is part of
    something else ("40 + 2", "- 5", "2^{10}", "1 234", "5%") is no answer. Other answers may have `longest` characters;
    `count` takes in what a reader would take for another one, as in `\\boxed {8}` and `<Answer>8</Answer>`.
    """
    if len(reply) > MAX_REPLY:
        return Found(None, 0)
    if tag == "boxed":
        count = reply.count("\\boxed{") and len(_BOX.findall(reply))
        start = reply.rfind("\\boxed{") + len("\\boxed{")
        return Found(_balanced(reply[start : start + longest + 1]) if count else None, count)
    if tag == "answer":
        count = max(len(_TAG[end].findall(reply)) for end in ("", "/"))
        _, opened, rest = reply.rpartition("<answer>")
        inside, closed, _ = rest[: longest + len("</answer>")].partition("</answer>")
        return Found(inside.strip() if opened and closed else None, count)
    last = None
    for found in _WORD.finditer(reply):
        if any(character.isdigit() for character in found[0]):
            last = found
    return Found(None, 0) if last is None else Found(_alone(reply, last), 1)


def _alone(reply: str, found: re.Match[str]) -> str | None:
    """The number, with an ASCII minus; None where what stands beside it changes what it says."""
    before = reply[max(0, found.start() - _NEAR) : found.start()]
    if _BEFORE.search(before) or _BEHIND.match(reply[found.end() : found.end() + _NEAR]):
        return None
    return found[0].rstrip(".,").replace("\u2212", "-")


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
