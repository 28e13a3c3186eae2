"""Processes of the whole machine, found by a mark in their arguments that no other test run has."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def marked() -> Iterator[str]:
    """Seconds for which something of a test's would sleep, by which it is found. What is left of it is ended."""
    mark = str(random.SystemRandom().randrange(10**8, 10**9))
    yield mark
    for pid in alive(mark):
        os.kill(pid, signal.SIGKILL)


def alive(mark: str) -> list[int]:
    """The processes whose arguments hold the mark and which have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if mark in words and lives(int(path.name)):
            found.append(int(path.name))
    return found


def lives(pid: int) -> bool:
    """Whether it has not ended; who buries the dead is not ours to say."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def soon(holds: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether something comes true, mostly at once; on a busy machine it may take its time."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
