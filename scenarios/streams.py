"""Who writes to stdout: what a command was asked for, and nobody else.

A world, a reward function or a simulator may print, in Python, in C or from a child of its own. From `claim_stdout` on
all of that goes to stderr; `data()` is the stream for what was asked for.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

_LATE = 5.0  # seconds that threads and children may take to end, once everything is done

_data: TextIO | None = None
_may_claim = False


@contextmanager
def stdout_for_data() -> Iterator[None]:
    """Within it `claim_stdout` works. Where stdout is a real one, it stays claimed: whoever prints while the process
    ends is no data either."""
    global _data, _may_claim
    before, _may_claim = sys.stdout, True
    try:
        yield
    finally:
        _may_claim = False
        if _data is not None and _data is before:
            sys.stdout, _data = before, None


def claim_stdout() -> None:
    """Strangers' code is about to be called: stdout is for data from now on."""
    global _data
    if not _may_claim or _data is not None:
        return
    if _number(sys.stdout) != 1:  # somebody has put another stream there
        _data, sys.stdout = sys.stdout, sys.stderr
        return
    sys.stdout.flush()
    encoding, errors = sys.stdout.encoding, sys.stdout.errors
    _data = open(os.dup(1), "w", encoding=encoding, errors=errors, buffering=1)  # noqa: PTH123, SIM115 (for good)
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def data() -> TextIO:
    """Where a command writes what it was asked for."""
    return sys.stdout if _data is None else _data


@contextmanager
def ending_in_time() -> Iterator[None]:
    """What a world has left behind (a thread, a child) does not keep this process alive after what is done here, whose
    exit code is the process's."""
    over, code = threading.Event(), [1]
    register = getattr(threading, "_register_atexit", None)  # what is done before threads are waited for
    if register is not None:
        register(over.set)
        threading.Thread(target=_end_late, args=(over, code), name="ends the process", daemon=True).start()
    try:
        yield
    except SystemExit as end:
        code[0] = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise


def _end_late(over: threading.Event, code: Sequence[int]) -> None:
    over.wait()
    time.sleep(_LATE)
    left = [thread.name for thread in threading.enumerate() if not thread.daemon and thread.is_alive()]
    what = f"threads that a world has left are still at work ({', '.join(left)})" if left else "a world's child is left"
    os.write(2, f"{what}; the process ends without them\n".encode(errors="backslashreplace"))
    os._exit(code[0])


def _number(stream: object) -> int | None:
    try:
        return stream.fileno()  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return None
