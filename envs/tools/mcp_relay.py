"""What stands between an MCP server and us: it starts the server, and passes on the messages that are small enough.

    python -I -S mcp_relay.py COMMAND ARGUMENT …

Run as a script by `mcp_server.py`. The SDK reads a message whole and makes objects of it before anything can be asked
of them, and nothing else runs meanwhile. So each line of the server's is looked at here, in a process of its own: its
bytes, how many values it holds, how deeply they are nested, how long its numbers are. A message that is too large is
answered with an error in its place, if it names near its beginning the call that it answers; else the connection ends,
and the reason is the last line on standard error. What is no message is dropped. The server has our own standard input
and error.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import IO

MAX_BYTES = 4 << 20  # of a message: it may hold a picture
MAX_VALUES = 20_000  # in a message
MAX_DIGITS = 400  # of a number
MAX_DEPTH = 64  # of lists and objects in a message
REFUSED = "it sent a message of "
_CHUNK = 1 << 16
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_LONG_NUMBER = re.compile(rb"[0-9]{%d}" % (MAX_DIGITS + 1))
_NOT_SIGNS = bytes(set(range(256)) - set(b"[]{},"))
_PAIRS = re.compile(rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_LONE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")  # no text, and no reader of the SDK's takes it
_HALF = "what is no text: half of a pair of surrogates"
_ANSWERS = re.compile(rb'\s*\{(?:\s*"jsonrpc"\s*:\s*"2.0"\s*,)?\s*"id"\s*:\s*([0-9]{1,15})\s*,')


def excess(line: bytes) -> str:
    """What is too much in a message, such as "30,001 values, where 20,000 are allowed"; empty if nothing is."""
    if len(line) > MAX_BYTES:
        return f"more than {MAX_BYTES:,} bytes"
    bare = _STRING.sub(b"", line)
    if _LONG_NUMBER.search(bare):
        return f"a number of more than {MAX_DIGITS} digits"
    signs = bare.translate(None, _NOT_SIGNS)
    values = signs.count(b",") + signs.count(b"[") + signs.count(b"{")
    if values > MAX_VALUES:
        return f"{values:,} values, where {MAX_VALUES:,} are allowed"
    depth = deepest = 0
    for sign in signs:
        depth += (sign in b"[{") - (sign in b"]}")
        deepest = max(deepest, depth)
    return f"{deepest:,} levels, where {MAX_DEPTH} are allowed" if deepest > MAX_DEPTH else ""


def messages(source: IO[bytes]) -> Iterator[bytes]:
    """The lines of `source`; of one that is too long, or not ended, what came until that was clear."""
    kept: list[bytes] = []
    size = 0
    while chunk := source.readline(_CHUNK):
        kept.append(chunk)
        size += len(chunk)
        if chunk.endswith(b"\n") or size > MAX_BYTES:
            yield b"".join(kept)
            if not chunk.endswith(b"\n"):
                _skip_line(source)
            kept, size = [], 0


def _skip_line(source: IO[bytes]) -> None:
    while (chunk := source.readline(_CHUNK)) and not chunk.endswith(b"\n"):
        pass


def passed_on(line: bytes) -> bytes:
    """`line`, or an error in its place; empty for what is no message.

    Raises:
        ValueError: it is too large and answers nothing that could be told of it; the message says how large.
    """
    if not line.lstrip().startswith(b"{"):
        return b""
    wrong = excess(line)
    if not wrong:
        try:
            line.decode()
        except UnicodeDecodeError:
            return b""
        return _answer(_answered(line), _HALF) if _LONE.search(_PAIRS.sub(b" ", line)) else line
    answered = _ANSWERS.match(line)
    if answered is None:
        raise ValueError(REFUSED + wrong)
    return _answer(int(answered[1]), wrong)


def _answered(line: bytes) -> object:
    """The call that a message of bounded size answers; None where it is no answer."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message.get("id") if "method" not in message else None


def _answer(call: object, wrong: str) -> bytes:
    """An error in the place of the answer to a call; nothing in the place of what answers none."""
    error = {"code": -32603, "message": f"the server's answer cannot be read: {REFUSED}{wrong}"}
    return b"" if call is None else json.dumps({"jsonrpc": "2.0", "id": call, "error": error}).encode() + b"\n"


def main(command: list[str]) -> int:
    """Serve until the server's output ends."""
    try:
        server = subprocess.Popen([shutil.which(command[0]) or command[0], *command[1:]], stdout=subprocess.PIPE)
    except OSError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 127
    assert server.stdout is not None  # it was made with a pipe
    try:
        for line in messages(server.stdout):
            sys.stdout.buffer.write(passed_on(line))
            sys.stdout.buffer.flush()
    except ValueError as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
        server.kill()
    except OSError:  # nobody reads any more
        server.kill()
    return server.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
