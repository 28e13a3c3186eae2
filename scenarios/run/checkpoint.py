"""Checkpoints: a folder that is either whole or not there.

    checkpoints/000020/policy/   what `policy.save` writes (language: a plain Hugging Face folder)
                       learner/  the optimiser and its counters
                       actor.safetensors   what the next collection depends on
                       ahead/    weights of earlier versions that are still to act, where a stage collects ahead
                       curriculum.safetensors   what was seen of each task, where that decides which come next
                       progress.json       where the run stands, and what is known of its logs and its scenario
                       manifest.json       size and SHA-256 of every other file

Everything is written under a temporary name, flushed to the disk and renamed: with that one step the checkpoint is
there, is the last, and says in its progress which one is the best. A folder that fails its manifest is refused by
name, and the run goes on from the one before.

    .000020.unfinished   what a kill left of one that was being written; taken if it is whole, else removed
    .000020.replaced     one that another of the same update takes the place of; is 000020 until that is there
    .000020.removed      one that is too old

Folders of any other name are not ours: neither read nor removed.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import Tensor

from ...agents.protocols import Policy
from ...algorithms.learner import Learner
from ...envs.errors import UserError
from .disk import disk_errors, flush, write_json
from .forms import find_lacking, find_misformed
from .logs import number_of
from .noticed import notice
from .run_directory import FORMAT, OLDER
from .sound_files import find_unsound_file

KEPT = 2  # the newest, one to fall back to, and the best besides
NAME = re.compile(r"\d{6}|[1-9]\d{6,}")
ASIDE = re.compile(r"\.(\d{6}|[1-9]\d{6,})\.(unfinished|replaced|removed)")


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
    beside: Mapping[str, Mapping[str, Tensor]] | None = None,
) -> Path:
    """Write `folder/NNNNNN`, and remove those that are too old. RunFailed if the disk is full, or cannot be written."""
    name = f"{update:06d}"
    unfinished = folder / f".{name}.unfinished"
    with disk_errors(folder.parent):
        try:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            _fill(unfinished, policy, learner, actor_state, progress, beside or {})
            install(unfinished, folder / name)
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
    beside: Mapping[str, Mapping[str, Tensor]],
) -> None:
    from safetensors.numpy import save_file  # through torch, each size of a tensor leaves types behind for good
    from safetensors.torch import save_file as save_tensors

    (folder / "policy").mkdir()
    policy.save(folder / "policy")
    if learner is not None:
        (folder / "learner").mkdir()
        learner.save(folder / "learner")
    state = {name: tensor.contiguous().numpy() for name, tensor in actor_state.items()}
    save_file(state, folder / "actor.safetensors")
    for name, tensors in beside.items():
        (folder / name).parent.mkdir(exist_ok=True)
        save_tensors(dict(tensors), folder / name)
    write_json(folder / "progress.json", progress)
    write_manifest(folder)


def write_manifest(folder: Path) -> None:
    """Write what every other file in `folder` is."""
    write_json(folder / "manifest.json", {"format": f"peripatos checkpoint {FORMAT}", "files": _fingerprints(folder)})


def install(unfinished: Path, folder: Path) -> None:
    """Flush, then rename. One of the same update (its stage had ended) is kept until its successor is there."""
    for path in unfinished.rglob("*"):
        flush(path)
    flush(unfinished)
    replaced = folder.with_name(f".{folder.name}.replaced")
    if folder.is_symlink():
        folder.unlink()  # it was refused by name
    if folder.exists():
        shutil.rmtree(replaced, ignore_errors=True)
        folder.rename(replaced)
    unfinished.rename(folder)
    flush(folder.parent)
    if replaced.exists():
        shutil.rmtree(replaced)


def settle(folder: Path) -> None:
    """Bring to its end what a kill has cut off among the checkpoints in `folder`. Only whoever may write calls this."""
    with disk_errors(folder.parent):
        for path in sorted(folder.glob(".*")):  # what is replaced is put back before what is unfinished is looked at
            if (found := ASIDE.fullmatch(path.name)) and found[2] == "replaced" and not (folder / found[1]).exists():
                path.rename(folder / found[1])
        for path in sorted(folder.glob(".*")):
            if (found := ASIDE.fullmatch(path.name)) is None:
                continue
            if found[2] == "unfinished" and not (folder / found[1]).exists() and _is_whole(path):
                path.rename(folder / found[1])
            else:
                shutil.rmtree(path)
        flush(folder)


def _is_whole(folder: Path) -> bool:
    try:
        verify(folder)
    except BadCheckpoint:
        return False
    return True


def _fingerprints(folder: Path, only: str | None = None) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file, or of `only` one, by its path in the folder."""
    found = {}
    for path in sorted(path for path in folder.rglob(only or "*") if path.is_file() and path.name != "manifest.json"):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": digest}
    return found


def _prune(folder: Path) -> None:
    there = in_place(folder)  # a copy under a higher number takes nobody's place
    best = {_best_of(path) for path in there[-KEPT:]}  # of the one to fall back to, too
    for path in there[:-KEPT]:
        if number_of(path) not in best:
            removed = folder / f".{number_of(path):06d}.removed"
            path.rename(removed)  # a checkpoint is whole as long as it has its name
            shutil.rmtree(removed)


def checkpoints(folder: Path) -> list[Path]:
    """Every checkpoint in a run's folder of checkpoints, oldest first."""
    found: dict[int, Path] = {}
    with suppress(FileNotFoundError):
        for path in folder.iterdir():
            aside = ASIDE.fullmatch(path.name)
            if NAME.fullmatch(path.name) and path.is_dir():
                found[int(path.name)] = path
            elif aside and aside[2] == "replaced" and not (folder / aside[1]).exists():
                found.setdefault(int(aside[1]), path)
    return [found[number] for number in sorted(found)]


def pointed_to(folder: Path, pointer: str) -> Path | None:
    """The checkpoint that is "last", or "best" as the last one says; None if there is none."""
    there = checkpoints(folder)
    if pointer == "last":
        return there[-1] if there else None
    for path in reversed(there):
        try:
            verify(path, only="progress.json")
        except BadCheckpoint as problem:
            notice(f"{problem}; which one is the best is asked of the one before")
            continue
        number = _best_of(path)
        if number is not None:
            return next((one for one in there if number_of(one) == number), None)
    return None


def _best_of(checkpoint: Path) -> int | None:
    """After which update the best checkpoint was made, as this one knew; None where it knew none, or is damaged."""
    try:
        return read_progress(checkpoint)["best_at"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def verify(folder: Path, *, only: str | None = None) -> None:
    """BadCheckpoint says which file is missing, cut, changed or not ours, or holds numbers that are not finite; `only`
    one of them is looked at, if named."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        form, expected = manifest["format"], manifest["files"]
        expected = {name: (int(file["bytes"]), str(file["sha256"])) for name, file in expected.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadCheckpoint(f"{folder} is not a checkpoint of Peripatos: no readable manifest.json") from error
    if not expected:
        raise BadCheckpoint(f"{folder} is not a checkpoint of Peripatos: its manifest.json names no file")
    if form == "peripatos checkpoint 1":
        raise BadCheckpoint(f"{folder} is a checkpoint of format 1: {OLDER} {FORMAT}")
    if form != f"peripatos checkpoint {FORMAT}":
        raise BadCheckpoint(f"{folder} is a {form!r}; this version reads 'peripatos checkpoint {FORMAT}'")
    found = {name: (file["bytes"], file["sha256"]) for name, file in _fingerprints(folder, only).items()}
    ours = {name for name in found if name.endswith((".json", ".safetensors"))}  # a user's notes may lie beside them
    for name in sorted({*expected, *ours} if only is None else {only}):
        if name not in found:
            raise BadCheckpoint(f"checkpoint {folder} is damaged: {name} is missing")
        if name not in expected:
            raise BadCheckpoint(f"checkpoint {folder} is damaged: its manifest.json does not know {name}")
        if found[name][0] != expected[name][0]:
            sizes = f"{found[name][0]} bytes instead of {expected[name][0]}"
            raise BadCheckpoint(f"checkpoint {folder} is damaged: {name} has {sizes}")
        if found[name] != expected[name]:
            raise BadCheckpoint(f"checkpoint {folder} is damaged: the contents of {name} have changed")
    for name in found:
        if name.endswith(".json") and (wrong := find_misformed(folder, name)):
            raise BadCheckpoint(f"checkpoint {folder} is damaged: {wrong}")
    if _is_named(folder) and (lacking := find_lacking(folder, expected)):
        raise BadCheckpoint(f"checkpoint {folder} is damaged: its manifest.json does not know {lacking}")
    if misplaced := _find_misplaced(folder):
        raise BadCheckpoint(f"{folder} is no checkpoint of this run: {misplaced}")
    if only is None and (unsound := find_unsound_file(folder)):
        raise BadCheckpoint(f"checkpoint {folder} is of no use: {unsound}")


def _find_misplaced(folder: Path) -> str | None:
    """Why a folder cannot be what its name says; None where it can, or where nothing can be read of it."""
    if not _is_named(folder):
        return None  # of a reference, the name says nothing
    if folder.is_symlink():
        return f"it is a link to {folder.readlink()}; put the folder itself there, or remove the link"
    try:
        update = read_progress(folder)["update"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    if update == number_of(folder):
        return None
    return f"its name says update {number_of(folder)}, its progress.json update {update}; remove or rename the copy"


def _is_named(folder: Path) -> bool:
    """Whether a folder has the name of a checkpoint."""
    return bool(NAME.fullmatch(folder.name) or ASIDE.fullmatch(folder.name))


def in_place(folder: Path) -> list[Path]:
    """The checkpoints that are what their names say, whole or not, oldest first."""
    return [path for path in checkpoints(folder) if _find_misplaced(path) is None]


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
    return json.loads((folder / "progress.json").read_text(encoding="utf-8"))


def read_actor_state(folder: Path) -> dict[str, Tensor]:
    """What `actor.state()` gave."""
    from safetensors.torch import load_file

    return load_file(folder / "actor.safetensors")
