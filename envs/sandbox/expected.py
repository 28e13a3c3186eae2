"""What a test of a function may expect besides a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .inside.codec import Unsupported, Wire, encode


@dataclass(frozen=True)
class AnyOrder:
    """These items, each as often as it is here, in any order: of a list, a tuple, a set or an iterator."""

    items: Sequence[object]

    def __repr__(self) -> str:
        return f"{list(self.items)!r} in any order"


@dataclass(frozen=True)
class Raises:
    """An exception of the class with this name, Python's or the program's own, or of one made from it."""

    name: str

    def __repr__(self) -> str:
        return f"{self.name} raised"


ANY_ORDER, RAISES = "any order", "raises"


def expected_wire(value: object) -> Wire:
    """What is expected as `same` reads it. Unsupported for what cannot be compared."""
    return encode(value, keep=_kept)


def _kept(value: object) -> Wire:
    if isinstance(value, AnyOrder):
        return [ANY_ORDER, expected_wire(list(value.items))]
    if isinstance(value, Raises):
        return [RAISES, value.name]
    raise Unsupported(f"a value of type {type(value).__name__}")


def special(wire: Wire, kind: str) -> Wire:
    """What stands in an expectation of this kind, else None: the items, or the name."""
    body = wire.get("o") if isinstance(wire, dict) else None
    return body[1] if isinstance(body, list) and body[:1] == [kind] else None
