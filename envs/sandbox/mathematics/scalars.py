"""One value against another: as numbers, as expressions, with units and percent as they are written."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy

from .algebra import Book, equal
from .nodes import Scalar
from .numerals import Numeral
from .tokens import OPERATORS, Tokens, spell
from .values import argument, numeral, work_left
from .verdict import EQUAL, Unsure, Verdict, different, unsure

_MONEY: dict[tuple[tuple[str, int], ...], int] = {
    ((name, 1),): factor for name, factor in (("dollar", 100), ("euro", 1), ("pound sterling", 1), ("yen", 1))
}
"""Currencies go without saying: a question about a price is answered by a number."""
_NEVER = OPERATORS | {"integral", "derivative"}


@dataclass(frozen=True)
class Rules:
    """What is asked beyond equality: the kind, where it was declared; the tolerance of an approximate number."""

    kind: str | None = None
    tolerance: Fraction | None = None


def same_scalar(known: Scalar, given: Scalar, rules: Rules) -> Verdict:
    """The verdict on one value with its unit."""
    if given.about and rules.tolerance is None:
        return different("only approximately")
    if known.percent or given.percent:
        return _percent(known, given, rules)
    verdict = _units(known, given, rules)
    if verdict and given.unsure and (known.unit is None or known.unit != given.unit):
        return unsure(given.unsure)
    return verdict


def _percent(known: Scalar, given: Scalar, rules: Rules) -> Verdict:
    if known.percent and given.percent:
        return _values(known.tokens, given.tokens, rules)
    if given.unit is not None or known.unit is not None:
        return different("percent of something, and a unit")
    scales = (Fraction(1, 100) if known.percent else 1, Fraction(1, 100) if given.percent else 1)
    if _scaled(known.tokens, scales[0], given.tokens, scales[1]):
        return EQUAL
    if known.percent and _values(known.tokens, given.tokens, rules):
        return unsure("percent are expected and the answer does not say percent")
    return different("another number, percent being hundredths")


def _units(known: Scalar, given: Scalar, rules: Rules) -> Verdict:
    if known.unit is None:
        angle = given.unit is not None and given.unit.is_angle and _has_pi(known.tokens)
        if angle and given.unit is not None and given.unit.powers[0][0] == "degree":
            return _verdict(_scaled(known.tokens, 1, given.tokens, sympy.pi / 180))
        return _values(known.tokens, given.tokens, rules)
    if known.unit.noun:
        if given.unit is not None and given.unit.noun.split()[-1:] != known.unit.noun.split()[-1:]:
            return different(f"of {given.unit.noun or 'another thing'!r} and not of {known.unit.noun!r}")
        return _values(known.tokens, given.tokens, rules)
    if known.unit.is_angle:
        return _angle(known, given, rules)
    if rules.kind == "unit" and (given.unit is None or given.unit.factor != known.unit.factor):
        return different("it is not in the unit that was asked for")
    if given.unit is None:
        verdict = _values(known.tokens, given.tokens, rules)
        named = rules.kind == "number" or (
            known.unit.powers in _MONEY and known.unit.factor == _MONEY[known.unit.powers]
        )
        return unsure("a unit is expected and the answer names none") if verdict and not named else verdict
    if given.unit.noun:
        verdict = _values(known.tokens, given.tokens, rules)
        return unsure(f"{given.unit.noun!r} is not known as a unit") if verdict else verdict
    if given.unit.powers != known.unit.powers:
        return different("a unit of another kind")
    if given.unit.factor == known.unit.factor:
        return _values(known.tokens, given.tokens, rules)
    return _verdict(_scaled(known.tokens, known.unit.factor, given.tokens, given.unit.factor))


def _angle(known: Scalar, given: Scalar, rules: Rules) -> Verdict:
    assert known.unit is not None  # the caller has looked
    measured = known.unit.powers[0][0]
    other = given.unit.powers[0][0] if given.unit is not None and given.unit.is_angle else None
    if given.unit is not None and other is None:
        return different("a unit of another kind")
    if other is None:
        other = "radian" if _has_pi(given.tokens) else measured
    if other == measured:
        return _values(known.tokens, given.tokens, rules)
    turns = {"degree": sympy.pi / 180, "radian": 1}
    return _verdict(_scaled(known.tokens, turns[measured], given.tokens, turns[other]))


def _has_pi(tokens: Tokens) -> bool:
    return any(token.text == "pi" for token in tokens)


def _verdict(same: bool | None) -> Verdict:
    return EQUAL if same else unsure("it could not be decided") if same is None else different("another value")


def _scaled(known: Tokens, known_scale: Any, given: Tokens, given_scale: Any) -> bool | None:
    """Whether the values are equal after they are multiplied; false where work is left to be done."""
    numbers = numeral(known), numeral(given)
    fractions = all(isinstance(scale, int | Fraction) for scale in (known_scale, given_scale))
    if numbers[0] is not None and numbers[1] is not None and fractions:
        return not numbers[1].unfinished and numbers[0].value * known_scale == numbers[1].value * given_scale
    if work_left(given) - work_left(known):
        return False
    book = Book()
    sides = [book.read(tokens) * _sympy(scale) for tokens, scale in ((known, known_scale), (given, given_scale))]
    return equal(*sides)


def _sympy(value: Any) -> Any:
    return sympy.Rational(value.numerator, value.denominator) if isinstance(value, Fraction) else sympy.sympify(value)


def _values(known: Tokens, given: Tokens, rules: Rules) -> Verdict:
    """The verdict on what stands before the units."""
    if rules.tolerance is not None:
        return _near(known, given, rules.tolerance)
    bases = _based(known), _based(given)
    if bases != (None, None):
        return _in_bases(bases, known, given)
    number, other = numeral(known), numeral(given)
    if other is not None and other.unfinished:
        return different("it is left unfinished")
    if number is not None and not number.unfinished and rules.kind not in ("exact", "expression"):
        return _numbers(number, other, known, given)
    if rules.kind == "number" and other is None:
        return different("a number is expected, and work is left to be done")
    return _expressions(known, given)


def _near(known: Tokens, given: Tokens, tolerance: Fraction) -> Verdict:
    """Within the tolerance, exactly computed where both are numbers."""
    number, other = numeral(known), numeral(given)
    if number is not None and other is not None:
        return _verdict(abs(number.value - other.value) <= tolerance)
    if work_left(given) - work_left(known):
        return different("work is left to be done")
    book = Book()
    sides = [_sympy(n.value) if n is not None else book.read(t) for n, t in ((number, known), (other, given))]
    apart = sympy.N(abs(sides[0] - sides[1]), 30)
    return _verdict(bool(apart <= _sympy(tolerance))) if apart.is_number and apart.is_real else different("no number")


def _numbers(number: Numeral, other: Numeral | None, known: Tokens, given: Tokens) -> Verdict:
    if other is not None:
        if other.value == number.value:
            return EQUAL
        rounded = number.places and other.places is None and _rounds_to(other.value, number)
        return unsure("what is expected is this number, rounded; no tolerance is stated") if rounded else different("")
    if not number.places or work_left(given) or any(token.kind == "sym" and token.text != "e" for token in given):
        return different("a number is expected, and work is left to be done")
    value = Book().read(given)
    if value.is_number and value.is_irrational and _rounds_to(Fraction(str(sympy.N(value, 40))), number):
        return unsure("what is expected is this number, rounded; no tolerance is stated")
    return different("a number is expected, and work is left to be done")


def _rounds_to(value: Fraction, number: Numeral) -> bool:
    """Whether `number`, written to at least two places, is `value` rounded to as many."""
    places = number.places or 0
    return places > 1 and abs(value - number.value) <= Fraction(1, 2 * 10**places)


def _expressions(known: Tokens, given: Tokens) -> Verdict:
    if spell(known) == spell(given):
        return EQUAL
    book = Book()
    expected = book.read(known)
    left = work_left(given) - work_left(known)
    refused = left if not expected.free_symbols else left & _NEVER
    if refused:
        return different(f"work is left to be done: {', '.join(sorted(refused))}")
    value = book.read(given)
    if value.has(sympy.nan, sympy.zoo):
        return different("it is not defined")
    same = equal(expected, value)
    if not same and any(token.text == "log" for token in (*known, *given)):
        same = equal(book.read(known, base=10), book.read(given, base=10)) or same
    return _verdict(same)


def _based(tokens: Tokens) -> tuple[str, int] | None:
    """Digits and base of a numeral such as 101_2."""
    place = next((place for place, token in enumerate(tokens) if token.text == "_"), 0)
    if not place:
        return None
    base, end = argument(tokens, place + 1)
    digits = "".join(token.text for token in tokens[:place]).replace(" ", "").replace("(", "").replace(")", "")
    number = numeral(base)
    if end != len(tokens) or number is None or number.value.denominator > 1 or not 2 <= number.value <= 36:
        return None
    letters_only = not any(character.isdigit() for character in digits)
    try:
        int(digits, int(number.value))
    except ValueError:
        return None
    return None if letters_only and number.value < 11 else (digits.lstrip("0").lower() or "0", int(number.value))


def _in_bases(bases: tuple[tuple[str, int] | None, tuple[str, int] | None], known: Tokens, given: Tokens) -> Verdict:
    first, second = bases
    if first is not None and second is not None:
        return _verdict(first == second)
    if first is not None:
        return (
            different(f"it does not say that it is written in base {first[1]}")
            if first[1] != 10
            else _plain(first, given)
        )
    assert second is not None  # one of them is
    return _plain(second, known) if second[1] == 10 else different("written in a base that was not expected")


def _plain(based: tuple[str, int], other: Tokens) -> Verdict:
    number = numeral(other)
    return _verdict(number is not None and number.value == int(based[0], based[1]))


def readable(tokens: Tokens) -> bool:
    """Whether what is expected can be compared at all."""
    try:
        if numeral(tokens) is None and _based(tokens) is None and not work_left(tokens) & _NEVER:
            Book().read(tokens)
    except Unsure:
        return True
    except ValueError:
        return False
    return True
