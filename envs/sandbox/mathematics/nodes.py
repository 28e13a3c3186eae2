"""What an expression can be as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field

from .tokens import Tokens
from .units import Unit


@dataclass(frozen=True)
class Scalar:
    """One value: what stands before its unit, and the unit."""

    tokens: Tokens
    unit: Unit | None = None
    percent: bool = False
    about: bool = False  # "≈ 2"
    unsure: str = ""  # why, where words stand beside it that nobody knows


@dataclass(frozen=True)
class Named:
    """`name = value`, with an empty name for words such as "area = 5"."""

    name: str
    value: Node


@dataclass(frozen=True)
class Chain:
    """Values with relations between them, which are no assignment."""

    parts: tuple[Node, ...]
    relations: tuple[str, ...]


@dataclass(frozen=True)
class Several:
    """A list without brackets, or the elements of a set in braces."""

    items: tuple[Node, ...]
    joined: str  # ",", "or", "and", or "{" for a set


@dataclass(frozen=True)
class Bracket:
    """Items between brackets which say whether the ends belong to an interval."""

    opened: str
    closed: str
    items: tuple[Node, ...]


@dataclass(frozen=True)
class SetSign:
    """Sets joined by ∪, ∩ or ∖; or a set with a sign of its own: ∅, ℝ, …"""

    operator: str
    parts: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Grid:
    """A matrix."""

    rows: tuple[tuple[Node, ...], ...]
    kind: str = field(default="pmatrix", compare=False)


@dataclass(frozen=True)
class Words:
    """Text that is no mathematics, in one spelling; `raw` as it was written."""

    text: str
    raw: str = field(default="", compare=False)


Node = Scalar | Named | Chain | Several | Bracket | SetSign | Grid | Words
