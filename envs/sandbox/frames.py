"""Frames on a socket, seen from the host: counted before they are kept, parsed before they are believed."""

from __future__ import annotations

import math
import re
import socket
import struct
import time

from .inside.codec import MAX_FRAME, Wire, frame, loads

TOO_LONG = "too long"
ROOM = 1 << 20  # bytes of a frame that is looked into, unless more is expected
_MOST_VALUES, _MOST_PARTS = 1 << 21, 1 << 19  # numbers and the like, lists and objects, in a frame of more
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')


class Deadline(Exception):
    """The time is over."""


class Malformed(Exception):
    """What arrived is no frame, or too large for one."""


class Hangup(Exception):
    """The other side closed its channel, as it does by ending."""


class Frames:
    """A socket that carries frames. The time limit is for a whole exchange, never for each read.

    With `budget`, that many bytes are read in all, and more is malformed.
    """

    def __init__(self, channel: socket.socket, budget: float = math.inf) -> None:
        self.channel = channel
        self._budget = budget
        self._buffer = bytearray()

    def send(self, wire: Wire, deadline: float) -> None:
        """Write one frame. Deadline if it is not read in time; OSError if the other side is gone."""
        self.channel.settimeout(_left(deadline))
        try:
            self.channel.sendall(frame(wire))
        except TimeoutError:
            raise Deadline from None

    def receive(self, deadline: float, room: int = ROOM) -> dict[str, Wire]:
        """Read one frame, which must be an object. Raises Deadline, Malformed or Hangup.

        What has come by the deadline counts, also where it is looked at later: this process may have been paused.
        One of more than `room` bytes is not looked into, nor a large one of very many parts, which would take much more
        memory than its bytes: its place is taken by `{TOO_LONG: bytes}`.
        """
        late = False
        while True:
            message = self._pop(room)
            if message is not None:
                return message
            if late:
                raise Deadline
            left = deadline - time.monotonic()
            late = left <= 0
            self.channel.settimeout(max(0.0, left))
            try:
                data = self.channel.recv(1 << 16)
            except (TimeoutError, BlockingIOError):
                raise Deadline from None
            except ConnectionError:
                raise Hangup from None
            if not data:
                raise Malformed("an unfinished frame") if self._buffer else Hangup()
            self._buffer += data
            self._budget -= len(data)
            if self._budget < 0:
                raise Malformed("too many bytes in all")

    def _pop(self, room: int) -> dict[str, Wire] | None:
        if len(self._buffer) < 4:
            return None
        (length,) = struct.unpack_from("!I", self._buffer)
        if length > MAX_FRAME:
            raise Malformed(f"a frame of {length} bytes")
        if len(self._buffer) < 4 + length:
            return None
        body = bytes(self._buffer[4 : 4 + length])
        del self._buffer[: 4 + length]
        if length > room or (length > ROOM and _is_heavy(body)):
            return {TOO_LONG: length}
        try:
            message = loads(body)
        except ValueError as error:
            raise Malformed(f"a frame that is not JSON: {error}") from None
        if not isinstance(message, dict):
            raise Malformed("a frame that is no object")
        return message


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise Deadline
    return left


def _is_heavy(body: bytes) -> bool:
    bare = _STRING.sub(b"", body)
    return bare.count(b",") > _MOST_VALUES or bare.count(b"[") + bare.count(b"{") > _MOST_PARTS
