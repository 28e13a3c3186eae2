"""A run directory: everything that a run leaves behind, in plain files that need no Peripatos to read.

    scenario.yaml      the resolved scenario           metrics.jsonl      one row per update
    command.txt        what was typed, each time       evaluations.jsonl  one row per evaluation
    environment.json   versions, revision, hardware    episodes/          what was said and done, for reading
    checkpoints/       see `checkpoint.py`             videos/  summary.json  curves.png
    .lock              who writes, see `lock.py`

A new run never writes into a folder that holds one, and no two processes write into one folder at a time. Rows are
flushed one by one; a resumed run first cuts both files back to the rows that its checkpoint knew of, so that an
interrupted run and an uninterrupted one end equal.
"""

from __future__ import annotations

import errno
import json
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
from . import lock
from .disk import (
    ESCAPED,
    RunFailed,
    disk_errors,
    flush,
    in_words,
    make_folder,
    no_folder,
    to_json,
    typed,
    write_json,
    write_text,
)
from .lock import Lock

PACKAGES = ("peripatos", "torch", "transformers", "gymnasium", "mujoco", "numpy", "scipy", "safetensors")
FORMAT = 2  # of run directories and checkpoints
OLDER = "it was written by Peripatos 0.1, which reads it; this version reads format"
UNFINISHED = "unfinished"  # in summary.json; who reads it is told "running" or "died", by the lock
OURS = ("scenario.yaml", "environment.json", "command.txt")  # what a run that has hardly begun may have written


class RunDirectory:
    """Reads and writes one run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics, self.evaluations = path / "metrics.jsonl", path / "evaluations.jsonl"
        self.checkpoints, self.videos, self.episodes = path / "checkpoints", path / "videos", path / "episodes"
        self.lock: Lock | None = None  # while this object may write
        self._holders = 0

    @classmethod
    def create(cls, path: Path, scenario: Scenario, command: Sequence[str]) -> RunDirectory:
        """A new folder for a run of `scenario`, locked until `held` has been left. UserError if something is there
        already, or if it cannot be written."""
        _refuse_full(path)
        make_folder(path)
        run = cls(path)
        run.lock = lock.take(path, command)
        try:
            _refuse_full(path)  # what came while the lock was waited for
            run._fill(scenario, command)
        except OSError as error:
            what, remedy = in_words(error)
            run.discard_unless_begun()
            raise RunFailed(
                f"{path} cannot be written ({what}: {error}); nothing was begun: {remedy}, then the same command again"
            ) from error
        return run

    def _fill(self, scenario: Scenario, command: Sequence[str]) -> None:
        for folder in (self.checkpoints, self.episodes):
            folder.mkdir(exist_ok=True)
        write_json(self.path / "environment.json", describe_environment())
        (self.path / "command.txt").unlink(missing_ok=True)
        self.note_command(command)
        begun = scenario.begun(datetime.now(UTC).date().isoformat())
        write_text(self.path / "scenario.yaml", dump_scenario(begun))  # the last: with it, this is a run

    @contextmanager
    def held(self, command: Sequence[str] = ()) -> Iterator[None]:
        """Nobody else writes meanwhile; may be nested. UserError if somebody does, or if it cannot be written."""
        if self.lock is None:
            self.lock = lock.take(self.path, command)
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
            if not self._holders and self.lock is not None:
                self.lock.release()
                self.lock = None

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

    def discard_unless_begun(self) -> bool:
        """Remove the folder of a run that could not even begin, so that the command can be given again; whether it
        was such a run."""
        if (self.path / "summary.json").exists():
            return False
        shutil.rmtree(self.path, ignore_errors=True)
        return True

    def note_command(self, command: Sequence[str]) -> None:
        """Add a line to command.txt."""
        with disk_errors(self.path), (self.path / "command.txt").open("a", encoding="utf-8") as file:
            file.write(shlex.join(command) + "\n")

    def append(self, file: Path, row: Mapping[str, Any]) -> None:
        """One more row, whole or not at all, on disk before this returns to the operating system's cache."""
        with disk_errors(self.path):
            self._check_place()
            with file.open("ab") as stream:
                size = stream.tell()
                try:
                    stream.write((to_json(row) + "\n").encode("utf-8", ESCAPED))
                    stream.flush()
                except OSError:
                    with suppress(OSError):
                        os.ftruncate(stream.fileno(), size)
                    raise

    def flush_rows(self) -> None:
        """The rows so far are on disk, beyond a power cut; before a checkpoint that counts them is."""
        with disk_errors(self.path):
            self._check_place()
            for file in (self.metrics, self.evaluations):
                if file.exists():
                    flush(file)

    def _check_place(self) -> None:
        if self.lock is not None and not self.lock.still_there():
            raise FileNotFoundError(errno.ENOENT, "it was moved, removed or made anew", str(self.path))

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
        """What summary.json says; empty before the first. A run that has not come to its end is "running", or, where
        nobody writes it any more, "died"."""
        path = self.path / "summary.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            if found.get("status") == UNFINISHED:
                found["status"] = "running" if lock.is_written(self.path) else "died"
            return found
        except ValueError as problem:
            raise UserError(f"{path} is no summary of a run: {problem}") from problem


def _format_of(environment: Path) -> object:
    """The format that a run's environment.json names; version 0.1 named none. A lost file says nothing."""
    try:
        return json.loads(environment.read_text(encoding="utf-8")).get("format", 1)
    except (OSError, ValueError, AttributeError):
        return FORMAT


def new_run_path(name: str, seed: int, root: Path = Path("runs")) -> Path:
    """`runs/NAME-SEED`, or with a number behind it if that is taken: a new and empty folder."""
    make_folder(root)
    for number in range(1, sys.maxsize):
        path = root / (f"{name}-{seed}" if number == 1 else f"{name}-{seed}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        except OSError as problem:
            raise no_folder(path, problem) from problem
        return path
    raise AssertionError("numbers do not end")


def _refuse_full(path: Path) -> None:
    """UserError if a folder holds anything but what a run leaves that was killed before it began."""
    if not path.exists() or (path.is_dir() and all(_left_by_a_beginning(entry) for entry in path.iterdir())):
        return
    hint = f"peripatos resume {typed(path)}" if (path / "scenario.yaml").exists() else "another --out"
    raise UserError(f"{path} is there already and is not overwritten; use {hint}")


def _left_by_a_beginning(entry: Path) -> bool:
    if entry.name in ("checkpoints", "episodes"):
        return entry.is_dir() and not any(entry.iterdir())
    names = {lock.NAME, *OURS[1:], *(f".{name}.unfinished" for name in OURS)}
    return entry.name in names and entry.is_file() and (entry.parent / lock.NAME).exists()


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
