"""Signals that ask this process to end: Ctrl-C, SIGTERM (a job system), SIGHUP (a closed terminal).

A command is stopped by the first. A run is asked by the first to save itself, and stopped by the second. The third
ends the process on the spot. The exit code is 128 and the number of the first: 130, 143, 129.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_exit = os._exit  # whatever is put in its place while worlds are played
ASK = ("SIGINT", "SIGTERM", "SIGHUP")
BEFORE_ANYTHING = "stopped before anything was written"
DONE_BY_THEN = "stopped at its end: all was done before that could be heard"
_AGAIN, _PUT_OFF = 0.05, 15.0  # seconds after which a signal that met an import comes again, and for how long it may
_ANEW = 0.5  # seconds after which another one is somebody who does not wait for that
_BRIEFLY = 0.25  # the same for what takes a lock
_TAKE_LOCKS = (subprocess.__file__, threading.__file__)
_asked_to_end: list[int] = []  # what `ending_by_signals` has heard while it holds


class Stopped(KeyboardInterrupt):
    """A signal has stopped us: `number` says which, `code` is the exit code, `in_order` whether nothing that cannot be
    saved was cut off."""

    def __init__(self, number: int, words: str = "", *, in_order: bool = False) -> None:
        super().__init__(*([words] if words else []))
        self.number, self.code, self.in_order = number, 128 + number, in_order


class Stop:
    """Whether somebody has asked a run to stop: the first time it is `said`, and the run saves itself as soon as it
    can; the second time `Stopped` is raised wherever the main thread is."""

    def __init__(self, said: Callable[[str], None] = lambda text: None) -> None:
        self.said = said
        self._numbers: list[int] = []
        self._at_once = False
        self.raised: Stopped | None = None  # the latest; a library that it has interrupted may turn it into anything

    def is_set(self) -> bool:
        """Whether it was asked."""
        return bool(self._numbers)

    def stopped(self) -> Stopped:
        """The exception that says by what."""
        return Stopped(self._numbers[0], in_order=True)

    @contextmanager
    def at_once(self, *, afterwards: bool = True) -> Iterator[None]:
        """Within, nothing is to be finished first: `Stopped` is raised the first time. Where a world has swallowed it,
        it is raised `afterwards`, unless what is whole by then is to be made use of first."""
        if self.is_set():
            raise self.stopped()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False
        if afterwards and self.is_set():
            raise self.stopped()

    def hear(self, number: int, frame: FrameType | None) -> None:
        """The handler of the signals."""
        self._numbers.append(number)
        count = len(self._numbers)
        if count > 2:
            _exit(128 + self._numbers[0])
        if count == 2 or self._at_once:
            self.raised = self.stopped() if count == 1 else Stopped(self._numbers[0])
            raise self.raised
        self.said("stopping after this update, to save it; Ctrl-C again stops at once")


def asked_to_end() -> Stopped | None:
    """What `ending_by_signals` has raised, whatever a library has made of it since."""
    return Stopped(_asked_to_end[0]) if _asked_to_end else None


@contextmanager
def heard_by(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """`handler` hears every signal of `ASK`, if this is the main thread. An ignored SIGHUP (`nohup`) stays ignored.

    Raises `Stopped` if we were asked to end before, and somebody has swallowed it: a finaliser, a library's import.
    """
    if (stopped := asked_to_end()) is not None:
        raise stopped
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {}
    for name in ASK:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and not (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, signal.SIG_DFL if old is None else old)


def _patience(frame: FrameType | None) -> float:
    """For how many seconds a signal may be put off, because what it has met would not stand an exception: a library of
    C++ that calls Python while it is imported ends the process where that raises (`terminate called after throwing …`);
    the standard library, between taking a lock and the `try` that gives it back, leaves it taken, and waits for ever.
    """
    briefly = _BRIEFLY if frame is not None and frame.f_code.co_filename in _TAKE_LOCKS else 0.0
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib._bootstrap"):
            return _PUT_OFF
        frame = frame.f_back
    return briefly


@contextmanager
def ending_by_signals(words: str = BEFORE_ANYTHING) -> Iterator[list[int]]:
    """A signal ends what is done here, with one line that says `words`, and its exit code. No traceback, whatever it
    has cut off: a library that is interrupted while it is imported turns `Stopped` into anything. Where all is done
    before a signal could end it (imports to the last, a finaliser that swallowed it), the exit code still is the
    signal's. Gives the signals that were heard so far.
    """
    heard: list[int] = []
    put_off: list[tuple[float, int, threading.Timer]] = []  # when, which, and what brings it again
    brought: list[int] = []  # what a timer brings again, and nobody has sent anew
    over = False  # set before anything else is called: what is heard from then on cuts off nothing

    def bring(number: int) -> None:
        brought.append(number)
        os.kill(os.getpid(), number)

    def stop(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        since = now - put_off[0][0] if put_off else 0.0
        impatient = since > _ANEW and not brought
        brought.clear()
        if not heard and not impatient and since < _patience(frame):
            again = threading.Timer(_AGAIN, bring, [number])
            again.daemon = True
            put_off.append((now, number, again))
            again.start()
            return
        heard.append(number)
        if len(heard) > 2:
            _exit(128 + heard[0])
        if over:
            return
        _asked_to_end.append(number)
        sys.unraisablehook = lambda problem: None  # where an exception cannot pass, it is no news
        raise Stopped(number)

    hook = sys.unraisablehook
    with heard_by(stop):
        try:
            yield heard
        except SystemExit as end:
            over = True
            late = heard or [number for _, number, again in put_off if again.is_alive()]
            if end.code or not late:
                raise
            tell(DONE_BY_THEN)
            sys.exit(128 + late[0])
        except BaseException:
            over = True
            if not heard:
                raise
            tell(words)
            sys.exit(128 + heard[0])
        finally:
            over = True
            sys.unraisablehook = hook
            _asked_to_end.clear()
            for _, _, again in put_off:
                again.cancel()


def tell(text: str) -> None:
    """A line on stderr, if there still is one; where its terminal or pipe is gone, nothing is said any more."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        silence(2)


def silence(number: int) -> None:
    """What is written to stdout (1) or stderr (2) from now on goes nowhere, and is no error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
