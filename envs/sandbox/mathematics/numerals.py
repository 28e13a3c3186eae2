"""Numerals, exactly: digits with separators, points, periods and exponents, and numbers in words.

read_number("1,234.5 apples", 0)   →  1234.5, and where it ends
spoken(["twenty", "one"])          →  21
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

MAX_DIGITS = 1000
_MAX_EXPONENT = 400

_PLAIN = r"[0-9]+"
_SPACED = r"[1-9][0-9]{0,2}(?:(?: [0-9]{3})+|(?:'[0-9]{3})+)(?![0-9])"
_COMMAS = r"[1-9][0-9]{0,2}(?:(?:,[0-9]{3})+|(?:\{,\}[0-9]{3})+)(?![0-9]|,[0-9])"
_GUARDED = r"[1-9][0-9]{0,2}(?:\{,\}[0-9]{3})+(?![0-9]|\{,\})"
_REST = (
    r"(?P<point>(?:\.|\{,\})(?!\.)(?P<fixed>[0-9]*)"
    r"(?:\\(?:overline|bar) ?\{(?P<barred>[0-9]+)\}|(?P<dotted>(?:\\dot ?\{?[0-9]\}?[0-9]*)+)"
    r"|\((?P<bracketed>[0-9]+)\))?)?"
    r"(?P<dots>\.\.+| ?\\dots)?"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,4})(?![0-9.]))?"
)
_NUMBER = re.compile(rf"(?P<whole>{_GUARDED}|{_SPACED}|{_PLAIN}|(?=\.[0-9\\])){_REST}")
_WITH_COMMAS = re.compile(rf"(?P<whole>{_COMMAS}|{_GUARDED}|{_SPACED}|{_PLAIN}|(?=\.[0-9\\])){_REST}")

_UNITS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen"""
_ONES = {word: number for number, word in enumerate(_UNITS.split())}
_TENS = {
    word: 10 * number
    for number, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)
}
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {"half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7}
_PARTS |= {"eighth": 8, "ninth": 9, "tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13}
_PARTS |= {"fourteenth": 14, "fifteenth": 15, "sixteenth": 16, "seventeenth": 17, "eighteenth": 18, "nineteenth": 19}
_PARTS |= {"twentieth": 20, "thirtieth": 30, "fortieth": 40, "fiftieth": 50, "hundredth": 100, "thousandth": 1000}
_PARTS |= {f"{word}s": number for word, number in _PARTS.items() if word not in ("half", "halves")}
NUMBER_WORDS = frozenset((*_ONES, *_TENS, *SCALES, "hundred", "dozen"))
PART_WORDS = frozenset(_PARTS)


@dataclass(frozen=True)
class Numeral:
    """A number as it is written. `places` are the digits after the point, None where they repeat for ever."""

    value: Fraction
    places: int | None = 0
    unfinished: bool = False  # "3.14…": what follows is not said


def read_number(text: str, start: int, *, commas: bool = False) -> tuple[Numeral | None, int]:
    """The number that begins at `start` and where it ends; None and `start` if none does.

    With `commas`, groups of three may be set off by commas. ValueError for more digits than anyone writes.
    """
    found = (_WITH_COMMAS if commas else _NUMBER).match(text, start)
    if found is None or found.end() == start:
        return None, start
    if found.end() - start > MAX_DIGITS:
        raise ValueError(f"a number of more than {MAX_DIGITS} digits")
    whole = re.sub(r"[^0-9]", "", found["whole"]) or "0"
    fixed, period = found["fixed"] or "", found["barred"] or found["bracketed"] or ""
    if found["dotted"]:
        marks = found["dotted"].replace("{", "").replace("}", "").replace(" ", "").split("\\dot")
        digits = "".join(marks)
        last = sum(map(len, marks[:-1]))  # the period ends with the last dotted digit
        period = digits[: last + 1]
        if len(digits) > last + 1:
            return None, start
    if found["dots"]:
        fixed, period = _period(fixed) or (fixed, period)
    value = Fraction(int(whole)) + (Fraction(int(fixed), 10 ** len(fixed)) if fixed else 0)
    if period:
        value += Fraction(int(period), (10 ** len(period) - 1) * 10 ** len(fixed))
    exponent = int(found["exponent"] or 0)
    if abs(exponent) > _MAX_EXPONENT:
        raise ValueError(f"an exponent beyond {_MAX_EXPONENT}")
    places = None if period else len(fixed) - exponent
    return Numeral(value * Fraction(10) ** exponent, places, bool(found["dots"]) and not period), found.end()


def _period(digits: str) -> tuple[str, str] | None:
    """What stands fixed and what repeats in digits that are followed by dots; None unless it is plain to see."""
    for length in (1, 2, 3, 6):
        block, count = digits[-length:], 0
        while len(block) == length and digits.endswith(block * (count + 1)):
            count += 1
        if length * count >= 3 and count >= (3 if length == 1 else 2) and length * count >= len(digits) - 2:
            return digits[: len(digits) - length * count], block
    return None


def spoken(words: list[str]) -> Fraction | None:
    """The number that English words spell ("two hundred and five", "three quarters"); None if they spell none."""
    if words and words[0] in ("minus", "negative"):
        value = spoken(words[1:])
        return None if value is None else -value
    if words and words[-1] in _PARTS:
        return _part(words)
    if "point" in words:
        place = words.index("point")
        whole, digits = spoken(words[:place]), [_ONES.get(word, 10) for word in words[place + 1 :]]
        if whole is None or not digits or max(digits) > 9:
            return None
        return whole + Fraction(int("".join(map(str, digits))), 10 ** len(digits))
    return _whole(words)


def _part(words: list[str]) -> Fraction | None:
    """Two thirds; one and two thirds, but not "two hundred and three quarters", which is two numbers."""
    joined = len(words) - 1 - words[::-1].index("and") if "and" in words else 0
    if joined:
        whole, part = spoken(words[:joined]), spoken(words[joined + 1 :])
        plain = whole is not None and whole.denominator == 1 and words[joined - 1] in _ONES.keys() | _TENS.keys()
        return whole + part if whole is not None and part is not None and plain and 0 < part < 1 else None
    above = Fraction(1) if words[:-1] in ([], ["a"], ["one"]) else spoken(words[:-1])
    return None if above is None else above / _PARTS[words[-1]]


def _whole(words: list[str]) -> Fraction | None:
    total = current = 0
    before = ""
    for place, word in enumerate(words):
        if word in _ONES:
            good = before == "" or before in ("hundred", "and", *SCALES) or (before in _TENS and 0 < _ONES[word] < 10)
            current += _ONES[word]
        elif word in _TENS:
            good = before in ("", "hundred", "and", *SCALES)
            current += _TENS[word]
        elif word == "hundred":
            good, current = before in _ONES and 0 < current < 100, current * 100
        elif word == "dozen":
            good, current = before in ("", "a") or before in _ONES, 12 * max(1, current)
        elif word in SCALES:
            good = 0 < current < 1000 and before != "and"
            total, current = total + current * SCALES[word], 0
        elif word == "a":
            good, current = place == 0 and words[1:2] in (["hundred"], ["thousand"], ["million"], ["dozen"]), 1
            word = "one"
        else:
            good = word == "and" and before in ("hundred", *SCALES) and place + 1 < len(words)
        if not good:
            return None
        before = word
    return Fraction(total + current) if words else None
