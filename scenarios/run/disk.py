"""Writing so that a kill, a full disk or a lost folder leaves a file whole or as it was, and is said well."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...envs.errors import UserError

WRITING_ENDS = {  # what is wrong, in words, and what helps
    errno.ENOSPC: ("the disk is full", "free some space"),
    errno.EDQUOT: ("the quota of this user is used up", "free some of it"),
    errno.EFBIG: (
        "a file has reached the size that this process may write",
        "raise that limit (`ulimit -f unlimited`)",
    ),
    errno.EMFILE: ("this process has as many files open as it may have", "raise that limit (`ulimit -n`)"),
    errno.ENFILE: ("this machine has as many files open as it can have", "end something else"),
    errno.EROFS: ("its file system can only be read", "make it writable"),
    errno.EACCES: ("there is no permission", "give it back"),
    errno.EPERM: ("there is no permission", "give it back"),
    errno.EIO: ("the disk has failed", "see to the disk"),
}
ESCAPED = "backslashreplace"  # half of a surrogate pair, which UTF-8 cannot hold, is written as JSON escapes it


class RunFailed(RuntimeError):
    """The run cannot go on, through no mistake in what was typed. The message is for the user."""


def typed(path: Path) -> str:
    """A path as one types it in a shell."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def make_folder(path: Path) -> None:
    """Make a folder and those above it. UserError where that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise no_folder(path, problem) from problem


def no_folder(path: Path, problem: OSError) -> UserError:
    """What to say where a folder cannot be made."""
    return UserError(f"the folder {path} cannot be made: {problem.strerror}")


def to_json(value: object) -> str:
    """Strict JSON: numbers that are not finite become null."""
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False)  # an episode may have 100,000 numbers
    except (ValueError, TypeError):  # some are not finite, or a mapping is no dict
        return json.dumps(finite(value), allow_nan=False, ensure_ascii=False)


def finite(value: Any) -> Any:
    """`value` with null in place of numbers that are not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace `path` with indented JSON, at once or not at all."""
    write_text(path, json.dumps(finite(value), indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Replace `path` at once or not at all."""
    write_bytes(path, text.encode("utf-8", ESCAPED))


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` at once or not at all."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        with suppress(OSError):  # the first error is the one that counts
            unfinished.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """What was written into a file or folder is on the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def disk_errors(path: Path, *, into_run: bool = True) -> Iterator[None]:
    """Whatever keeps us from writing into the run at `path` becomes a `RunFailed` that says what is safe and what to
    do; likewise, not `into_run`, of a file or folder that a command writes."""
    try:
        yield
    except (RunFailed, UserError):
        raise
    except Exception as error:
        if hidden_number(error) is None and not isinstance(error, OSError):
            raise
        raise (no_longer_written if into_run else _not_written)(path, error) from error


def hidden_number(error: Exception) -> int | None:
    """The operating system's number of an error; other writers than Python's hide it in their words."""
    found = re.search(r"\(os error (\d+)\)", str(error))
    return error.errno if isinstance(error, OSError) else int(found[1]) if found else None


def no_longer_written(path: Path, error: Exception) -> RunFailed:
    """What to say when nothing more can be written into the run at `path`."""
    then = f"then `peripatos resume {typed(path)}` goes on from the last checkpoint"
    if not path.is_dir():
        return RunFailed(f"{path} is gone: it was moved or removed while the run wrote into it; put it back, {then}")
    what, remedy = in_words(error)
    return RunFailed(
        f"{path} can no longer be written ({what}: {error}); nothing that was saved is lost: {remedy}, {then}"
    )


def _not_written(path: Path, error: Exception) -> RunFailed:
    what, remedy = in_words(error)
    return RunFailed(f"{path} cannot be written ({what}: {error}); {remedy}, then type the command again")


def in_words(error: Exception) -> tuple[str, str]:
    """What is wrong, and what helps."""
    return WRITING_ENDS.get(hidden_number(error) or 0, ("it cannot be written", "mend that"))
