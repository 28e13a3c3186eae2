"""The code of a world is let in here: what it does to the process is put back, and somebody knows how long it works.

    with Contained("my_world:Mine"):
        world.step(action)

    except BaseException as error:
        if is_ours(error): raise           # somebody wants to stop; everything else costs the episode

What is put back: the folder, standard output and error, `open`, what `sys.path` had, the recursion limit, filters of
warnings, garbage collection, and of torch the default type, gradients and threads. Chance is not: nothing here draws
from a global stream.

Whoever plays many steps calls `look` between them, which raises `TimeIsUp` where a budget of seconds is over, or where
nobody wants any more what this thread plays.
"""

from __future__ import annotations

import builtins
import gc
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, NoReturn

from .errors import NeverEnds
from .vocabulary import WorldFailure

PATIENCE = 10.0  # seconds after which it is said that a world is waited for
_AGAIN = 60.0  # seconds until it is said again of the same world
_LOOKS = 0.2  # seconds between two looks at the clock
_TIME_IS_UP = getattr(signal, "SIGUSR2", None)  # wakes the main thread where a world sleeps in it

Deadline = Callable[[], float | None]

_at_work: dict[int, tuple[str, float]] = {}  # thread → the world in whose code it is, and since when
_moved: set[str] = set()  # worlds that have left the current folder
_unwanted: set[int] = set()  # threads whose work nobody wants any more
_deadline: Deadline | None = None
_says: threading.Event | None = None  # the innermost watch that has somebody to tell
_really_exit = os._exit


class TimeIsUp(BaseException):
    """A budget in seconds was over long ago, and experience is still collected; or nobody wants it any more."""


def is_ours(error: BaseException) -> bool:
    """Whether what came out of a world's code must go on its way: it is not the world's.

    Whoever listens to Ctrl-C raises a class of its own, so that a bare KeyboardInterrupt is the world's; where nobody
    listens, the two cannot be told from each other.
    """
    if isinstance(error, KeyboardInterrupt) and type(error) is KeyboardInterrupt:
        return signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return isinstance(error, KeyboardInterrupt | TimeIsUp | NeverEnds)


def give_up(thread: int, *, on: bool = True) -> None:
    """What `thread` plays is not wanted any more: its next `look` ends it. `on=False`: what it plays next is."""
    (_unwanted.add if on else _unwanted.discard)(thread)


def look() -> None:
    """Raise `TimeIsUp` where it is."""
    if _unwanted and threading.get_ident() in _unwanted:
        raise TimeIsUp
    moment = _deadline() if _deadline is not None else None
    if moment is not None and time.monotonic() > moment:
        raise TimeIsUp


def has_moved(name: str) -> bool:
    """Whether code of the world `name` has changed the current folder, so that it was put back."""
    return name in _moved


def busy(seconds: float = 0.0) -> str | None:
    """The world in whose code the main thread has been for longer than `seconds`."""
    name, since = _at_work.get(threading.main_thread().ident or 0, ("", time.monotonic()))
    return name if name and time.monotonic() - since > seconds else None


class Contained:
    """See the module. `name` is what the world is called. Contexts may lie in each other; they may be used once."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        thread = threading.get_ident()
        self._thread, self._outer = thread, _at_work.get(thread)
        if self._outer is None:
            _at_work[thread] = self._name, time.monotonic()
        self._folder, self._recursion, self._collects = _folder(), sys.getrecursionlimit(), gc.isenabled()
        self._streams, self._filters = (sys.stdout, sys.stderr), list(warnings.filters)
        self._path, self._opens = list(sys.path), builtins.open
        self._torch = _torch_settings()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.setrecursionlimit(self._recursion)  # first, for nothing else may be called while it is too low
        if self._outer is None:
            _at_work.pop(self._thread, None)
        if self._folder is not None and _folder() != self._folder and os.path.isdir(self._folder):  # noqa: PTH112
            os.chdir(self._folder)
            _moved.add(self._name)
        if gc.isenabled() != self._collects:
            (gc.enable if self._collects else gc.disable)()
        if warnings.filters != self._filters:
            warnings.resetwarnings()  # so that nobody goes by what was decided under the others
            warnings.filters[:] = self._filters  # type: ignore[index]
        builtins.open = self._opens
        if sys.path != self._path:
            self._mend_path()
        self._mend_streams()
        if self._torch is not None and _torch_settings() != self._torch:
            _set_torch(self._torch)

    def _mend_path(self) -> None:
        """What was taken from `sys.path` is there again; what was added may stay, for modules are found through it."""
        given = sys.path if isinstance(sys.path, list) else []
        if not set(self._path).issubset(given):
            sys.path = [*self._path, *(folder for folder in given if folder not in self._path)]

    def _mend_streams(self) -> None:
        """In the main thread they are again what they were. A world in another thread may come back late, when somebody
        else has given the process others: there, only streams that are lost are mended."""
        out, err = self._streams
        if threading.current_thread() is not threading.main_thread():
            out = out if sys.stdout is None or sys.stdout.closed else sys.stdout
            err = err if sys.stderr is None or sys.stderr.closed else sys.stderr
        sys.stdout = _open_again(out, 1) if getattr(out, "closed", False) else out
        sys.stderr = _open_again(err, 2) if getattr(err, "closed", False) else err


def process_state() -> dict[str, Any]:
    """What a world has to leave alone, by name."""
    return {
        "the current folder": _folder(),
        "standard error": (sys.stderr, getattr(sys.stderr, "closed", False)),
        "the recursion limit": sys.getrecursionlimit(),
        "filters of warnings": list(warnings.filters),
        "torch's default type, gradients or threads": _torch_settings(),
        "the handler of Ctrl-C": signal.getsignal(signal.SIGINT),
        "the threads that are at work": [t for t in threading.enumerate() if not t.daemon],
    }


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 (twice for each step of a world)
    except OSError:
        return None


def _open_again(stream: Any, descriptor: int) -> Any:
    """A stream in the place of one that was closed; the descriptor of the standard ones stays open."""
    try:
        return open(descriptor, "w", errors="backslashreplace", closefd=False)
    except OSError:
        return stream


def _torch_settings() -> tuple[Any, bool, int] | None:
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_default_dtype"):
        return None
    return torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()


def _set_torch(settings: tuple[Any, bool, int]) -> None:
    torch = sys.modules["torch"]
    torch.set_default_dtype(settings[0])
    torch.set_grad_enabled(settings[1])
    torch.set_num_threads(settings[2])


# --- the process as a whole ---------------------------------------------------------------------------------------


@contextmanager
def no_exit() -> Iterator[None]:
    """Within it `os._exit`, called by a world or a thread of its own, is the failure of that world and not the end of
    the process. Children that were forked end as they should."""
    mine = os.getpid()

    def refuse(code: int) -> NoReturn:
        elsewhere = threading.current_thread() is not threading.main_thread()
        if os.getpid() == mine and (elsewhere or threading.get_ident() in _at_work):
            raise WorldFailure(f"it called os._exit({code}), which would have ended the whole run")
        _really_exit(code)

    before, os._exit = os._exit, refuse
    try:
        yield
    finally:
        os._exit = before


@contextmanager
def watch(say: Callable[[str], None] | None = None, *, deadline: Deadline | None = None) -> Iterator[None]:
    """Within it, `say` gets a line for each world that is at work for very long.

    Where `deadline` gives a moment of `time.monotonic()` and that is past, `look` raises `TimeIsUp`, and so does the
    call of a world in which the main thread is.
    """
    global _deadline, _says
    over = threading.Event()
    thread = threading.Thread(target=_watch, args=(over, say, deadline), name="watch", daemon=True)
    listens = deadline is not None and threading.current_thread() is threading.main_thread()
    before = signal.signal(_TIME_IS_UP, _hear) if listens and _TIME_IS_UP else None
    outer, _deadline = (_deadline, _says), deadline
    _says = _says if say is None else over
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        _deadline, _says = outer
        if listens and _TIME_IS_UP:
            signal.signal(_TIME_IS_UP, before or signal.SIG_DFL)


def _hear(number: int, frame: FrameType | None) -> None:
    if busy():
        look()


def _watch(over: threading.Event, say: Callable[[str], None] | None, deadline: Deadline | None) -> None:
    said: dict[str, float] = {}
    main, woken = threading.main_thread().ident, None
    while not over.wait(_LOOKS):
        now = time.monotonic()
        for name, since in list(_at_work.values()):
            if now - since > PATIENCE and now - said.get(name, -_AGAIN) >= _AGAIN and say is not None and _says is over:
                said[name] = now
                say(f"waiting for {name} since {now - since:.0f} s")
        moment = deadline() if deadline is not None else None
        if moment is not None and now > moment != woken and busy() and main is not None and _TIME_IS_UP:
            woken = moment
            signal.pthread_kill(main, _TIME_IS_UP)
