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
import json
import math
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ...envs.errors import UserError
from ...envs.vocabulary import Episode
from ..config.loading import dump_scenario, load_scenario
from ..config.schema import Scenario

PACKAGES = ("peripatos", "torch", "transformers", "gymnasium", "mujoco", "numpy", "scipy", "safetensors")
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
        self.checkpoints, self.videos, self.episodes = path / "checkpoints", path / "videos", path / "episodes"

    @classmethod
    def create(cls, path: Path, scenario: Scenario, command: Sequence[str]) -> RunDirectory:
        """A new folder for a run of `scenario`. UserError if something is there already."""
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            hint = f"peripatos resume {path}" if (path / "scenario.yaml").exists() else "another --out"
            raise UserError(f"{path} is there already and is not overwritten; use {hint}")
        run = cls(path)
        with disk_errors(path):
            for folder in (run.checkpoints, run.episodes):
                make_folder(folder)
            write_text(path / "scenario.yaml", dump_scenario(scenario.begun(datetime.now(UTC).date().isoformat())))
            write_json(path / "environment.json", describe_environment())
            run.note_command(command)
        return run

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """The folder of an existing run. UserError if it is none."""
        if not (path / "scenario.yaml").is_file():
            raise UserError(f"{path} is not a run directory: it holds no scenario.yaml")
        found = _format_of(path / "environment.json")
        if found != FORMAT:
            raise UserError(f"{path} is a run directory of format {found}: {OLDER} {FORMAT}")
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
        with (self.path / "command.txt").open("a", encoding="utf-8") as file:
            file.write(shlex.join(command) + "\n")

    def append(self, file: Path, row: Mapping[str, Any]) -> None:
        """One more row, on disk before this returns to the operating system's cache."""
        with disk_errors(self.path), file.open("a", encoding="utf-8", errors=ESCAPED) as stream:
            stream.write(to_json(row) + "\n")

    def cut(self, file: Path, rows: int) -> None:
        """Keep the first `rows` rows: what came later is done again."""
        if not file.exists():
            return
        with file.open("rb+") as stream:
            for _ in range(rows):
                stream.readline()
            stream.truncate(stream.tell())

    def keep_episodes(self, name: str, episodes: Sequence[Episode]) -> None:
        """Write episodes to `episodes/NAME.jsonl`, one a line, with every token, mask and log-probability."""
        text = "".join(to_json(episode_row(episode)) + "\n" for episode in episodes)
        with disk_errors(self.path):
            write_text(self.episodes / f"{name}.jsonl", text)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Replace summary.json."""
        with disk_errors(self.path):
            write_json(self.path / "summary.json", summary)

    def summary(self) -> dict[str, Any]:
        """What summary.json says; empty before the first."""
        path = self.path / "summary.json"
        try:
            return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        except ValueError as problem:
            raise UserError(f"{path} is no summary of a run: {problem}") from problem


def _format_of(environment: Path) -> object:
    """The format that a run's environment.json names; version 0.1 named none. A lost file says nothing."""
    try:
        return json.loads(environment.read_text(encoding="utf-8")).get("format", 1)
    except (OSError, ValueError, AttributeError):
        return FORMAT


def new_run_path(name: str, seed: int, root: Path = Path("runs")) -> Path:
    """`runs/NAME-SEED`, or with a number behind it if that is taken."""
    base = f"{name}-{seed}"
    candidates = (root / (base if number == 1 else f"{base}-{number}") for number in range(1, sys.maxsize))
    return next(path for path in candidates if not path.exists())


def read_rows(file: Path) -> list[dict[str, Any]]:
    """The rows of a JSON-lines file; a last line that was cut by a crash is left out."""
    if not file.exists():
        return []
    rows = []
    for line in file.read_text(encoding="utf-8").splitlines():
        with suppress(json.JSONDecodeError):
            rows.append(json.loads(line))
    return rows


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
        f"`peripatos resume {path}` goes on from the last checkpoint"
    )


def describe_environment() -> dict[str, Any]:
    """Versions, source revision and hardware: what one needs to know to repeat a run."""
    import torch

    cuda = torch.cuda.is_available()
    return {
        "format": FORMAT,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": dict(_versions(PACKAGES)),
        "git_revision": source_revision(),
        "cpus": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if cuda else None,
    }


def _versions(names: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    for name in names:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, None


def source_revision() -> str | None:
    """The commit of this source tree, with `+` if it was changed; None where there is no git."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None
