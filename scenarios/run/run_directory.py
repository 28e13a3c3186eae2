"""A run directory: everything that a run leaves behind, in plain files that need no Peripatos to read.

    scenario.yaml      the resolved scenario           metrics.jsonl      one row per update
    command.txt        what was typed, each time       evaluations.jsonl  one row per evaluation
    environment.json   versions, revision, hardware    episodes/          what was said and done, for reading
    checkpoints/       see `checkpoint.py`             videos/  summary.json  curves.png

A new run never writes into a folder that holds one. Rows are flushed one by one; a resumed run first cuts both
files back to the rows that its checkpoint knew of, so that an interrupted run and an uninterrupted one end equal.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from ...envs.errors import UserError
from ...envs.vocabulary import Episode
from ..config.loading import dump_scenario, load_scenario
from ..config.schema import Scenario
from .logs import KEPT
from .noticed import notice
from .sealed import BrokenSeal, read_sealed, sealed

FORMAT = 2  # of run directories and checkpoints
OLDER = "it was written by Peripatos 0.1, which reads it; this version reads format"
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
ESCAPED = "backslashreplace"  # half of a surrogate pair, which UTF-8 cannot hold, is written as JSON escapes it


class RunFailed(RuntimeError):
    """The run cannot go on, through no mistake in what was typed. The message is for the user."""


class RunDirectory:
    """Reads and writes one run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics, self.evaluations = path / "metrics.jsonl", path / "evaluations.jsonl"
        self.command: list[str] = []  # what was typed this time
        self.checkpoints, self.videos, self.episodes = path / "checkpoints", path / "videos", path / "episodes"

    @classmethod
    def create(cls, path: Path, scenario: Scenario, command: Sequence[str]) -> RunDirectory:
        """A new folder for a run of `scenario`. UserError if something is there already."""
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            hint = resume_command(path) if (path / "scenario.yaml").exists() else "another --out"
            raise UserError(f"{path} is there already and is not overwritten; use {hint}")
        run = cls(path)
        with disk_errors(path):
            for folder in (run.checkpoints, run.episodes):
                make_folder(folder)
            write_text(path / "scenario.yaml", dump_scenario(scenario))
            run.note_command(command)
        return run

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """The folder of an existing run. UserError if it is none."""
        if not (path / "scenario.yaml").is_file() and not any((path / "checkpoints").glob("[0-9]*/manifest.json")):
            raise UserError(f"{path} is not a run directory: it holds no scenario.yaml")
        found = _format_of(path)
        if found == 1:
            raise UserError(f"{path} is a run directory of format 1: {OLDER} {FORMAT}")
        if found != FORMAT:
            raise UserError(f"{path} is a run directory of format {found!r}; this version reads format {FORMAT}")
        return cls(path)

    def scenario(self) -> Scenario:
        """What this run runs, as it was resolved when it began."""
        return load_scenario(str(self.path / "scenario.yaml"))

    def discard_unless_begun(self) -> None:
        """Remove the folder of a run that could not even begin, so that the mended command can be given again."""
        if not (self.path / "summary.json").exists():
            shutil.rmtree(self.path, ignore_errors=True)

    def note_command(self, command: Sequence[str]) -> None:
        """Add a line to command.txt."""
        self.command = [*command]
        with (self.path / "command.txt").open("a", encoding="utf-8") as file:
            file.write(shlex.join(command) + "\n")

    def append(self, file: Path, row: Mapping[str, Any]) -> None:
        """One more row, on disk before this returns to the operating system's cache."""
        with disk_errors(self.path), file.open("a", encoding="utf-8", errors=ESCAPED) as stream:
            stream.write(to_json(row) + "\n")

    def keep_episodes(self, name: str, episodes: Sequence[Episode]) -> None:
        """Write episodes to `episodes/NAME.jsonl`, one a line, with every token, mask and log-probability."""
        text = "".join(to_json(episode_row(episode)) + "\n" for episode in episodes)
        file = self.episodes / f"{name}.jsonl"
        with disk_errors(self.path):
            write_text(file, text)
            written = {"bytes": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        self.append(self.path / KEPT, {"file": file.name, "episodes": len(episodes), **written})

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Replace summary.json."""
        with disk_errors(self.path):
            write_json(self.path / "summary.json", sealed(_finite(summary)))

    def summary(self) -> dict[str, Any]:
        """What summary.json says; empty before the first, and, after a notice, where it is damaged: nothing but people
        needs it, and a resume writes it again."""
        path = self.path / "summary.json"
        if not path.exists():
            return {}
        try:
            return read_sealed(path)
        except BrokenSeal as problem:
            notice(f"{problem}; {resume_command(self.path)} writes it again")
            return {}


def _format_of(run: Path) -> object:
    """The format of a run: what environment.json says, where no checkpoint knows better; version 0.1 said nothing. A
    lost file says nothing either."""
    try:
        said = json.loads((run / "environment.json").read_text(encoding="utf-8")).get("format", 1)
    except (OSError, ValueError, RecursionError, AttributeError):
        return FORMAT
    ours = b'"peripatos checkpoint %d"' % FORMAT
    known = said != FORMAT and any(ours in path.read_bytes() for path in run.glob("checkpoints/[0-9]*/manifest.json"))
    return FORMAT if known else said


def resume_command(run: Path) -> str:
    """What to type to go on with a run."""
    return f"`peripatos resume {shlex.quote(str(run))}`"


def new_run_path(name: str, seed: int, root: Path = Path("runs")) -> Path:
    """`runs/NAME-SEED`, or with a number behind it if that is taken."""
    base = f"{name}-{seed}"
    candidates = (root / (base if number == 1 else f"{base}-{number}") for number in range(1, sys.maxsize))
    return next(path for path in candidates if not path.exists())


def episode_row(episode: Episode) -> dict[str, Any]:
    """An episode as JSON can hold it."""
    row = {field.name: getattr(episode, field.name) for field in fields(episode)}
    row["actions"] = None if episode.actions is None else episode.actions.tolist()
    return row


def make_folder(path: Path) -> None:
    """Make a folder and those above it. UserError where that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        if problem.errno in FULL:
            raise
        raise UserError(f"the folder {path} cannot be made: {problem.strerror}") from problem


def to_json(value: object) -> str:
    """Strict JSON: numbers that are not finite become null."""
    return json.dumps(_finite(value), allow_nan=False, ensure_ascii=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace `path` with indented JSON, at once or not at all."""
    write_text(path, json.dumps(_finite(value), indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Replace `path` at once or not at all."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with unfinished.open("w", encoding="utf-8", errors=ESCAPED) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """A full disk becomes a `RunFailed` that says what is safe and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise disk_full(path, error) from error


def disk_full(path: Path, error: Exception) -> RunFailed:
    """What to say when nothing more can be written."""
    return RunFailed(
        f"the disk is full ({error}). Nothing that was saved is lost: free some space, then "
        f"{resume_command(path)} goes on from the last checkpoint"
    )
