"""Tables that stay readable: in columns where they fit, otherwise one paragraph for each row; and sentences that fit.

Only the last column may wrap, and only while it has room; a table that would have to fold more than that is written
as paragraphs, so that no name and no number is ever broken. Whoever pipes a table gets one line for each row.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...envs.visible_text import visible
from ..streams import data

ROOM = 30  # characters that the last column needs
PROSE = "what"  # the column that is a sentence
UNLIMITED = 10_000


def print_table(rows: Sequence[Mapping[str, str]]) -> None:
    """Print `rows`, which all have the same keys, to stdout."""
    if not rows:
        return
    rows = [{name: visible(value) for name, value in row.items()} for row in rows]
    out = console()
    names = list(rows[0])
    widths = [max(len(name), *(len(row[name]) for row in rows)) for name in names]
    room = out.width - sum(width + 2 for width in widths[:-1]) - 2
    if room >= min(widths[-1], ROOM):
        out.print(_columns(rows))
    else:
        for row in rows:
            out.print(_paragraph(row, out.width))


def print_lines(*lines: str) -> None:
    """Print sentences to stdout; what does not fit goes on in the next line, further in. Words are broken only where
    one alone is longer than a line."""
    out = console()
    for line in map(visible, lines):
        inset = line[: len(line) - len(line.lstrip())]
        for part in textwrap.wrap(line, out.width, subsequent_indent=f"{inset}    ", break_on_hyphens=False) or [""]:
            out.print(part, soft_wrap=True)


def console() -> Console:
    """Writes to stdout as wide as the terminal is, or as COLUMNS says; to a pipe without any limit."""
    limited = data().isatty() or "COLUMNS" in os.environ
    return Console(file=data(), width=None if limited else UNLIMITED, markup=False, highlight=False)


def _columns(rows: Sequence[Mapping[str, str]]) -> Table:
    grid = Table(box=None, header_style="bold")
    names = list(rows[0])
    for name in names:
        last = name == names[-1]
        grid.add_column(name, no_wrap=not last, overflow="fold")
    for row in rows:
        grid.add_row(*row.values())
    return grid


def _paragraph(row: Mapping[str, str], width: int) -> Text:
    """The first value in bold, its sentence, then `name: value` of what has a value; short ones are never broken
    inside."""
    (_, title), *others = row.items()
    pairs = [f"{name}: {value}" for name, value in others if name != PROSE and value]
    pairs = [pair.replace(" ", "\xa0") if len(pair) < width // 2 else pair for pair in pairs]
    lines = []
    for part in (row.get(PROSE, ""), "   ".join(pairs)):
        lines += textwrap.wrap(part, width, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
    text = Text(title, style="bold")
    return text.append("".join("\n" + line.replace("\xa0", " ") for line in lines), style="not bold")
