"""What the header of a GGUF file may claim, looked at before anything is made of it.

Its reader believes every length, and de-quantising makes as many numbers as the tensors claim. So the header is read
here, in steps that its own bytes pay for: each string, list and tensor lies within the file, the tensors together hold
no more numbers than so many bytes can (a weight takes a bit at least), and the shape of the model is no larger than
they are. Left out: what stands in the values, which is the tokenizer's and the template's.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import BinaryIO

from ...envs.errors import UserError

_MAX_ENTRIES = 1 << 16  # of the header, and tensors; known models have some hundreds
_MAX_LIST = 1 << 22  # elements of one list; a vocabulary has some hundred thousands
_MAX_DEPTH = 4  # of lists within lists
_WEIGHTS_PER_BYTE = 8
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of a value, by its type
_WHOLE = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 10: "<Q", 11: "<q"}
_STRING, _LIST = 8, 9
_LAYERS = ".block_count"
_SIDES = (".embedding_length", ".feed_forward_length", ".vocab_size")


def check_gguf(file: Path) -> None:
    """UserError for a GGUF file whose header claims what the file does not hold."""
    if not file.stat().st_size:
        raise UserError(f"could not read {file}: it is empty; get it anew")
    try:
        with file.open("rb") as stream:
            _Header(stream, file.stat().st_size).check()
    except (OSError, ValueError, struct.error) as error:
        raise UserError(f"could not read {file}: it is no GGUF file, or a damaged one: {error}") from None


class _Header:
    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._size = stream, size
        self._claims: dict[str, int] = {}

    def check(self) -> None:
        """ValueError where the file claims too much."""
        if self._read(4) != b"GGUF":
            raise ValueError("it does not begin with GGUF")
        version, tensors, entries = struct.unpack("<IQQ", self._read(20))
        if version not in (2, 3):
            raise ValueError(f"version {version}, where 2 and 3 are known")
        if max(tensors, entries) > _MAX_ENTRIES:
            raise ValueError(f"{tensors} tensors and {entries} entries are claimed; {_MAX_ENTRIES} are allowed")
        for _ in range(entries):
            name = self._string().decode("utf-8", "replace")
            self._value(name, *struct.unpack("<I", self._read(4)))
        weights, longest = 0, 1
        for _ in range(tensors):
            self._string()
            (rank,) = struct.unpack("<I", self._read(4))
            if rank > 8:
                raise ValueError(f"a tensor with {rank} sides")
            *sides, _, offset = struct.unpack(f"<{rank}QIQ", self._read(8 * rank + 12))
            if offset > self._size:
                raise ValueError("a tensor lies behind the end of the file")
            weights, longest = weights + math.prod(sides), max(longest, *sides, 1)
        if weights > _WEIGHTS_PER_BYTE * self._size:
            raise ValueError(f"its tensors claim {weights} numbers in {self._size} bytes")
        for name, claimed in self._claims.items():
            most = tensors if name.endswith(_LAYERS) else longest
            if claimed > most:
                raise ValueError(f"{name} is {claimed}, and its tensors have at most {most}")

    def _read(self, length: int) -> bytes:
        if length > self._size - self._stream.tell():
            raise ValueError(f"{length} bytes are claimed behind the end of the file")
        return self._stream.read(length)

    def _string(self) -> bytes:
        return self._read(*struct.unpack("<Q", self._read(8)))

    def _value(self, name: str, kind: int, depth: int = 0) -> None:
        if kind == _STRING:
            self._string()
        elif kind == _LIST:
            inner, count = struct.unpack("<IQ", self._read(12))
            if count > _MAX_LIST or depth == _MAX_DEPTH:
                raise ValueError(f"{name[:80]!r} is a list of {count} values, {depth} lists deep")
            if inner in _SIZES:
                self._read(_SIZES[inner] * count)
            else:
                for _ in range(count):
                    self._value(name, inner, depth + 1)
        elif kind not in _SIZES:
            raise ValueError(f"{name[:80]!r} has the type {kind}, which is not known")
        else:
            raw = self._read(_SIZES[kind])
            if kind in _WHOLE and name.endswith((_LAYERS, *_SIDES)):
                (self._claims[name],) = struct.unpack(_WHOLE[kind], raw)
