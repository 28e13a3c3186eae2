"""What a run directory must not hold, for it may come from a stranger: ways out of it, and files without an end.

A run is read, and gone on with, by names within its folder. A link at one of them would have us read, write or delete
what it points to, and reading a pipe or a device never ends. So every entry is looked at, once, before a run is opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ...envs.errors import UserError
from ...envs.named_objects import trusting

MAX_LOG = 1 << 30  # bytes of a file that grows while a run goes on
MAX_SETTINGS = 64 << 20  # bytes of one that is read whole: a vocabulary is the longest
_SETTINGS = (".json", ".yaml", ".txt", ".jinja")


def refuse_strange_files(run: Path) -> None:
    """UserError for a link that leads out of `run`, for what is neither file nor folder, and for a file that is too
    long to be read. With PERIPATOS_TRUST=1 links may lead anywhere.
    """
    home = run.resolve()
    for entry in _entries(home):
        name = run / Path(entry.path).relative_to(home)
        if entry.is_symlink():
            target = Path(entry.path).resolve()
            if not target.is_relative_to(home) and not trusting():
                raise UserError(
                    f"{name} is a link to {target}, which is outside of the run; put what it points to in its place, "
                    "or set PERIPATOS_TRUST=1 if you made it"
                )
        try:
            found = entry.stat()
        except OSError:  # a link to nothing is what is missing there
            continue
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            raise UserError(f"{name} is neither a file nor a folder, and a run holds nothing else; move it away")
        _refuse_long(name, found.st_size)


def _refuse_long(name: Path, size: int) -> None:
    limits = {".jsonl": MAX_LOG, **dict.fromkeys(_SETTINGS, MAX_SETTINGS)}
    limit = limits.get(name.suffix)
    if limit is not None and size > limit:
        raise UserError(f"{name} has {size:,} bytes; {limit:,} are read of such a file; move it away")


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Everything in `folder`; no link is followed."""
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                entries = list(found)
        except OSError:  # it is said where it is read
            continue
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
