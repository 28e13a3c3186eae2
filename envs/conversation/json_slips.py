"""What is wrong with a line that is no JSON, in the words of somebody who has to mend it."""

from __future__ import annotations

import re
from json import JSONDecodeError

_PYTHON = {"None": "null", "True": "true", "False": "false"}
_COLUMNS = "“”„‘’"  # quotes that other programs write


def slip(line: str, error: JSONDecodeError) -> str:
    """Behind "this line is not JSON": where, and what may be written instead."""
    where = f"at column {error.colno}"
    hint = _hint(line, error)
    said = error.msg.removesuffix(" at").replace("delimiter", "here")
    return f"{said[0].lower()}{said[1:]} {where}" + (f"; {hint}" if hint else "")


def _hint(line: str, error: JSONDecodeError) -> str | None:
    rest = line[error.pos :]
    before = line[: error.pos].rstrip()
    if curly := next((letter for letter in line if letter in _COLUMNS and not _in_text(line, letter)), None):
        return f'{curly} is a curly quote; texts and keys stand in straight ones, "…"'
    if line.lstrip().startswith(("//", "#")):
        return "JSON has no comments; leave the line out"
    if error.msg == "Extra data":
        return "behind an object stands no comma" if rest.startswith(",") else "write one object a line"
    if line.strip() in ("[", "{") or (before.endswith(("[", "{")) and not rest.strip()):
        return "write one object a line, without line breaks in it and without [ ] around all"
    if rest[:1] in ("}", "]") and before.endswith(","):
        return f"no comma stands before {rest[0]}"
    for word, right in _PYTHON.items():
        if rest.startswith(word):
            return f"write {right}, not {word}"
    if error.msg.startswith("Invalid control"):
        return r"a tab in a text is written \t, and a line break \n"
    if "escape" in error.msg:
        return r"a backslash in a text is written \\"
    if re.match(r"\s*[{,]?\s*'", line[max(error.pos - 1, 0) :]):
        return "texts and keys stand in double quotes"
    return None


def _in_text(line: str, letter: str) -> bool:
    """Whether a letter stands within straight quotes, where it may."""
    return line[: line.index(letter)].count('"') % 2 == 1
