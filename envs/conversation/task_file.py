"""Tasks in a `.jsonl` file, read strictly: each mistake is said with the file and the line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError, nearest
from ..named_objects import module_folders
from .json_slips import slip

_MOST_BYTES = 1 << 30
_BETWEEN_COLUMNS = (",", "\t", ";")
_WIDE = b"\xff\xfe"
_OTHERS = {  # how files of other kinds begin, and what they are
    b"\xff\xfe\0\0": "text in UTF-32, and tasks are read as UTF-8; save it as UTF-8",
    b"\0\0\xfe\xff": "text in UTF-32, and tasks are read as UTF-8; save it as UTF-8",
    _WIDE: "text in UTF-16, and tasks are read as UTF-8; save it as UTF-8",
    b"\xfe\xff": "text in UTF-16, and tasks are read as UTF-8; save it as UTF-8",
    b"\x1f\x8b": "packed with gzip; unpack it, and name the .jsonl file",
    b"PK\x03\x04": "a zip archive; unpack it, and name the .jsonl file",
    b"PAR1": "a parquet file; write its rows as JSON objects, one a line",
    b"version https://git-lfs": "a pointer of git lfs, not the file itself; fetch it with: git lfs pull",
}
Row = tuple[str, dict[str, Any]]  # where it stands, and what stands there


def read_rows(path: Path) -> list[Row]:
    """The objects of a file with one JSON object a line; empty lines are passed over.

    Raises:
        UserError: there is no such file, it is no text in UTF-8, or a line is not one JSON object whose keys differ
            and whose numbers are finite.
    """
    rows = []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if line.strip():
            rows.append((f"{path}:{number}", _object(f"{path}:{number}", line)))
    if not rows:
        raise UserError(f'{path} holds no tasks; write one JSON object a line, such as {{"prompt": "…"}}')
    return rows


def _text(path: Path) -> str:
    if path.is_dir():
        raise UserError(f"cannot read tasks from {path}: it is a folder; name the .jsonl file in it")
    if path.exists() and not path.is_file():
        raise UserError(f"cannot read tasks from {path}: it is a device or a pipe; name a .jsonl file")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UserError(f"{path} has more than {_MOST_BYTES:,} bytes, which are too many to be read at once")
        raw = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"cannot read tasks from {path}: there is no such file{_elsewhere(path)}") from None
    except OSError as error:
        raise UserError(f"cannot read tasks from {path}: {error.strerror or error}") from error
    for begins, what in _OTHERS.items():
        if raw.startswith(begins):
            raise UserError(f"{path} is {what}")
    if raw[:200].count(0) > len(raw[:200]) // 4:
        raise UserError(f"{path} is {_OTHERS[_WIDE]}")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        before = raw[raw.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8", "replace")
        raise UserError(
            f"{path}:{line}: the byte 0x{raw[error.start]:02x} behind {before[-20:]!r} is no UTF-8 (in latin-1 it is "
            f"{raw[error.start : error.start + 1].decode('latin-1')!r}): save the file as UTF-8"
        ) from error


def _elsewhere(path: Path) -> str:
    """The rest of a sentence about a file that is missing."""
    if path.is_absolute():
        place = path.parent
    else:
        place = Path.cwd() / path.parent
        for folder in module_folders():
            if (folder / path).is_file():
                return f" in {Path.cwd()}, where the command was typed; there is {folder / path}"
    beside = [other.name for other in place.iterdir()] if place.is_dir() else []
    return f" in {place}.{nearest(path.name, beside)}"


def _object(place: str, line: str) -> dict[str, Any]:
    def unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            raise UserError(
                f"{place}: the key {next(k for k in keys if keys.count(k) > 1)!r} stands twice in one object"
            )
        return found

    def refuse(word: str) -> float:
        raise UserError(f"{place}: {word} is no number that JSON has; write null, or leave the key out")

    try:
        task = json.loads(line, object_pairs_hook=unique, parse_constant=refuse)
    except UserError:
        raise
    except json.JSONDecodeError as error:
        if "{" not in line and any(mark in line for mark in _BETWEEN_COLUMNS):
            raise UserError(
                f"{place}: this line is no JSON but looks like a row of a table (CSV); write each row as one JSON "
                'object a line, such as {"prompt": "…", "answer": "…"}'
            ) from error
        raise UserError(f"{place}: this line is not JSON: {slip(line, error)}") from error
    except (ValueError, RecursionError):
        raise UserError(f"{place}: this line is nested too deeply, or has a number of too many digits") from None
    if isinstance(task, list):
        raise UserError(f"{place}: a task is a JSON object, not the list {line!r:.80}; write one object a line, no [ ]")
    if not isinstance(task, dict):
        raise UserError(f"{place}: a task is a JSON object, not {line!r:.80}")
    return task
