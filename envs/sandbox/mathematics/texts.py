"""Answers that are no mathematics: a choice by its letter, or words."""

from __future__ import annotations

import re

from .moments import moment
from .notation import clean
from .verdict import EQUAL, Verdict, different, unsure
from .words import BEFORE, one_spelling, words_of

_MARKS = re.compile(r"\\text\{|\\[a-zA-Z]+|[{}$*]")
_CHOICE = re.compile(r"\(? *(?:(?:the )?(?:answer|option|choice)(?: is)?:? *)?\(?([A-Za-z])\)?[).:]?\.?", re.IGNORECASE)
_BEGINS = re.compile(r"\(?([A-Z])[).:] ")
_LETTERED = re.compile(r"\(?([A-H])(?:\)|:) *\S")
_DATE = r"[0-9]{4}([-/.])[0-9]{1,2}\1[0-9]{1,2}|[0-9]{1,2}([-/.])[0-9]{1,2}\2[0-9]{4}"
_ORDINAL = r"[0-9]+ ?(?:st|nd|rd|th)"
_KINDS = words_of(
    """triangle function number integer quadrilateral polygon angle series sequence matrix shape curve line graph
    relation event events variable prism solid one ones"""
)
"""What an adjective may be said of: "an isosceles triangle" says isosceles."""
_NEGATIONS = frozenset(["not", "no", "never", "isnt", "isn't", "none", "neither", "nor", "or", "cannot"])


def plain(text: str) -> str:
    """`text` without commands, braces and marks. ValueError where it has characters that are not known."""
    text = re.sub(r"\\math(?:rm|bf|sf|it|tt) ?\{([A-H])\}", r"\\text{\1}", text)  # a letter here, and no set of numbers
    return re.sub(r" +", " ", _MARKS.sub(" ", clean(text))).strip()


def letter_of(expected: str) -> str | None:
    """The letter, where one capital alone is expected, in words or brackets."""
    found = re.fullmatch(r"\(?([A-Z])\)?", plain(expected))
    marked = "\\text" in expected or "\\math" in expected or "(" in expected
    return found[1] if found and (marked or found[1] in "ABCDE") else None


def same_choice(expected: str, answer: str, *, declared: bool = False) -> Verdict:
    """The letter, in brackets or with "option" before it. A small one is another, where it may be a symbol."""
    letter = letter_of(expected)
    declared |= "(" in expected
    said = plain(answer)
    found = _CHOICE.fullmatch(said)
    if found is not None:
        if declared and found[1].upper() == letter:
            return EQUAL
        marked = re.search(r"[():.]|option|choice|answer", said, re.IGNORECASE)
        return EQUAL if found[1] == letter or (marked and found[1].upper() == letter) else different("another letter")
    begins = _BEGINS.match(said)
    if begins is not None and begins[1] == letter and len(re.findall(r"(?<![A-Za-z])[A-Z](?![A-Za-z])", said)) == 1:
        return unsure("words stand behind the letter")
    return different("it is not the letter of a choice")


def same_letters(expected: str, answer: str) -> bool:
    """Whether several choices are expected (AC), and the answer lists them: "A and C", "A, C"."""
    known, said = plain(expected), re.sub(r"\band\b|[,;&()]", " ", plain(answer)).split()
    alone = re.fullmatch(r"[A-H]{2,5}", known) and sorted(set(known)) == list(known)
    return bool(alone) and len(said) > 1 and sorted(said) == list(known)


def is_text(expected: str) -> bool:
    """Whether it is a date, or a number of an order, which calculation would make something else of."""
    said = plain(expected)
    found = moment(said)
    return re.fullmatch(rf"{_DATE}|{_ORDINAL}", said, re.IGNORECASE) is not None or (
        found is not None and found[0] == "date"
    )


def same_text(expected: str, answer: str) -> Verdict:
    """The same words, whatever their capitals, articles and stops."""
    known, given = one_spelling(plain(expected)), one_spelling(plain(answer))
    if not known:
        return Verdict("no_expected")
    lettered, letter = _LETTERED.match(plain(expected)), _CHOICE.fullmatch(plain(answer))
    if lettered and letter:
        return EQUAL if letter[1].upper() == lettered[1] else different("another letter")
    spaced = re.fullmatch(r"(?:[a-zA-Z] )+[a-zA-Z]", plain(answer)) is not None  # a product of letters
    if known == given and not spaced:
        return EQUAL if len(known) > 1 or plain(expected) == plain(answer) else different("another letter")
    words = given.split()
    while words and words[0] in BEFORE and " ".join(words) != known:
        words = words[1:]
    if " ".join(words) == known and not spaced:
        return EQUAL
    if re.fullmatch(
        rf"\s*(?:it|this|the [A-Za-z]+) {re.escape(known)}", re.sub(r"[.!\s]+$", "", plain(answer)).lower()
    ):
        return EQUAL
    if words and words[-1] in _KINDS and " ".join(words[:-1]) == known:
        return EQUAL
    if f" {known} " in f" {given} " and len(known) > 1 and not _NEGATIONS & (set(given.split()) - set(known.split())):
        return unsure("other words stand beside it")
    return different("other words")
