"""What a docstring says: of a function, and of each of its parameters, in the three styles that people write.

    Google                      NumPy                       Sphinx
    Args:                       Parameters                  :param room: which one,
        room (str): which       ----------                      in small letters
            one                 room : str
                                    which one

A description may go on over several lines; they become one. Of the function itself its first paragraph counts, for the
rest is for people. Left out: markup within the words, which stays as it is written.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass

_NAMES = r"\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*"  # x; x, y; **options
_SECTION = re.compile(r"(Args|Arguments|Parameters|Params|Keyword Args|Keyword Arguments|Other Parameters):?")
_OTHER = re.compile(r"[A-Z][A-Za-z]*(?: [A-Z][a-z]+)*:")  # Returns:, Raises:, Examples: …
_RULE = re.compile(r"[-=]{3,}")  # under a heading in NumPy's style
_GOOGLE = re.compile(rf"({_NAMES})\s*(?:\((?:[^()]|\([^()]*\))*\))?\s*:(?:\s+(.*))?")
_NUMPY = re.compile(rf"({_NAMES})(?:\s*:.*)?")
_FIELD = re.compile(r"[:@](?:param|parameter|arg|argument|key|keyword)\s+(?:[^:]*\s)?(\*{0,2}\w+)\s*:\s*(.*)")
_ANY_FIELD = re.compile(r"[:@]\w+[^:]*:")


@dataclass(frozen=True)
class Described:
    """What a docstring says."""

    summary: str
    parameters: dict[str, str]  # by name; of those that it describes


def described(function: object) -> Described:
    """What is written about a function or a class. Nothing where nothing is."""
    lines = (inspect.getdoc(function) or "").splitlines()
    summary: list[str] = []
    for number, line in enumerate(lines):
        if (not line.strip() and summary) or _begins_section(lines, number) or _ANY_FIELD.match(line):
            break
        summary.append(line)
    found: dict[str, str] = {}
    for names, words in (*_fields(lines), *_sections(lines)):
        for name in names.split(","):
            if words:
                found.setdefault(name.strip().lstrip("*"), words)
    return Described(_joined(summary), found)


def _fields(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Those in Sphinx's style: `:param x:`, with what is further in than that line."""
    for number, line in enumerate(lines):
        if field := _FIELD.match(line.strip()):
            more = _further_in(lines, number)
            more = more[: next((n for n, one in enumerate(more) if _ANY_FIELD.match(one.strip())), len(more))]
            yield field[1], _joined([field[2], *more])


def _sections(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Those in a section of parameters, in Google's style or in NumPy's."""
    for number, line in enumerate(lines):
        if not _SECTION.fullmatch(line.strip()):
            continue
        if number + 1 < len(lines) and _RULE.fullmatch(lines[number + 1].strip()):
            yield from _entries(_until_next_heading(lines, number + 2), _NUMPY)
        elif line.strip().endswith(":"):
            inside = lines[1:] if number == 0 else _further_in(lines, number)  # the first line has no indentation
            yield from _entries(inside, _GOOGLE)


def _entries(lines: list[str], form: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Each entry of a section, which begins at the section's own indentation."""
    margin = min((_indent(line) for line in lines if line.strip()), default=0)
    for number, line in enumerate(lines):
        if _indent(line) == margin and (entry := form.fullmatch(line.strip())):
            first = entry[2] if form is _GOOGLE else ""
            yield entry[1], _joined([first or "", *_further_in(lines, number)])


def _further_in(lines: list[str], number: int) -> list[str]:
    """The lines after `number` that are indented more than it."""
    inside = []
    for line in lines[number + 1 :]:
        if line.strip() and _indent(line) <= _indent(lines[number]):
            break
        inside.append(line)
    return inside


def _until_next_heading(lines: list[str], number: int) -> list[str]:
    """The lines of a section in NumPy's style: up to the next that is underlined."""
    end = number
    while end < len(lines) and not (end + 1 < len(lines) and _RULE.fullmatch(lines[end + 1].strip())):
        end += 1
    return lines[number:end]


def _begins_section(lines: list[str], number: int) -> bool:
    line = lines[number].strip()
    underlined = number + 1 < len(lines) and bool(_RULE.fullmatch(lines[number + 1].strip()))
    return bool(line) and (
        underlined or bool(_OTHER.fullmatch(line)) or bool(_SECTION.fullmatch(line) and line[-1] == ":")
    )


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _joined(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())
