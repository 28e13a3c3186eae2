"""Values as JSON with their exact types, and frames on a byte stream: the only language across the border.

    None, True, 1, 1.5, "a", [1]     as in JSON
    (1,)          {"t": [1]}         {1: 2}         {"d": [[1, 2]]}
    {1}           {"s": [1]}         frozenset      {"z": [...]}
    b"a"          {"b": "61"}        1j             {"c": [0.0, 1.0]}
    2**70         {"i": "0x4..."}    inf, nan       {"f": "inf"}
    deque         {"q": [...]}       Decimal        {"m": "1.50"}
    Fraction      {"r": [1, 3]}      date, time …   {"e": ["date", "2026-11-26"]}
    named tuple   {"n": ["Point", ["x", "y"], [1, 2]]}
    numpy array   {"y": ["float64", [[1.0, 2.0]]]}

A frame is a four-byte big-endian length and that much JSON. Sub-classes of these types travel as the type they
extend: a Counter is its dict; a scalar of numpy's travels as Python's own, a range or an iterator as its list. Nothing
here can execute anything. Whoever calls may give `keep` and `find`, which carry what has no form of its own (iterators
then too) as an object of theirs: `{"o": …}`. Left out: shared and cyclic references (a cycle is an error), and every
other type.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
import sys
from collections import deque, namedtuple
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from typing import Any, Union

Wire = Union[None, bool, int, float, str, "list[Wire]", "dict[str, Wire]"]
Keep = Callable[[object], Wire]  # what stands for an object that has no form of its own
Find = Callable[[Wire], object]  # and back

MAX_FRAME = 32 << 20
MAX_DEPTH = 64  # of a value
_MAX_LEVELS = 200  # of JSON, of which a mapping takes three for each of its own
_MOST_ITEMS = 1 << 21  # of an iterator
_BIG = 1 << 63
_PLAIN = frozenset((type(None), bool, str))  # types that are their own wire form
_KIND = re.compile(r"(bool|u?int|float|complex|str)\d*")  # of an array's numbers
_MOMENTS = {"date": date, "datetime": datetime, "time": time}
_VIEWS = (range, type({}.keys()), type({}.values()), type({}.items()))


class Unsupported(TypeError):
    """A value of a type that does not cross the border."""


def encode(value: object, depth: int = 0, keep: Keep | None = None) -> Wire:
    """The wire form of a value. `Unsupported` names the type that cannot cross, or says that it nests too deep."""
    if value is None or value is True or value is False:
        return value  # type: ignore[return-value]  # pyright does not narrow the chain
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        number = int.__int__(value)
        return number if -_BIG <= number < _BIG else {"i": hex(number)}
    if isinstance(value, float):
        number_f = float.__float__(value)
        return number_f if math.isfinite(number_f) else {"f": repr(number_f)}
    if depth > MAX_DEPTH:
        raise Unsupported(f"a value nested more than {MAX_DEPTH} deep")
    if isinstance(value, list):
        return _items(list(list.__iter__(value)), depth, keep)
    if isinstance(value, tuple):
        items = _items(list(tuple.__iter__(value)), depth, keep)
        fields = getattr(type(value), "_fields", None)
        if isinstance(fields, tuple) and len(fields) == len(items):
            return {"n": [type(value).__name__, [str(field) for field in fields], items]}
        return {"t": items}
    if isinstance(value, dict):
        keys, parts = list(dict.keys(value)), list(dict.values(value))
        pairs = zip(_items(keys, depth, keep), _items(parts, depth, keep))  # noqa: B905  # Python 3.9 has no strict zip
        return {"d": [[key, part] for key, part in pairs]}
    if isinstance(value, set):
        return {"s": _items(list(set.__iter__(value)), depth, keep)}
    if isinstance(value, frozenset):
        return {"z": _items(list(frozenset.__iter__(value)), depth, keep)}
    return _encode_rare(value, depth, keep)


def _items(items: list[Any], depth: int, keep: Keep | None) -> list[Wire]:
    """The wire forms of items; the whole list at once where all are plain."""
    kinds = set(map(type, items))
    if kinds <= _PLAIN:
        return items
    if kinds == {int} and min(items) >= -_BIG and max(items) < _BIG:
        return items
    if kinds == {float} and all(map(math.isfinite, items)):
        return items
    return [encode(item, depth + 1, keep) for item in items]


def _encode_rare(value: Any, depth: int, keep: Keep | None) -> Wire:
    if isinstance(value, (bytes, bytearray)):
        return {"b": bytes.hex(bytes(value))}
    if isinstance(value, complex):
        return {"c": [encode(value.real), encode(value.imag)]}
    if isinstance(value, Decimal):
        return {"m": Decimal.__str__(value)}
    if isinstance(value, Fraction):
        return {"r": [encode(value.numerator), encode(value.denominator)]}
    if isinstance(value, timedelta):
        return {"e": ["timedelta", value.days, value.seconds, value.microseconds]}
    for name in ("datetime", "date", "time"):
        if isinstance(value, _MOMENTS[name]):
            return {"e": [name, _MOMENTS[name].isoformat(value)]}
    if isinstance(value, deque):
        return {"q": _items(list(deque.__iter__(value)), depth, keep)}
    if isinstance(value, _VIEWS):
        return _items(list(value), depth, keep)
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        plain: object = numpy.generic.item(value)
        if type(plain) is not type(value):  # a long double is its own item
            return encode(plain, depth + 1, keep)
    if numpy is not None and isinstance(value, numpy.ndarray) and value.dtype.kind in "biufcU":
        return {"y": [value.dtype.name, encode(numpy.ndarray.tolist(value), depth)]}
    if keep is not None:
        return {"o": keep(value)}
    if isinstance(value, Iterator):
        items = list(islice(value, _MOST_ITEMS + 1))
        if len(items) > _MOST_ITEMS:
            raise Unsupported(f"an iterator of more than {_MOST_ITEMS} items")
        return _items(items, depth, keep)
    raise Unsupported(f"a value of type {type(value).__name__}")


def decode(wire: Wire, depth: int = 0, find: Find | None = None) -> Any:
    """The value of a wire form, of any type that crosses. ValueError on anything that `encode` does not write."""
    if not isinstance(wire, (list, dict)):
        return wire
    if depth > MAX_DEPTH + 1:
        raise ValueError("nested too deep")
    deeper = depth + 1
    if isinstance(wire, list):
        if not set(map(type, wire)) & {list, dict}:
            return list(wire)
        return [decode(item, deeper, find) for item in wire]
    if len(wire) != 1:
        raise ValueError("malformed value")
    ((tag, body),) = wire.items()
    try:
        if tag == "o" and find is not None:
            return find(body)
        return _decode_tagged(tag, body, deeper, find)
    except (TypeError, KeyError, ArithmeticError) as error:
        raise ValueError(f"malformed value: {error}") from error


def _decode_tagged(tag: str, body: Wire, depth: int, find: Find | None) -> Any:
    if isinstance(body, str):
        if tag == "i":
            return int(body, 16)
        if tag == "b":
            return bytes.fromhex(body)
        if tag == "f":
            return {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}[body]
        if tag == "m":
            return Decimal(body)
    elif isinstance(body, list):
        if tag == "d":
            pairs = [_pair(item) for item in body]
            return {decode(key, depth, find): decode(value, depth, find) for key, value in pairs}
        items = decode(body, depth, find)
        if tag in _SEQUENCES:
            return _SEQUENCES[tag](items)
        if tag == "c":
            real, imaginary = items
            if type(real) is type(imaginary) is float:  # of complex parts, infinite ones would make NaN
                return complex(real, imaginary)
        if tag == "r":
            return Fraction(*items)
        if tag in "eny":
            return {"e": _moment, "n": _named, "y": _array}[tag](*items)
    raise ValueError(f"malformed value with tag {tag!r}")


_SEQUENCES: dict[str, Callable[[Any], Any]] = {"t": tuple, "s": set, "z": frozenset, "q": deque}


def _moment(kind: str, *parts: Any) -> object:
    return timedelta(*parts) if kind == "timedelta" else _MOMENTS[kind].fromisoformat(*parts)


@lru_cache(maxsize=64)
def _tuple_type(name: str, fields: tuple[str, ...]) -> Any:
    return namedtuple(name, fields)


def _named(name: str, fields: list[str], items: list[Any]) -> object:
    return _tuple_type(name, tuple(fields))(*items)


def _array(kind: str, items: Any) -> object:
    """An array, where numpy is there to make one; else its lists."""
    if not _KIND.fullmatch(kind):
        raise ValueError(f"malformed array of {kind!r:.40}")
    numpy: Any = sys.modules.get("numpy")
    return items if numpy is None else numpy.array(items, dtype=numpy.dtype(kind))


def _pair(item: Wire) -> tuple[Wire, Wire]:
    if isinstance(item, list) and len(item) == 2:
        return item[0], item[1]
    raise ValueError("malformed mapping")


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def loads(text: bytes) -> Wire:
    """Parse JSON strictly. ValueError on anything malformed, on NaN, on huge decimals and on deep nesting."""
    try:
        wire = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None
    level = [wire]
    for _ in range(_MAX_LEVELS):
        level = [child for parent in level if isinstance(parent, (list, dict)) for child in _children(parent)]
        if not level:
            return wire
    raise ValueError("nested too deep")


def _children(parent: Any) -> Any:
    return parent.values() if isinstance(parent, dict) else parent


def frame(wire: Wire) -> bytes:
    """The bytes of one frame."""
    body = json.dumps(wire, separators=(",", ":")).encode("ascii")
    return struct.pack("!I", len(body)) + body


class Channel:
    """Frames over a descriptor, from inside the sandbox, where reading may block."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        # The program may replace functions of these modules; the driver keeps the ones it knows.
        self._read, self._write, self._frame, self._loads = os.read, os.write, frame, loads

    def send(self, wire: Wire) -> None:
        """Write one frame; ValueError when it would be larger than a frame may be."""
        data = memoryview(self._frame(wire))
        if len(data) > MAX_FRAME:
            raise ValueError(f"a value of more than {MAX_FRAME >> 20} MiB")
        while data:
            data = data[self._write(self._descriptor, data) :]

    def receive(self, most: int = (1 << 32) - 1) -> dict[str, Any]:
        """Read one frame of at most so many bytes; EOFError when the other side has hung up."""
        (length,) = struct.unpack("!I", self._exactly(4))
        if length > most:
            raise ValueError(f"a frame of {length} bytes")
        message = self._loads(self._exactly(length))
        if not isinstance(message, dict):
            raise ValueError("the host sent something that is not an object")
        return message

    def _exactly(self, length: int) -> bytes:
        parts = []
        while length:
            part = self._read(self._descriptor, min(length, 1 << 20))
            if not part:
                raise EOFError("the host hung up")
            parts.append(part)
            length -= len(part)
        return b"".join(parts)
