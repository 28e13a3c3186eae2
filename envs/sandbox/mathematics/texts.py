"""Answers that are no mathematics: a choice by its letter, or words."""

from __future__ import annotations

import re

from .notation import clean
from .verdict import EQUAL, Verdict, different, unsure
from .words import BEFORE, one_spelling

_MARKS = re.compile(r"\\text\{|\\[a-zA-Z]+|[{}$*]")
_CHOICE = re.compile(r"\(? *(?:(?:the )?(?:answer|option|choice)(?: is)?:? *)?\(?([A-Za-z])\)?[).:]?\.?", re.IGNORECASE)
_BEGINS = re.compile(r"\(?([A-Z])[).:] ")
_NEGATIONS = frozenset(["not", "no", "never", "isnt", "isn't", "none", "neither", "nor", "or", "cannot"])


def plain(text: str) -> str:
    """`text` without commands, braces and marks. ValueError where it has characters that are not known."""
    return re.sub(r" +", " ", _MARKS.sub(" ", clean(text))).strip()


def letter_of(expected: str) -> str | None:
    """The letter, where one capital alone is expected, in words or brackets."""
    found = re.fullmatch(r"\(?([A-Z])\)?", plain(expected))
    marked = "\\text" in expected or "\\math" in expected or "(" in expected
    return found[1] if found and (marked or found[1] in "ABCDE") else None


def same_choice(expected: str, answer: str, *, declared: bool = False) -> Verdict:
    """The letter, in brackets or with "option" before it. A small one is another, unless a choice is declared."""
    letter = letter_of(expected)
    said = plain(answer)
    found = _CHOICE.fullmatch(said)
    if found is not None:
        if declared and found[1].upper() == letter:
            return EQUAL
        return EQUAL if found[1] == letter else different("another letter")
    begins = _BEGINS.match(said)
    if begins is not None and begins[1] == letter and len(re.findall(r"(?<![A-Za-z])[A-Z](?![A-Za-z])", said)) == 1:
        return unsure("words stand behind the letter")
    return different("it is not the letter of a choice")


def same_text(expected: str, answer: str) -> Verdict:
    """The same words, whatever their capitals, articles and stops."""
    known, given = one_spelling(plain(expected)), one_spelling(plain(answer))
    if not known:
        return Verdict("no_expected")
    spaced = re.fullmatch(r"(?:[a-zA-Z] )+[a-zA-Z]", plain(answer)) is not None  # a product of letters
    if known == given and not spaced:
        return EQUAL if len(known) > 1 or plain(expected) == plain(answer) else different("another letter")
    words = given.split()
    while words and words[0] in BEFORE and " ".join(words) != known:
        words = words[1:]
    if " ".join(words) == known and not spaced:
        return EQUAL
    if f" {known} " in f" {given} " and len(known) > 1 and not _NEGATIONS & (set(given.split()) - set(known.split())):
        return unsure("other words stand beside it")
    return different("other words")
