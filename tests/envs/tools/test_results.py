"""What tools return, as JSON: every type that can be told is, and what cannot is named."""

from __future__ import annotations

import enum
import math
from collections import Counter, OrderedDict, UserDict, deque, namedtuple
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from types import MappingProxyType, SimpleNamespace
from uuid import UUID

import numpy as np
import pytest
from pydantic import BaseModel, SecretStr, field_serializer

from peripatos.envs.tools.results import Unsayable, as_json, as_text


class Side(enum.Enum):
    BUY = "buy"
    PAIR = (1, 2)


class Level(enum.IntEnum):
    HIGH = 3


@dataclass
class Place:
    name: str
    visits: set[int] = field(default_factory=lambda: {10, 9})


class Order(BaseModel):
    when: date
    price: Decimal
    tags: set[str] = {"b", "a"}
    key: SecretStr = SecretStr("hidden")
    size: int = 1

    @field_serializer("size")
    def _in_words(self, size: int) -> str:
        return f"{size} pieces"


class Money:
    def __str__(self) -> str:
        return "5 euros"


class Repr:
    def __repr__(self) -> str:
        return "Repr()"


Point = namedtuple("Point", "x y")

TOLD = [
    (np.float32(0.5), 0.5),
    (np.float64(0.1), 0.1),
    (np.int64(7), 7),
    (np.bool_(True), True),
    (np.str_("a"), "a"),
    (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    (np.array(3), 3),
    (np.array(["a"], dtype=object), ["a"]),
    (np.datetime64("2026-11-26"), "2026-11-26"),
    (np.longdouble(0.5), "0.5"),
    ({np.int64(1): {"x": np.float32(2)}}, {"1": {"x": 2.0}}),
    ({3, 1, 20}, [1, 3, 20]),
    (frozenset({"b", "a", 1}), ["a", "b", 1]),
    ({(2, 1), (1, 2)}, [[1, 2], [2, 1]]),
    ({1: "a", None: 2, (1, 2): 3, date(2026, 1, 2): 4}, {"1": "a", "null": 2, "[1, 2]": 3, "2026-01-02": 4}),
    ((1, (2, None)), [1, [2, None]]),
    (Point(1, 2), [1, 2]),
    (deque([1]), [1]),
    (range(3), [0, 1, 2]),
    ({"a": 1}.keys(), ["a"]),
    ({"a": 1}.items(), [["a", 1]]),
    (Counter("aab"), {"a": 2, "b": 1}),
    (OrderedDict(a=1), {"a": 1}),
    (UserDict(a={1}), {"a": [1]}),
    (MappingProxyType({"a": 1}), {"a": 1}),
    (date(2026, 11, 26), "2026-11-26"),
    (datetime(2026, 11, 26, 12, tzinfo=UTC), "2026-11-26T12:00:00Z"),
    (time(1, 2), "01:02:00"),
    (timedelta(hours=1), "PT1H"),
    (Decimal("1.50"), "1.50"),
    (Fraction(1, 3), "1/3"),
    (2 + 1j, "2+1j"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (PurePosixPath("a/b"), "a/b"),
    (b"text", "text"),
    (Side.BUY, "buy"),
    (Side.PAIR, [1, 2]),
    (Level.HIGH, 3),
    (Place("hall"), {"name": "hall", "visits": [9, 10]}),
    (
        [Order(when=date(2026, 1, 2), price=Decimal(3))],
        [{"when": "2026-01-02", "price": "3", "tags": ["a", "b"], "key": "**********", "size": "1 pieces"}],
    ),
    (Money(), "5 euros"),
    ([Repr()], ["Repr()"]),
    (SimpleNamespace(a=1), "namespace(a=1)"),
    (ValueError("no"), "no"),
]


@pytest.mark.parametrize(("value", "json"), TOLD, ids=lambda value: f"{type(value).__name__}-{value!s:.20}")
def test_what_can_be_told_in_json_is(value: object, json: object) -> None:
    told = as_json(value)
    assert told == json
    assert type(told) is type(json) or isinstance(value, type(json))


def test_texts_are_told_bare_and_numbers_that_json_has_not_in_their_names() -> None:
    assert as_text(as_json(Decimal("1.5"))) == "1.5"
    odd = ["ä", None, math.nan, -math.inf, {math.inf: np.array([np.inf])}]
    assert as_text(as_json(odd)) == '["ä", null, "NaN", "-Infinity", {"Infinity": ["Infinity"]}]'
    assert as_text(as_json(np.float32("nan"))) == "NaN"


@pytest.mark.parametrize(
    "twins", [(1, "1"), (None, "null"), (date(2026, 1, 2), "2026-01-02"), (float("nan"), math.nan)]
)
def test_no_entry_of_a_mapping_is_lost_where_two_keys_are_one_in_json(twins: tuple[object, object]) -> None:
    for mapping in (dict, OrderedDict, UserDict):
        with pytest.raises(Unsayable, match="of which two keys are"):
            as_json([mapping([(twins[0], "a"), (twins[1], "b")])])


def endless() -> object:
    cycle: list[object] = []
    cycle.append({"again": cycle})
    return cycle


class Secretive:
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), "an object of the type object, of which JSON can say nothing"),
        ({"deep": [lambda: 1]}, "an object of the type function, of which JSON"),
        (endless(), "a list that is nested too deeply, or contains itself"),
        (b"\xff\x00", "bytes that are no text in UTF-8"),
        ((n for n in range(3)), "a generator, which may never end"),
        (map(str, [1]), "a map, which may never end"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_cannot_be_told_is_named(value: object, words: str) -> None:
    with pytest.raises(Unsayable, match=words):
        as_json(value)


def test_what_the_values_own_methods_raise_is_left_as_it_is() -> None:
    with pytest.raises(RuntimeError, match="no"):
        as_json(Secretive())
