"""Which part of a reply is the program.

Blocks are fenced as in Markdown: by three backticks or more, or tildes, and closed by as many at least. What is
inside a triple-quoted string does not close a block, so that a docstring may hold a fence. Of several blocks, the
program is the last that defines what was asked for: what comes after it shows how to use it, or what it prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

MAX_REPLY = 65_536  # characters; a longer reply holds no program
_PYTHON = ("python", "python3", "py")
_FENCE = re.compile(r"(?<!`)`{3,}(?!`)|^[ \t]*~{3,}(?!~)", re.MULTILINE)
# Outside of a long string: what may hold a quote that begins none.
_TOKEN = re.compile(r"""\\.|\"""|'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\#.*""")
_RUNS = re.compile(r"\b(?:print|input|import|open|write)\b")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language in small letters, empty if there is none, and what is in it."""

    language: str
    text: str


def find_blocks(reply: str) -> list[Block]:
    """The blocks of a reply that hold something. Linear in the length of the reply, which is capped."""
    if len(reply) > MAX_REPLY:
        return []
    blocks: list[Block] = []
    openings = list(_openings(reply))
    at, strings = 0, True
    for opening in openings:
        if opening.begin < at:  # it is in a block
            continue
        end, at, fell_back = _end_of(reply, opening.start, opening.fence, strings)
        strings = strings and not fell_back  # once is enough: every further look ahead would take as long
        if end is None:  # nothing closes: what counts is what begins last
            opening, end, at = openings[-1], len(reply), len(reply)
        text = reply[opening.start : end]
        if text.strip():
            blocks.append(Block(opening.language, text))
    return blocks


class _Opening(NamedTuple):
    begin: int
    fence: str
    language: str
    start: int  # of the text


def _openings(reply: str) -> Iterator[_Opening]:
    for found in _FENCE.finditer(reply):
        stop = reply.find("\n", found.end())
        words = reply[found.end() : max(stop, 0)]
        if stop >= 0 and "`" not in words:
            yield _Opening(found.start(), found[0].strip(), (words.split() or [""])[0].lower(), stop + 1)


def _end_of(reply: str, start: int, fence: str, strings: bool) -> tuple[int | None, int, bool]:
    """Where a block's text ends, and its closing fence; and whether that is in what looked like a string."""
    closing = re.compile(rf"[ \t]*{re.escape(fence[0])}{{{len(fence)},}}(?![\w`~])")
    quoted: tuple[int, int] | None = None
    quote = ""
    at = start
    while at < len(reply):
        stop = reply.find("\n", at) + 1 or len(reply)
        if found := closing.match(reply, at, stop):
            if not quote:
                return at, found.end(), False
            quoted = quoted or (at, found.end())
        if strings:
            quote = _quote_after(reply[at:stop], quote)
        at = stop
    return (*quoted, True) if quoted else (None, at, False)


def _quote_after(line: str, quote: str) -> str:
    """The triple quote that is open after a line, given that before it; empty if none is."""
    at = 0
    while at < len(line):
        if quote:
            end = line.find(quote, at)
            while end > 0 and line[end - 1] == "\\":
                end = line.find(quote, end + 1)
            if end < 0:
                return quote
            at, quote = end + 3, ""
        found = _TOKEN.search(line, at)
        if found is None:
            return ""
        at = found.end()
        if found[0] in ('"""', "'''"):
            quote = found[0]
    return quote


def find_programs(reply: str) -> list[str]:
    """The contents of the blocks that may be programs: of Python, or of no language that is told."""
    return [block.text for block in find_blocks(reply) if block.language in ("", *_PYTHON)]


def find_program(reply: str, entry: str | None) -> str | None:
    """The block to judge: the last that defines `entry` (of a method, its class), or, where no function is asked for,
    the last that runs.

    One that says it is Python comes before all that say nothing. None if there is no block.
    """
    blocks = [block for block in find_blocks(reply) if block.language in ("", *_PYTHON)]
    name = re.escape((entry or "").partition(".")[0].removesuffix("()"))
    wanted = _RUNS if entry is None else re.compile(
        rf"^[ \t]*(?:(?:async[ \t]+)?def|class)[ \t]+{name}\b|^{name}[ \t]*(?::[^=\n]*)?=", re.MULTILINE
    )  # fmt: skip
    said = [block.text for block in blocks if block.language]
    for texts in (said, [block.text for block in blocks]):
        fitting = [text for text in texts if wanted.search(text)]
        if fitting:
            return fitting[-1]
    texts = said or [block.text for block in blocks]
    return texts[-1] if texts else None
