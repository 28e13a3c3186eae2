"""Values by math-verify: read with its grammar, compared exactly, numerically and, last, by its own comparison.

Symbols are numbered before they are read, so that x and X, e_1 and e, x and x' stay apart. Decimals are read as the
fractions that they are: 0.1 + 0.2 is 3/10.
"""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import sympy
from latex2sympy2_extended import latex2sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig
from math_verify.grader import sympy_expr_eq

from .tokens import FUNCTIONS, Token, Tokens, spell
from .values import argument
from .verdict import Unsure

_DIGITS = 60  # to which two values have to agree
_CONVERSION = ConversionConfig(interpret_as_mixed_fractions=False, lowercase_symbols=False)
_SPELLED = {"arcsec": "\\operatorname{arcsec}", "arccsc": "\\operatorname{arccsc}", "arccot": "\\operatorname{arccot}"}
_PLACES = random.Random(0)
_POINTS = [[Fraction(_PLACES.randint(3, 97), _PLACES.randint(11, 61)) for _ in range(40)] for _ in range(4)]
_MAX_BITS = 20_000  # of an integer power that is worked out
_MAX_FACTORIAL = 3000


class Book:
    """The symbols of a comparison: both sides number them alike."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}

    def symbol(self, name: str) -> Any:
        """The SymPy symbol of `name`, i for the imaginary unit."""
        return sympy.Symbol(f"s_{{{self.number(name)}}}")

    def number(self, name: str) -> int:
        return self.names.setdefault(name, len(self.names) + 1)

    def read(self, tokens: Tokens, *, base: int = 0) -> Any:
        """The SymPy expression that `tokens` are. `base` is that of a logarithm that names none, 0 for e.

        Raises:
            ValueError: math-verify's grammar cannot read them.
        """
        text = self._latex(tokens, base)
        try:
            found = latex2sympy(text, normalization_config=None, conversion_config=_CONVERSION)
        except (RecursionError, MemoryError):
            raise
        except Exception as error:  # the grammar raises many kinds, plain Exception among them
            raise ValueError(f"{spell(tokens)[:80]!r} cannot be read") from error
        if not isinstance(found, sympy.Expr):
            raise ValueError(f"{spell(tokens)[:80]!r} is no expression")
        return self._worked_out(found)

    def _worked_out(self, value: Any) -> Any:
        """The expression from its leaves up, which math-verify leaves as it was written; i as the imaginary unit."""
        if isinstance(value, sympy.Symbol) and value.name.strip("s_{}") == str(self.names.get("i", "")):
            return sympy.I
        if not value.args:
            return value
        parts = [self._worked_out(part) for part in value.args]
        _check_size(value.func, parts)
        return value.func(*parts)

    def _latex(self, tokens: Tokens, base: int) -> str:
        parts: list[str] = []
        place = 0
        while place < len(tokens):
            text, place = self._one(tokens, place, base)
            parts.append(text)
        return " ".join(parts)

    def _one(self, tokens: Tokens, place: int, base: int) -> tuple[str, int]:
        token = tokens[place]
        if token.kind == "num":
            return _number(token), place + 1
        if token.kind == "sym":
            return self._symbol(tokens, place)
        if token.text in ("frac", "binom"):
            above, place = argument(tokens, place + 1)
            below, place = argument(tokens, place)
            return f"\\{token.text}{{{self._latex(above, base)}}}{{{self._latex(below, base)}}}", place
        if token.text == "sqrt":
            return self._root(tokens, place + 1, base)
        if token.text in ("log", "ln"):
            return self._logarithm(tokens, place, base)
        if token.text == "^":
            exponent, end = argument(tokens, place + 1)
            if len(exponent) == 1 and exponent[0].text in "+-" and end < len(tokens):
                exponent, end = tokens[place + 1 : end + 1], end + 1
            return f"^{{{self._latex(exponent, base)}}}", end
        if token.kind == "sign":
            if token.text in "!+-/|" or token.text == "*":
                return {"*": "\\cdot", "+": "+"}.get(token.text, token.text), place + 1
            raise ValueError(f"{token.text!r} has no place in a value")
        if token.kind in ("open", "close"):
            return {"[": "(", "]": ")", "\\{": "(", "\\}": ")"}.get(token.text, token.text), place + 1
        if token.kind == "cmd" and token.text in FUNCTIONS | {"pi", "infty", "lfloor", "rfloor", "lceil", "rceil"}:
            return _SPELLED.get(token.text, f"\\{token.text}"), place + 1
        raise Unsure(f"{token.text!r} is not compared")

    def _symbol(self, tokens: Tokens, place: int) -> tuple[str, int]:
        """A letter with its index and its primes, by its number."""
        name, end = tokens[place].text, place + 1
        if end < len(tokens) and tokens[end].text == "(" and name in "fgh":
            raise Unsure("a function without a definition")
        while end < len(tokens) and tokens[end].text in ("_", "'"):
            name += tokens[end].text
            end += 1
            if name.endswith("_"):
                index, end = argument(tokens, end)
                name += "".join(token.text for token in index)
        if name == "e":
            return "e", end
        return f"s_{{{self.number(name)}}}", end

    def _root(self, tokens: Tokens, place: int, base: int) -> tuple[str, int]:
        degree = ""
        if place < len(tokens) and tokens[place].text == "[":
            end = next((at for at in range(place, len(tokens)) if tokens[at].text == "]"), 0)
            degree = f"[{self._latex(tokens[place + 1 : end], base)}]"
            place = max(end, place) + 1
        if place < len(tokens) and tokens[place].text == "(":  # \sqrt(2), as it is typed
            depth, end = 0, place
            while end < len(tokens):
                depth += (tokens[end].kind == "open") - (tokens[end].kind == "close")
                end += 1
                if depth == 0:
                    break
            inside = tokens[place + 1 : end - 1]
        else:
            inside, end = argument(tokens, place)
        if not inside:
            raise ValueError("a root of nothing")
        return f"\\sqrt{degree}{{{self._latex(inside, base)}}}", end

    def _logarithm(self, tokens: Tokens, place: int, base: int) -> tuple[str, int]:
        name, place = tokens[place].text, place + 1
        if place < len(tokens) and tokens[place].text == "_":
            of, place = argument(tokens, place + 1)
            spelled = self._latex(of, base)
            return ("\\ln", place) if spelled == "e" else (f"\\log_{{{spelled}}}", place)
        return ("\\log_{10}" if name == "log" and base == 10 else "\\ln"), place


def _number(token: Token) -> str:
    assert token.number is not None  # such tokens have one
    if token.number.unfinished:
        raise ValueError("a number is left unfinished")
    value = token.number.value
    return str(value) if value.denominator == 1 else f"{{(\\frac{{{value.numerator}}}{{{value.denominator}}})}}"


def _check_size(kind: Any, parts: list[Any]) -> None:
    """ValueError for powers and factorials of plain numbers that would fill the memory."""
    if kind is sympy.Pow and parts[1].is_Rational and parts[0].is_number and _bits(*parts) > _MAX_BITS:
        raise ValueError("a power too large to be worked out")
    if (
        kind is sympy.factorial
        and parts[0].is_number
        and not (parts[0].is_Rational and abs(parts[0]) <= _MAX_FACTORIAL)
    ):
        raise ValueError("a factorial too large to be worked out")


def _bits(base: Any, exponent: Any) -> float:
    size = float(max(abs(base.p), base.q).bit_length()) if base.is_Rational else 1.0
    return size * abs(float(exponent))


def equal(left: Any, right: Any) -> bool | None:
    """Whether two expressions are equal: exactly where both are rational, else to 60 digits; None if nobody knows."""
    if left == right:
        return True
    if left.is_Rational and right.is_Rational:
        return False
    names = sorted(left.free_symbols | right.free_symbols, key=str)
    if not names:
        return _agree(left, right, {})
    if left.free_symbols != right.free_symbols and not sympy.simplify(left - right).is_number:
        return False
    results = []
    for number, places in enumerate(_POINTS):
        signs = [1, 1, -1, -1][number]
        point = {
            name: sympy.Rational(places[at % 40].numerator, places[at % 40].denominator) * signs
            for at, name in enumerate(names)
        }
        results.append(_agree(left, right, point))
    if False in results[:2]:
        return False
    if results[:2] == [None, None]:
        return (
            True
            if sympy_expr_eq(left, right, float_rounding=6, numeric_precision=15) and _agree_simply(left, right)
            else None
        )
    return None if False in results[2:] else True


def _agree_simply(left: Any, right: Any) -> bool:
    return sympy.simplify(left - right) == 0


def _agree(left: Any, right: Any, point: dict[Any, Any]) -> bool | None:
    """Whether both have one value at `point`, relative to its size; None where they have none."""
    try:
        values = [side.subs(point) if point else side for side in (left, right)]
        if all(value.is_Rational for value in values):
            return bool(values[0] == values[1])
        if any(value in (sympy.oo, -sympy.oo, sympy.zoo) for value in values):
            return bool(values[0] == values[1]) and values[0] is not sympy.zoo
        if any(value is sympy.nan for value in values):
            return None
        numbers = [sympy.N(value, _DIGITS + 15, maxn=4000) for value in values]
        if not all(number.is_number and number.is_finite for number in numbers):
            return None
        if point and any(abs(sympy.im(number)) > 1e-30 for number in numbers):
            return None
        size = max(abs(numbers[0]), abs(numbers[1]))
        if size < sympy.Float(10) ** -_DIGITS and 0 in numbers:
            return True if sympy.simplify(values[0] - values[1]) == 0 else None
        return bool(abs(numbers[0] - numbers[1]) <= size * sympy.Float(10) ** -_DIGITS)
    except (TypeError, ValueError, AttributeError):
        return None
