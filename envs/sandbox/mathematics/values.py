"""Numbers as they may be written when they are the answer, and the work that an expression leaves to be done.

A numeral is digits, a fraction that is no whole number, a mixed number, a power of ten or a product with one. 2/3 is a
number; 84/12, 3 + 4, 2^10 and 5! are tasks.
"""

from __future__ import annotations

from fractions import Fraction

from .numerals import Numeral
from .tokens import FUNCTIONS, OPERATORS, Tokens

_MAX_EXPONENT = 400


def numeral(tokens: Tokens) -> Numeral | None:
    """The number that `tokens` are, if they are one and no arithmetic is left to do."""
    tokens = _bare(tokens)
    if len(tokens) > 1 and tokens[0].kind == "sign" and tokens[0].text in "+-":
        inner = numeral(tokens[1:])
        if inner is None:
            return None
        return Numeral(-inner.value, inner.places, inner.unfinished) if tokens[0].text == "-" else inner
    if len(tokens) == 1:
        return tokens[0].number
    fraction = _fraction(tokens)
    if fraction is not None:
        return fraction
    first = tokens[0].number if tokens else None
    if first is not None and first.value.denominator == 1 and first.value >= 0:
        rest = _fraction(tokens[1:])  # a mixed number
        if rest is not None and 0 < rest.value < 1 and "-" not in [token.text for token in tokens]:
            return Numeral(first.value + rest.value, None)
    return _scientific(tokens)


def _bare(tokens: Tokens) -> Tokens:
    """Without brackets around the whole."""
    while len(tokens) > 2 and (tokens[0].text, tokens[-1].text) in (("{", "}"), ("(", ")")):
        depth = 0
        for place, token in enumerate(tokens):
            depth += (token.kind == "open") - (token.kind == "close")
            if depth == 0 and place < len(tokens) - 1:
                return tokens
        tokens = tokens[1:-1]
    return tokens


def argument(tokens: Tokens, start: int) -> tuple[Tokens, int]:
    """The argument of a command that begins at `start`: a group in braces or one token; and where it ends."""
    if start >= len(tokens):
        raise ValueError("an argument is missing")
    if tokens[start].text != "{":
        return tokens[start : start + 1], start + 1
    depth = 0
    for place in range(start, len(tokens)):
        depth += (tokens[place].text == "{") - (tokens[place].text == "}")
        if depth == 0:
            return tokens[start + 1 : place], place + 1
    raise ValueError("a brace is not closed")


def _fraction(tokens: Tokens) -> Numeral | None:
    if tokens and tokens[0].text == "frac":
        above, place = argument(tokens, 1)
        below, place = argument(tokens, place)
        if place != len(tokens):
            return None
    else:
        places = [place for place, token in enumerate(tokens) if token.text in ("/", ":")]
        if len(places) != 1:
            return None
        above, below = tokens[: places[0]], tokens[places[0] + 1 :]
    numbers = [_integer(part) for part in (above, below)]
    if numbers[0] is None or not numbers[1]:
        return None
    value = Fraction(numbers[0], numbers[1])
    return Numeral(value, None) if value.denominator > 1 or ":" in [token.text for token in tokens] else None


def _integer(tokens: Tokens) -> int | None:
    tokens = _bare(tokens)
    sign = 1
    if tokens and tokens[0].text in ("-", "+"):
        sign, tokens = (-1 if tokens[0].text == "-" else 1), _bare(tokens[1:])
    number = tokens[0].number if len(tokens) == 1 else None
    whole = number is not None and number.value.denominator == 1 and not number.places
    return sign * int(number.value) if number is not None and whole else None


def _scientific(tokens: Tokens) -> Numeral | None:
    """10^n and a · 10^n."""
    powers = [place for place, token in enumerate(tokens) if token.text == "^"]
    if len(powers) != 1 or powers[0] < 1:
        return None
    base, place = tokens[powers[0] - 1], powers[0]
    exponent, end = argument(tokens, place + 1)
    if len(exponent) == 1 and exponent[0].text in "+-":
        exponent, end = tokens[place + 1 :], len(tokens)
    power = _integer(exponent)
    ten = base.number is not None and base.number.value == 10 and base.number.places == 0
    if power is None or not ten or end != len(tokens) or abs(power) > _MAX_EXPONENT:
        return None
    before = tokens[: place - 1]
    if not before:
        return Numeral(Fraction(10) ** power, None if power < 0 else 0)
    factor = before[0].number if len(before) == 2 and before[1].text == "*" else None
    if factor is None or factor.places is None:
        return None
    return Numeral(factor.value * Fraction(10) ** power, factor.places - power)


def work_left(tokens: Tokens) -> set[str]:
    """The operators in `tokens` that are work left to do, and the families of functions, each by its name."""
    found = {
        "integral" if token.text == "int" else token.text
        for token in tokens
        if token.text in OPERATORS and token.kind == "cmd"
    }
    for place, token in enumerate(tokens):
        if token.text in ("log", "ln"):
            found.add("logarithm")
        elif token.text in FUNCTIONS - {"exp"} and token.kind == "cmd":
            power = argument(tokens, place + 2)[0] if [t.text for t in tokens[place + 1 : place + 2]] == ["^"] else ()
            inverse = token.text.startswith("arc") or [t.text for t in power] == ["-", "1"]
            found.add("inverse function" if inverse else "function")
        elif token.text in ("!", "binom"):
            found.add("factorial")
        elif token.text in ("lfloor", "lceil"):
            found.add("floor")
        elif token.text == "frac" and _is_derivative(tokens, place):
            found.add("derivative")
    return found


def _is_derivative(tokens: Tokens, place: int) -> bool:
    """d/dx, df/dx, ∂/∂x."""
    above, end = argument(tokens, place + 1)
    below, _ = argument(tokens, end)
    marks = ("d", "partial")
    return bool(above and below) and above[0].text in marks and below[0].text in marks and len(below) > 1
