"""Values as JSON with their exact types, and frames on a byte stream: the only language across the border.

    None, True, 1, 1.5, "a", [1]     as in JSON
    (1,)          {"t": [1]}         {1: 2}         {"d": [[1, 2]]}
    {1}           {"s": [1]}         frozenset      {"z": [...]}
    b"a"          {"b": "61"}        1j             {"c": [0.0, 1.0]}
    2**70         {"i": "0x4..."}    inf, nan       {"f": "inf"}

A frame is a four-byte big-endian length and that much JSON. Sub-classes of these types travel as the type they
extend: a Counter is its dict, a named tuple its tuple; a scalar of numpy's travels as Python's own. Nothing here can
execute anything. Left out: shared and cyclic references (a cycle is an error), and every other type.
"""

from __future__ import annotations

import json
import math
import os
import struct
import sys
from typing import Any, Union

Wire = Union[None, bool, int, float, str, "list[Wire]", "dict[str, Wire]"]

MAX_FRAME = 1 << 20
MAX_DEPTH = 64  # of a value
_MAX_LEVELS = 200  # of JSON, of which a mapping takes three for each of its own
_BIG = 1 << 63


class Unsupported(TypeError):
    """A value of a type that does not cross the border."""


def encode(value: object, depth: int = 0) -> Wire:
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
    deeper = depth + 1
    if isinstance(value, list):
        return [encode(item, deeper) for item in list.__iter__(value)]
    if isinstance(value, tuple):
        return {"t": [encode(item, deeper) for item in tuple.__iter__(value)]}
    if isinstance(value, dict):
        return {"d": [[encode(k, deeper), encode(v, deeper)] for k, v in dict.items(value)]}
    if isinstance(value, set):
        return {"s": [encode(item, deeper) for item in set.__iter__(value)]}
    if isinstance(value, frozenset):
        return {"z": [encode(item, deeper) for item in frozenset.__iter__(value)]}
    if isinstance(value, bytes):
        return {"b": bytes.hex(value)}
    if isinstance(value, complex):
        return {"c": [encode(value.real), encode(value.imag)]}
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        plain: object = numpy.generic.item(value)
        if type(plain) is not type(value):  # a long double is its own item
            return encode(plain, deeper)
    raise Unsupported(f"a value of type {type(value).__name__}")


def decode(wire: Wire, depth: int = 0) -> Any:
    """The value of a wire form, of any type that crosses. ValueError on anything that `encode` does not write."""
    if not isinstance(wire, (list, dict)):
        return wire
    if depth > MAX_DEPTH + 1:
        raise ValueError("nested too deep")
    deeper = depth + 1
    if isinstance(wire, list):
        return [decode(item, deeper) for item in wire]
    if len(wire) != 1:
        raise ValueError("malformed value")
    ((tag, body),) = wire.items()
    try:
        return _decode_tagged(tag, body, deeper)
    except (TypeError, KeyError) as error:
        raise ValueError(f"malformed value: {error}") from error


def _decode_tagged(tag: str, body: Wire, depth: int) -> Any:
    if isinstance(body, str):
        if tag == "i":
            return int(body, 16)
        if tag == "b":
            return bytes.fromhex(body)
        if tag == "f":
            return {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}[body]
    elif isinstance(body, list):
        if tag == "d":
            pairs = [_pair(item) for item in body]
            return {decode(key, depth): decode(value, depth) for key, value in pairs}
        items = [decode(item, depth) for item in body]
        if tag == "t":
            return tuple(items)
        if tag == "s":
            return set(items)
        if tag == "z":
            return frozenset(items)
        if tag == "c":
            real, imaginary = items
            if type(real) is type(imaginary) is float:  # of complex parts, infinite ones would make NaN
                return complex(real, imaginary)
    raise ValueError(f"malformed value with tag {tag!r}")


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
            raise ValueError("the answer is too large")
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
