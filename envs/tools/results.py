"""What a tool gave, as JSON: everything that can be said in it, whatever type its author has used.

    (1, None)  deque  numpy arrays            [1, null]
    {3, 1}  frozenset                         [1, 3]: sorted, since their order differs from process to process
    dataclass, pydantic model, mapping        {"name": value}
    enum                                      its value
    date, Decimal, UUID, Path, timedelta …    text, as pydantic writes it
    NaN, Infinity, -Infinity                  these words, for JSON has no such numbers
    Fraction, complex, and the author's own   str(value), where that says something

Left to the author, whose mistake it is: what says nothing but its address in memory, bytes that are no text, what
contains itself, and generators, which may never end.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys
from collections import deque
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from enum import Enum
from typing import Any, cast

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

JsonValue = None | bool | int | float | str | list[Any] | dict[str, Any]

_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+>")
_LISTS = (list, tuple, deque, range, KeysView, ValuesView, ItemsView)


class Unsayable(TypeError):
    """A value that JSON cannot say; the message names what it is."""


def as_json(value: object) -> JsonValue:
    """The value as JSON. Raises Unsayable, and whatever methods of the value's own raise."""
    try:
        return _said(value)
    except RecursionError:
        raise Unsayable(f"a {type(value).__name__} that is nested too deeply, or contains itself") from None


def as_text(value: JsonValue) -> str:
    """What the agent reads: a text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False)


def _said(value: Any) -> JsonValue:
    if isinstance(value, Enum):
        return _said(value.value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return _with_keys(value)
    if isinstance(value, _LISTS):
        return [_said(part) for part in value]
    if isinstance(value, set | frozenset):
        return _sorted([_said(part) for part in value])
    if isinstance(value, BaseModel):
        return _said(value.model_dump())
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic | numpy.ndarray):
        plain = value.tolist()
        return _text(value) if isinstance(plain, numpy.generic) else _said(plain)  # a long double is its own item
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _said(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Iterator):
        raise Unsayable(f"a {type(value).__name__}, which may never end; it may return a list")
    try:
        return cast(JsonValue, to_jsonable_python(value, fallback=_text))
    except UnicodeDecodeError:
        raise Unsayable(f"{type(value).__name__} that are no text in UTF-8") from None


def _with_keys(value: Mapping[Any, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for key, part in value.items():
        name = as_text(_said(key))
        if name in said:
            raise Unsayable(f"a {type(value).__name__} of which two keys are {name!r:.60} in JSON")
        said[name] = _said(part)
    return said


def _sorted(parts: list[Any]) -> list[Any]:
    try:
        return sorted(parts)
    except TypeError:  # of different kinds
        return sorted(parts, key=lambda part: json.dumps(part, sort_keys=True))


def _text(value: object) -> str:
    text = str(value)
    if _ADDRESS.search(text):
        kind = type(value).__name__
        raise Unsayable(
            f"an object of the type {kind}, of which JSON can say nothing: return its parts, or write __str__"
        )
    return text
