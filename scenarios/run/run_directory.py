"""A run directory: everything that a run leaves behind, in plain files that need no Peripatos to read.

    scenario.yaml      the resolved scenario           metrics.jsonl      one row per update
    command.txt        what was typed, each time       evaluations.jsonl  one row per evaluation
    environment.json   who made it, session by session episodes/          what was said and done, for reading
    checkpoints/       see `checkpoint.py`             videos/  summary.json  curves.png
    .lock              who writes, see `lock.py`

A new run never writes into a folder that holds one, and no two processes write into one folder at a time. Rows are
flushed one by one; a resumed run first cuts both files back to the rows that its checkpoint knew of, so that an
interrupted run and an uninterrupted one end equal.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...envs.errors import UserError
from ...envs.vocabulary import Episode
from ..config.agents import CausalLMAgentSpec
from ..config.loading import dump_scenario, load_scenario
from ..config.schema import Scenario
from . import lock
from .disk import (
    ESCAPED,
    RunFailed,
    disk_errors,
    finite,
    in_words,
    make_folder,
    no_folder,
    to_json,
    typed,
    write_json,
    write_text,
)
from .forms import Misformed, check_summary
from .lock import Lock
from .logs import GROWING, KEPT, last_row
from .no_run import no_run
from .noticed import notice
from .sealed import BrokenSeal, read_sealed, sealed
from .strange_files import refuse_strange_files

FORMAT = 2  # of run directories and checkpoints
OLDER = "it was written by Peripatos 0.1, which reads it; this version reads format"
FILES = ("scenario.yaml", "environment.json", "summary.json", *GROWING)
FOLDERS = ("checkpoints", "episodes", "videos")
UNFINISHED = "unfinished"  # in summary.json; who reads it is told "running" or "died", by the lock
OURS = ("scenario.yaml", "environment.json", "command.txt")  # what a run that has hardly begun may have written


class RunDirectory:
    """Reads and writes one run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics, self.evaluations = path / "metrics.jsonl", path / "evaluations.jsonl"
        self.command: list[str] = []  # what was typed this time
        self.resumed = False  # whether that is to go on with the run
        self.checkpoints, self.videos, self.episodes = path / "checkpoints", path / "videos", path / "episodes"
        self.lock: Lock | None = None  # while this object may write
        self._holders = 0
        self._found = False  # whether the folder was there, empty, before the run: it stays, whatever becomes of that

    @classmethod
    def create(cls, path: Path | None, scenario: Scenario, command: Sequence[str]) -> RunDirectory:
        """A folder for a new run of `scenario`, by default one of its own below `runs`; locked until `held` has been
        left. UserError if something is there already, or if it cannot be written."""
        if path is not None:
            _refuse_full(path)
        run = cls(path or _new_run_path(scenario.name, scenario.seed))
        run._found = path is not None and path.is_dir()
        path = run.path
        try:
            make_folder(path)
            run.lock = lock.take(path, command)
        except BaseException:  # a signal; or it is somebody else's, and then it holds their lock
            if not run._found:
                with suppress(OSError):
                    path.rmdir()
            raise
        try:
            _refuse_full(path)  # what came while the lock was waited for
            run._fill(scenario, command)
        except OSError as error:
            what, remedy = in_words(error)
            run.discard_unless_begun()
            raise RunFailed(
                f"{path} cannot be written ({what}: {error}); nothing was begun: {remedy}, then the same command again"
            ) from error
        except BaseException:  # a signal
            run.discard_unless_begun()
            raise
        return run

    def _fill(self, scenario: Scenario, command: Sequence[str]) -> None:
        for folder in (self.checkpoints, self.episodes):
            folder.mkdir(exist_ok=True)
        (self.path / "command.txt").unlink(missing_ok=True)
        self.note_command(command)
        write_text(self.path / "scenario.yaml", dump_scenario(_begun(scenario)))  # the last: with it, this is a run

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
        if not (path / "scenario.yaml").is_file() and not any((path / "checkpoints").glob("[0-9]*/manifest.json")):
            raise UserError(no_run(path))
        refuse_strange_files(path)
        for name in FOLDERS:
            if (path / name).exists() and not (path / name).is_dir():
                raise UserError(f"{path / name} is no folder, and a run's {name} lie in one; move it away")
        for name in FILES:  # a folder cannot be read as text
            if (path / name).exists() and not (path / name).is_file():
                raise UserError(f"{path / name} is no file, and a run's {name} is one; move it away")
        found = _format_of(path)
        if found == 1:
            raise UserError(f"{path} is a run directory of format 1: {OLDER} {FORMAT}")
        if found != FORMAT:
            raise UserError(f"{path} is a run directory of format {found!r}; this version reads format {FORMAT}")
        return cls(path)

    def scenario(self) -> Scenario:
        """What this run runs, as it was resolved when it began."""
        return load_scenario(str(self.path / "scenario.yaml"))

    def discard_unless_begun(self) -> bool:
        """Remove what a run that could not even begin has written, and the folder if it made that, so that the command
        can be given again; whether it was such a run, and is gone."""
        if (self.path / "summary.json").exists():
            return False
        with suppress(OSError):  # the folder is gone, or closed to us
            for entry in self.path.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry, ignore_errors=True)
                elif entry.name != lock.NAME:
                    entry.unlink()
            (self.path / lock.NAME).unlink()  # the last: while it is there, nobody else begins in here
            if not self._found:
                self.path.rmdir()
        return not (self.path / "scenario.yaml").exists()

    def note_command(self, command: Sequence[str]) -> None:
        """Add a line to command.txt."""
        self.command = [*command]
        with disk_errors(self.path), (self.path / "command.txt").open("a", encoding="utf-8") as file:
            file.write(shlex.join(command) + "\n")

    def append(self, file: Path, row: Mapping[str, Any]) -> None:
        """One more row, whole or not at all, on disk before this returns to the operating system's cache."""
        with self.written(), file.open("ab") as stream:
            size = stream.tell()
            try:
                stream.write((to_json(row) + "\n").encode("utf-8", ESCAPED))
                stream.flush()
            except OSError:
                with suppress(OSError):
                    os.ftruncate(stream.fileno(), size)
                raise

    @contextmanager
    def written(self) -> Iterator[None]:
        """Within, files of the run are written or flushed. RunFailed where the disk or the folder forbids it."""
        with disk_errors(self.path):
            if self.lock is not None and not self.lock.still_there():
                raise FileNotFoundError(errno.ENOENT, "it was moved, removed or made anew", str(self.path))
            yield

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
            write_json(self.path / "summary.json", sealed(finite(summary)))

    def summary(self) -> dict[str, Any]:
        """What summary.json says; empty before the first. A run that has not come to its end is "running", or, where
        nobody writes it any more, "died", with the updates that are written down. Where it is damaged or lost it is
        empty, after a notice: nothing but people needs it, and a resume writes it again."""
        path = self.path / "summary.json"
        if not path.exists() and not any(self.checkpoints.glob("[0-9]*")):
            return {}
        try:
            found = read_sealed(path)
            check_summary(found)
        except (BrokenSeal, Misformed) as problem:
            told = problem if isinstance(problem, BrokenSeal) else f"{path} is damaged: it {problem}"
            again = "this" if self.resumed else f"`peripatos resume {typed(self.path)}`"
            notice(f"{told}; {again} writes it again")
            return {}
        if found.get("status") == UNFINISHED:
            found["status"] = "running" if lock.is_written(self.path) else "died"
            found["updates"] = (last_row(self.metrics) or found).get("update", found.get("updates"))
        return found

    def lost_checkpoints(self) -> str | None:
        """Of a run in which no checkpoint lies: in a sentence, that there were some; None where it has not learned."""
        row, counted = last_row(self.metrics), self.summary().get("updates")
        updates = max(row["update"] if row else 0, counted if isinstance(counted, int) else 0)
        if not updates:
            return None
        words = f"{updates} update{'s' if updates > 1 else ''}"
        return f"the logs of {self.path} have {words}, and no checkpoint is left in {self.checkpoints}"


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


def _begun(scenario: Scenario) -> Scenario:
    """The scenario with the day on which its run begins: a template that writes the date writes it resumed as well."""
    agent = scenario.agent
    if not isinstance(agent, CausalLMAgentSpec) or agent.today is not None:
        return scenario
    today = datetime.now(UTC).date().isoformat()
    return scenario.model_copy(update={"agent": agent.model_copy(update={"today": today})})


def _new_run_path(name: str, seed: int, root: Path = Path("runs")) -> Path:
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


def check_new(path: Path, *, shared: bool = False) -> None:
    """UserError if a new run could not have this folder, or one within it, where it is `shared` by runs. Nothing is
    written."""
    if not shared:
        _refuse_full(path)
    there = next(above for above in (path, *path.parents) if above.exists() or above.is_symlink())
    if not there.is_dir():
        raise no_folder(path, NotADirectoryError(errno.ENOTDIR, f"{there} is a file"))
    if not os.access(there, os.W_OK | os.X_OK):
        raise no_folder(path, PermissionError(errno.EACCES, f"there is no permission to write into {there}"))


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


def episode_row(episode: Episode) -> dict[str, Any]:
    """An episode as JSON can hold it."""
    row = {field.name: getattr(episode, field.name) for field in fields(episode) if field.name != "misfit"}
    row["actions"] = None if episode.actions is None else episode.actions.tolist()
    return row
