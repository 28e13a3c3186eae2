"""One writer at a time: a run's folder is locked by whoever writes into it, and a kill frees it.

    RUN/.lock    {"process": 4711, "host": "lab", "since": "2026-11-26 07:12:38", "command": "peripatos run …"}

The lock is the operating system's (`flock`) and belongs to the open file, so that it ends with its process however that
may end; what the file says is only for the message. Children do not keep it. Who only reads never waits for it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shlex
import socket
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...envs.errors import UserError
from .disk import in_words

NAME = ".lock"
PATIENCE = 0.5  # seconds in which a reader who looks whether the run is alive has looked
CANNOT_LOCK = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
HELD: weakref.WeakSet[Lock] = weakref.WeakSet()  # of this process


class Lock:
    """The right to write into `folder`, until `release` or the end of this process.

    `warning` says what is wrong where the folder's file system cannot lock, else None.

    Raises:
        UserError: another process has it.
        OSError: the lock's file cannot be made.
    """

    _file = -1  # no descriptor, also where it could not be opened

    def __init__(self, folder: Path, command: Sequence[str]) -> None:
        self.warning: str | None = None
        self._path = folder / NAME
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            self._take(folder)
            note = {"process": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, (json.dumps({**note, "command": shlex.join(command)}) + "\n").encode(), 0)
        except BaseException:
            self.release()
            raise
        HELD.add(self)

    def _take(self, folder: Path) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as problem:
                if problem.errno in CANNOT_LOCK:
                    self.warning = (
                        f"the file system of {folder} cannot lock ({problem.strerror}): see to it that no second "
                        "process writes there"
                    )
                    return
                if problem.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
                if time.monotonic() > until:
                    raise UserError(
                        f"{folder} is being written by {describe(folder)}; wait for it or stop it"
                    ) from None
                time.sleep(0.02)
            else:
                if self.still_there():
                    return
                os.close(self._file)  # it was removed in between, and another file may be there by now
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)

    def still_there(self) -> bool:
        """Whether the folder is still the one that was locked, and not removed, moved or made anew."""
        try:
            return os.path.samestat(os.fstat(self._file), self._path.stat())
        except OSError:
            return False

    def release(self) -> None:
        """Let others write, also where a child that is just being started still has a copy; twice is harmless."""
        if self._file >= 0:
            with suppress(OSError):  # a file system that cannot lock
                fcntl.flock(self._file, fcntl.LOCK_UN)
        self.leave()

    def leave(self) -> None:
        """Close this process's copy. The lock is free when nobody has one."""
        HELD.discard(self)
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def __del__(self) -> None:
        self.release()


def take(folder: Path, command: Sequence[str]) -> Lock:
    """The lock of `folder`. UserError if another process has it, or if nobody can write there."""
    try:
        return Lock(folder, command)
    except OSError as error:
        if isinstance(error, IsADirectoryError):
            raise UserError(f"{folder / NAME} is a folder, where a file says who writes the run: remove it") from error
        what, remedy = in_words(error)
        raise UserError(f"{folder} cannot be written ({what}: {error}): {remedy}") from error


@contextmanager
def writing(folder: Path, command: Sequence[str]) -> Iterator[Lock]:
    """Nobody else writes into `folder` meanwhile. UserError as of `take`."""
    lock = take(folder, command)
    try:
        yield lock
    finally:
        lock.release()


def _leave_to_parent() -> None:
    for lock in [*HELD]:
        lock.leave()


os.register_at_fork(after_in_child=_leave_to_parent)


def is_written(folder: Path) -> bool:
    """Whether a process that lives writes into `folder`. Where nothing can be locked nobody is known to."""
    try:
        file = os.open(folder / NAME, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as problem:
        return problem.errno in (errno.EWOULDBLOCK, errno.EACCES)
    finally:
        os.close(file)
    return False


def describe(folder: Path) -> str:
    """`process 4711 on lab since 2026-11-26 07:12:38 (peripatos run …)`: who wrote last, or writes, into `folder`."""
    try:
        note: Any = json.loads((folder / NAME).read_text(encoding="utf-8"))
        return f"process {note['process']} on {note['host']} since {note['since']} ({note['command']})"
    except (OSError, ValueError, TypeError, KeyError):
        return "another process"
