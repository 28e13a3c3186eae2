"""One value with what stands beside it: its unit, percent, the things that it counts."""

from __future__ import annotations

import itertools
from fractions import Fraction

from .nodes import Node, Scalar
from .numerals import Numeral
from .tokens import Token, Tokens, spell
from .units import Unit, is_unit, read_unit
from .verdict import Doubtful, Unsure
from .words import DOUBT, is_noun, singular

_MONEY = ("dollar", "euro", "sterling", "yen")


def total_of(items: tuple[Node, ...]) -> Scalar | None:
    """The sum of quantities in falling units of one kind: 1 hour 20 minutes, 5 feet 6 inches; None for all else."""
    scalars = [item for item in items if isinstance(item, Scalar) and item.unit is not None and item.unit.powers]
    numbers = [item.tokens[0].number for item in scalars if len(item.tokens) == 1]
    units = [item.unit for item in scalars if item.unit is not None]
    falling = all(first.factor > second.factor for first, second in itertools.pairwise(units))
    if len(numbers) < len(items) or None in numbers or len({unit.powers for unit in units}) > 1 or not falling:
        return None
    amount = sum((n.value * unit.factor for n, unit in zip(numbers, units, strict=True) if n is not None), Fraction(0))
    return Scalar((Token("num", str(amount), Numeral(amount)),), Unit(units[0].powers, Fraction(1)))


def scalar(tokens: Tokens) -> Scalar:
    """One value with its unit: "5 km", "$5", "50 %", "5 apples".

    Raises:
        Doubtful, Unsure: words beside it that deny or doubt it, or that nobody knows.
        ValueError: two units.
    """
    if [token.text for token in tokens[1:-1]] == ["to"] and tokens[0].kind == tokens[-1].kind == "num":
        return Scalar((tokens[0], Token("sign", ":"), tokens[-1]))  # the ratio 2 to 3
    if len(tokens) > 2 and tokens[0].text == "-" and tokens[1].text in _MONEY:
        tokens = (tokens[1], tokens[0], *tokens[2:])
    if len(tokens) > 1 and tokens[0].text in _MONEY:
        return _money(tokens[0].text, scalar(tokens[1:]))
    pairs = list(zip(tokens[::2], tokens[1::2], strict=False))
    if len(pairs) > 1 and 2 * len(pairs) == len(tokens) and all(_is_measured(*pair) for pair in pairs):
        total = total_of(tuple(Scalar((number,), read_unit([unit.text])) for number, unit in pairs))
        if total is not None:
            return total
    place = next((place for place, token in enumerate(tokens) if token.kind in ("word", "unit")), len(tokens))
    value, after = list(tokens[:place]), list(tokens[place:])
    if value and after and value[-1].text == "(" and after[-1].text == ")":
        value, after = value[:-1], after[:-1]
    numbers = [at for at in range(place, len(tokens)) if tokens[at].kind == "num" and tokens[at - 1].kind == "word"]
    if numbers:
        ends = [*numbers, len(tokens)]
        total = total_of(tuple(scalar(tokens[start:end]) for start, end in itertools.pairwise([0, *ends])))
        if total is not None:
            return total
    return _beside(tuple(value), tuple(after)) if after else Scalar(tuple(value))


def _is_measured(number: Token, unit: Token) -> bool:
    """Whether two tokens are a number and its unit, which may be a letter, as in 2 h 30 min."""
    return number.kind == "num" and unit.kind in ("word", "unit", "sym") and is_unit(unit.text)


def _money(name: str, value: Scalar) -> Scalar:
    unit = read_unit([name])
    if value.unit not in (None, unit) or value.percent:
        raise ValueError("two units")
    return Scalar(value.tokens, unit, unsure=value.unsure)


def _beside(value: Tokens, after: Tokens) -> Scalar:
    """The value with what stands behind it."""
    words = [token.text.lower() for token in after if token.kind == "word"]
    if set(words) & DOUBT:
        raise Doubtful(f"it says {spell(after)!r}")
    if not value:
        raise Unsure(f"words stand before the value: {spell(after[:6])!r}")
    if [token.text.lower() for token in after] in (["%"], ["percent"], ["per", "cent"], ["pct"]):
        return Scalar(value, percent=True)
    signs = [token.text for token in after if token.text not in "(){}"]
    unit = read_unit(signs)
    if unit is not None:
        return Scalar(value, unit)
    if len(words) != len(signs):
        raise Unsure(f"what stands beside the value is not understood: {spell(after)!r}")
    noun = " ".join(singular(word) for word in words)
    doubt = "" if len(words) <= 2 and is_noun(words[-1]) else f"unknown words: {' '.join(words)!r}"
    return Scalar(value, Unit((), Fraction(1), noun), unsure=doubt)
