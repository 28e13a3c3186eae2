"""Values that JSON does not have, as tests in a task file write them: an object with one key that begins with $.

    {"$set": [1, 2]}          {"$tuple": [1, 2]}       {"$dict": [[1, "a"], [[2, 3], "b"]]}
    {"$decimal": "1.50"}      {"$fraction": "1/3"}     {"$complex": [1, 2]}
    {"$date": "2026-11-26"}   {"$datetime": "…"}       {"$float": "inf"}         {"$bytes": "6162"}

And what a test may expect in the place of a value:

    {"$any_order": [1, 2]}    the items of a list, a tuple or a set, in any order
    {"$raises": "ValueError"} an exception of this class, Python's or the program's
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from ...errors import UserError, unknown
from ...sandbox import AnyOrder, Raises

_VALUES: Mapping[str, Callable[[Any], object]] = {
    "$set": set,
    "$tuple": tuple,
    "$dict": lambda pairs: {key: value for key, value in pairs},  # noqa: C416 (dict(pairs) takes more than pairs)
    "$decimal": Decimal,
    "$fraction": Fraction,
    "$complex": lambda parts: complex(*parts),
    "$date": date.fromisoformat,
    "$datetime": datetime.fromisoformat,
    "$float": float,
    "$bytes": bytes.fromhex,
}
_EXPECTED: Mapping[str, Callable[[Any], object]] = {"$any_order": AnyOrder, "$raises": Raises}


def value_of(given: Any, where: str, *, expected: bool = False) -> Any:
    """What a test in a file means. `expected`: it is what the program should give.

    Raises:
        UserError: an object with a key that begins with $ and is none of those above, or does not hold what it should.
    """
    if isinstance(given, list):
        return [value_of(part, where, expected=expected) for part in given]
    if not isinstance(given, dict):
        return given
    parts = {key: value_of(part, where, expected=expected) for key, part in given.items()}
    if len(parts) != 1 or not str(key := next(iter(parts))).startswith("$"):
        return parts
    makers = {**_VALUES, **_EXPECTED} if expected else _VALUES
    if key not in makers:
        reason = ", which only a result may be" if key in _EXPECTED else ""
        raise UserError(f"{where}: {unknown('notation', key, makers)}{reason}")
    try:
        return _checked(makers[key](parts[key]))
    except (TypeError, ValueError, ArithmeticError) as problem:
        raise UserError(f"{where}: {{{key!r}: {parts[key]!r:.60}}} is none: {problem}") from problem


def _checked(made: object) -> object:
    if isinstance(made, AnyOrder) and not isinstance(made.items, list):
        raise ValueError("it takes a list")
    if isinstance(made, Raises) and not (isinstance(made.name, str) and made.name.isidentifier()):
        raise ValueError("it takes the name of a class")
    return made
