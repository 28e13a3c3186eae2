"""The grader on an answer as it is written; where that is not right, without its frame, and with its words as signs.

    judge("84", "So the answer is **84**.")          →  equal
    judge("x > 3", "all x greater than 3")           →  equal
    judge("7/2", "7/2 (or 3.5)")                     →  equal, for both are

Every reading says what the answer says; so one that is right is enough.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from .framing import last_sentence, lead_off, markup_off, noun_off, restated, unboxed
from .grader import as_written
from .moments import moment
from .phrasing import measured, modulo, rephrased
from .texts import plain
from .verdict import EQUAL, Doubtful, Verdict, both, different


def judge(expected: str, answer: str, kind: str | None = None, tolerance: str | None = None) -> Verdict:
    """The verdict on `answer`. `kind` is one of `KINDS` where the notation does not say it; `tolerance` a decimal."""
    first = as_written(expected, answer, kind, tolerance)
    if first or (first.word == "no_expected" and _moment(expected) is None):
        return first
    verdict = first
    wanted = [expected] if kind is not None or measured(expected) == expected else [expected, measured(expected)]
    try:
        for reading in _readings(expected, answer):
            for known, parts in itertools.product(wanted, ([reading], restated(reading))):
                verdict = both([_one(known, part, kind, tolerance) for part in parts])
                if verdict:
                    return verdict
    except Doubtful as doubt:
        return different(str(doubt))
    return first if verdict.word == "no_answer" else verdict


def _one(expected: str, answer: str, kind: str | None, tolerance: str | None) -> Verdict:
    if kind in (None, "text"):
        when, said = _moment(expected), _moment(answer)
        if when is not None and said is not None:
            return EQUAL if when == said else different("another date or time")
    if "mod" in expected:
        expected, answer = modulo(expected), modulo(answer)
    return as_written(expected, answer, kind, tolerance)


def _moment(text: str):
    try:
        return moment(plain(text))
    except ValueError:
        return None


def _readings(expected: str, answer: str) -> Iterator[str]:
    """What `answer` says, with less and less around it. Doubtful where it says several things."""
    said: set[str] = set()
    text = markup_off(answer)
    led = False
    counted = re.search(r"[A-Za-z]{2,}|[$£€¥%°]", re.sub(r"\\(?:[dt]?frac|sqrt|pi|cdot|left|right)", "", expected))
    for reduce in (str.strip, unboxed, last_sentence, lead_off, noun_off):
        before, text = text, reduce(text) if reduce is not noun_off or (led and not counted) else text
        led = reduce is lead_off and text != before
        for reading in (text, rephrased(expected, text)):
            if reading not in said:
                said.add(reading)
                yield reading
