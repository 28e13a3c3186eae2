"""Checkpoints: a folder that is either whole or not there.

    checkpoints/000020/policy/   what `policy.save` writes (language: a plain Hugging Face folder)
                       learner/  the optimiser and its counters
                       actor.safetensors   what the next collection depends on
                       progress.json       where the run stands
                       manifest.json       size and SHA-256 of every other file
    checkpoints/last, best       small text files that name a folder

Everything is written under a temporary name, flushed to the disk and renamed; only then does `last` move. A
folder that fails its manifest is refused by name, and the run goes on from the one before.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from ...agents.protocols import Policy
from ...algorithms.learner import Learner
from ...envs.errors import UserError
from .run_directory import FORMAT, OLDER, disk_errors, disk_full, write_json, write_text
from .sound_files import find_unsound_file

KEPT = 2  # the newest, one to fall back to, and the best besides


class BadCheckpoint(UserError):
    """A folder that is not a whole checkpoint of ours."""


def write_checkpoint(
    folder: Path,
    *,
    update: int,
    policy: Policy,
    learner: Learner | None,
    actor_state: Mapping[str, Tensor],
    progress: Mapping[str, Any],
    best: bool,
) -> Path:
    """Write `folder/NNNNNN`, point `last` (and `best`) to it, and prune. RunFailed if the disk is full."""
    name = f"{update:06d}"
    unfinished = folder / f".{name}.unfinished"
    try:
        with disk_errors(folder.parent):
            shutil.rmtree(unfinished, ignore_errors=True)
            _fill(unfinished, policy, learner, actor_state, progress)
            _install(unfinished, folder / name)
            write_text(folder / "last", name + "\n")
            if best:
                write_text(folder / "best", name + "\n")
    except SafetensorError as error:  # its writer is not Python's, and hides the operating system's error
        if any(words in str(error) for words in ("No space left", "File too large", "quota")):
            raise disk_full(folder.parent, error) from error
        raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    _prune(folder)
    return folder / name


def _fill(
    folder: Path,
    policy: Policy,
    learner: Learner | None,
    actor_state: Mapping[str, Tensor],
    progress: Mapping[str, Any],
) -> None:
    from safetensors.torch import save_file

    (folder / "policy").mkdir(parents=True)
    policy.save(folder / "policy")
    if learner is not None:
        (folder / "learner").mkdir()
        learner.save(folder / "learner")
    save_file({name: tensor.contiguous() for name, tensor in actor_state.items()}, folder / "actor.safetensors")
    write_json(folder / "progress.json", progress)
    write_json(folder / "manifest.json", {"format": f"peripatos checkpoint {FORMAT}", "files": _fingerprints(folder)})


def _install(unfinished: Path, folder: Path) -> None:
    """Flush, then rename. A checkpoint of the same update (its stage had ended) is replaced."""
    for path in unfinished.rglob("*"):
        _flush(path)
    _flush(unfinished)
    if folder.exists():
        shutil.rmtree(folder)
    unfinished.rename(folder)
    _flush(folder.parent)


def _flush(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _fingerprints(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file, by its path in the folder."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json"):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": digest}
    return found


def _prune(folder: Path) -> None:
    pointed = {pointed_to(folder, "last"), pointed_to(folder, "best")}
    for path in checkpoints(folder)[:-KEPT]:
        if path not in pointed:
            shutil.rmtree(path)


def checkpoints(folder: Path) -> list[Path]:
    """Every checkpoint in a run's folder of checkpoints, oldest first."""
    return sorted(path for path in folder.glob("[0-9]*") if path.is_dir())


def pointed_to(folder: Path, pointer: str) -> Path | None:
    """What `last` or `best` names; None if there is no such pointer."""
    path = folder / pointer
    return folder / path.read_text().strip() if path.exists() else None


def verify(folder: Path) -> None:
    """BadCheckpoint says which file is missing, cut or changed, or holds numbers that are not finite."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        form, expected = manifest["format"], manifest["files"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadCheckpoint(f"{folder} is not a checkpoint of Peripatos: no readable manifest.json") from error
    if form == "peripatos checkpoint 1":
        raise BadCheckpoint(f"{folder} is a checkpoint of format 1: {OLDER} {FORMAT}")
    if form != f"peripatos checkpoint {FORMAT}":
        raise BadCheckpoint(f"{folder} is a {form!r}; this version reads 'peripatos checkpoint {FORMAT}'")
    found = _fingerprints(folder)
    for name, fingerprint in expected.items():
        if name not in found:
            raise BadCheckpoint(f"checkpoint {folder} is damaged: {name} is missing")
        if found[name]["bytes"] != fingerprint["bytes"]:
            sizes = f"{found[name]['bytes']} bytes instead of {fingerprint['bytes']}"
            raise BadCheckpoint(f"checkpoint {folder} is damaged: {name} has {sizes}")
        if found[name] != fingerprint:
            raise BadCheckpoint(f"checkpoint {folder} is damaged: the contents of {name} have changed")
    if unsound := find_unsound_file(folder):
        raise BadCheckpoint(f"checkpoint {folder} is of no use: {unsound}")


def last_good(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest whole checkpoint, and what is wrong with those after it.

    BadCheckpoint if there are checkpoints and none of them is whole.
    """
    problems: list[str] = []
    for path in reversed(checkpoints(folder)):
        try:
            verify(path)
        except BadCheckpoint as problem:
            problems.append(str(problem))
        else:
            return path, problems
    if problems:
        raise BadCheckpoint("no checkpoint of this run is whole:\n" + "\n".join(problems))
    return None, []


def read_progress(folder: Path) -> dict[str, Any]:
    """Where the run stood."""
    return json.loads((folder / "progress.json").read_text())


def read_actor_state(folder: Path) -> dict[str, Tensor]:
    """What `actor.state()` gave."""
    from safetensors.torch import load_file

    return load_file(folder / "actor.safetensors")
