"""The files of a run that only grow: its rows, what was typed, and the list of kept episodes.

Each checkpoint knows how many rows and bytes they had, and the SHA-256 of those bytes, which are on the disk by
then. So a resume can say whether they are whole, and cut them back to exactly what the checkpoint knew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

METRICS, EVALUATIONS, COMMANDS, KEPT = "metrics.jsonl", "evaluations.jsonl", "command.txt", "episodes/manifest.jsonl"
LOGS = (METRICS, EVALUATIONS)  # the ones whose rows a run is made of
GROWING = (*LOGS, COMMANDS, KEPT)


@dataclass(frozen=True)
class KnownLog:
    """The beginning of a file that grows."""

    rows: int
    bytes: int
    sha256: str

    @classmethod
    def of(cls, known: Mapping[str, Any], name: str) -> KnownLog:
        """What a checkpoint knows of the file `name`; nothing of a file that was not there."""
        return cls(**known.get(name, {"rows": 0, "bytes": 0, "sha256": hashlib.sha256().hexdigest()}))


class GrowingFiles:
    """Says what a run's growing files hold; each byte is read once."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._seen: dict[str, tuple[int, int, Any]] = {}  # rows, bytes, and the digest so far

    def known(self) -> dict[str, dict[str, Any]]:
        """As a checkpoint keeps it, by the file's name."""
        known = {}
        for name in GROWING:
            path = self._run / name
            if path.exists():
                known[name] = asdict(self._look(name, path))
        return known

    def _look(self, name: str, path: Path) -> KnownLog:
        rows, size, digest = self._seen.get(name, (0, 0, hashlib.sha256()))
        with path.open("rb") as file:
            if file.seek(0, os.SEEK_END) < size:  # somebody cut it while the run went on
                rows, size, digest = 0, 0, hashlib.sha256()
            file.seek(size)
            while part := file.read(1 << 20):
                rows, size = rows + part.count(b"\n"), size + len(part)
                digest.update(part)
        self._seen[name] = rows, size, digest
        return KnownLog(rows, size, digest.hexdigest())


def find_damage(path: Path, known: KnownLog, checkpoint: Path) -> str | None:
    """What is wrong with the part of a growing file that is `known` to a checkpoint, in a sentence; None if it is
    whole."""
    if not path.exists():
        return f"{path} is missing; checkpoint {checkpoint.name} knows {known.rows} rows of it" if known.rows else None
    try:
        with path.open("rb") as file:
            begun = file.read(known.bytes)
    except OSError as problem:
        return f"{path} cannot be read: {problem.strerror}"
    if hashlib.sha256(begun).hexdigest() == known.sha256 or _only_respaced(path, known) is not None:
        return None
    if path.name in LOGS:
        found = _Found.of(path, checkpoint)
        whole, doubles = found.whole, found.doubles
    else:
        whole, doubles = begun.count(b"\n") if path.suffix != ".jsonl" else len(_readable(begun, checked(path))[0]), ()
    if whole < known.rows:
        return f"{path} holds {whole} of the {known.rows} rows that checkpoint {checkpoint.name} knows"
    if doubles:
        rows = _of_updates(len(doubles), doubles)
        return f"{path} holds {rows} more than once, which checkpoint {checkpoint.name} knows once"
    return f"the contents of {path} have changed since checkpoint {checkpoint.name} was written"


def cut(path: Path, known: KnownLog) -> None:
    """Keep what is known: what came later is done again."""
    if not path.exists():
        return
    respaced = _only_respaced(path, known)
    if respaced is not None:
        anew = path.with_name(f".{path.name}.anew")
        _write(anew, respaced)
        anew.replace(path)
        return
    with path.open("rb+") as file:
        file.truncate(known.bytes)


def mend(path: Path, known: KnownLog, checkpoint: Path) -> str:
    """Keep every row that can be read, up to the update of the `checkpoint` by which the file is `known`, and each of
    them once; put the damaged file aside. Says what was done."""
    if not path.exists():
        return "its rows are lost"
    found = _Found.of(path, checkpoint)
    aside = _aside(path)
    path.replace(aside)
    _write(path, b"".join(line + b"\n" for line in found.lines))
    done = []
    if found.doubles:
        were = "was" if len(found.doubles) == 1 else "were"
        done.append(f"{_of_updates(len(found.doubles), found.doubles)} stood there again, and {were} left out")
    if (more := len(found.lines) - found.whole) > 0:
        done.append(
            f"{_of_updates(more, ())} contradict{'s' if more == 1 else ''} another of the same update, and all are kept"
        )
    if (lost := known.rows - found.whole) > 0:
        there = {row["update"] for row in found.rows}
        missing = [n for n in range(1, number_of(checkpoint) + 1) if n not in there]
        told = missing if path.name == METRICS and len(missing) == lost else ()
        done.append(f"{_of_updates(lost, told)} {'is' if lost == 1 else 'are'} lost")
    what = ", ".join(done) or "its rows are kept as they are"
    return f"{what}; the damaged file is kept as {aside.name}"


def _aside(path: Path) -> Path:
    """A name that is free: NAME.damaged, NAME.damaged.2, …"""
    names = (f"{path.name}.damaged" + (f".{number}" if number > 1 else "") for number in count(1))
    return next(free for name in names if not (free := path.with_name(name)).exists())


@dataclass(frozen=True)
class _Found:
    """What of a damaged log can be used: its rows up to the update of a checkpoint, each once."""

    lines: list[bytes]
    rows: list[dict[str, Any]]
    doubles: list[int]  # the update of every further row of equal content
    whole: int  # how many different rows there are: of an update, a stage and a set there is one

    @classmethod
    def of(cls, path: Path, checkpoint: Path) -> _Found:
        lines, rows, doubles, seen = [], [], [], set()
        for line, row in zip(*_readable(path.read_bytes(), checked(path)), strict=True):
            if row["update"] > number_of(checkpoint):
                continue  # it is done again
            content = json.dumps(row, sort_keys=True)
            if content in seen:
                doubles.append(row["update"])
                continue
            seen.add(content)
            lines.append(line.strip())
            rows.append(row)
        return cls(lines, rows, doubles, len({(row["update"], row["stage"], row.get("set")) for row in rows}))


def number_of(checkpoint: Path) -> int:
    """The update after which a checkpoint was made, by its name."""
    return int(checkpoint.name.strip(".").partition(".")[0])


def _only_respaced(path: Path, known: KnownLog) -> bytes | None:
    """What is known, where a file differs from it in the ends of its lines and in blank ones alone; else None."""
    content = path.read_bytes()
    if hashlib.sha256(content[: known.bytes]).hexdigest() == known.sha256:
        return None
    lines = (line.rstrip(b"\r") for line in content.split(b"\n"))
    begun = b"".join(line + b"\n" for line in lines if line.strip())[: known.bytes]
    return begun if hashlib.sha256(begun).hexdigest() == known.sha256 else None


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _of_updates(count: int, updates: Sequence[int]) -> str:
    """`2 rows (those of the updates 14 to 15)`"""
    which = sorted(set(updates))
    rows = "1 row" if count == 1 else f"{count} rows"
    if not which:
        return rows
    return f"{rows} (of update {which[0]})" if len(which) == 1 else f"{rows} (those of the updates {_spans(which)})"


def _spans(numbers: Sequence[int]) -> str:
    """`3, 7 to 9`"""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in spans)


def end_whole_line(path: Path) -> None:
    """Cut off what stands after the last end of a line: nothing is ever written behind half a row."""
    if path.exists():
        with path.open("rb+") as file:
            file.truncate(file.read().rfind(b"\n") + 1)


def read_jsonl(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The readable rows of a JSON-lines file, and how many others it has; a last line without an end, which may be
    being written, and blank lines count as neither."""
    begun = path.read_bytes() if path.exists() else b""
    whole = begun[: begun.rfind(b"\n") + 1]
    rows = _readable(whole, checked(path))[1]
    return rows, sum(bool(line.strip()) for line in whole.split(b"\n")) - len(rows)


def without_doubles(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl or evaluations.jsonl, each update of a stage (and each set of tasks) once: what was
    done again after a kill counts as it was done last."""
    last = {(row["update"], row["stage"], row.get("set")): number for number, row in enumerate(rows)}
    return [rows[number] for number in sorted(last.values())]


def last_row(path: Path) -> dict[str, Any] | None:
    """The last readable row of a JSON-lines file; only the file's end is read, however long it is."""
    size = 1 << 16
    while path.exists():
        with path.open("rb") as file:
            begins = max(file.seek(0, os.SEEK_END) - size, 0)
            file.seek(begins)
            end = file.read(size)
        rows = _readable(end[end.find(b"\n") + 1 if begins else 0 : end.rfind(b"\n") + 1], checked(path))[1]
        if rows or not begins:
            return rows[-1] if rows else None
        size *= 16
    return None


def checked(path: Path) -> Callable[[Any], bool]:
    """What a row of the file `path` has to be."""
    if path.name == EVALUATIONS:
        return lambda row: _is_row(row) and "set" in row
    return _is_row if path.name == METRICS else lambda row: isinstance(row, dict)


def _readable(begun: bytes, is_row: Callable[[Any], bool]) -> tuple[list[bytes], list[dict[str, Any]]]:
    lines, rows = [], []
    for line in begun.split(b"\n"):
        try:
            row = json.loads(line.decode())
        except (ValueError, RecursionError):
            continue
        if is_row(row):
            lines.append(line)
            rows.append(row)
    return lines, rows


def _is_row(row: Any) -> bool:
    """Whether this is a row of metrics.jsonl or evaluations.jsonl: axes, a stage, and numbers."""
    if not isinstance(row, dict) or not isinstance(row.get("stage"), str) or not isinstance(row.get("set", ""), str):
        return False
    axes = [row.get("update"), row.get("env_steps")]
    numbers = [value for name, value in row.items() if name not in ("stage", "set")]
    return all(isinstance(x, int) and not isinstance(x, bool) for x in axes) and all(
        isinstance(x, int | float | None) for x in numbers
    )
