"""Code of a user's that runs here: what it raises is told in a sentence, with the user's own lines and none of ours.

with told("the world 'my_worlds:Maze' cannot be made"):
    world = Maze()

the world 'my_worlds:Maze' cannot be made: RuntimeError: no such maze
    my_worlds.py, line 23, in __init__: raise RuntimeError("no such maze")
"""

from __future__ import annotations

import inspect
import os
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UserError

_MOST_LINES = 3
_MOST_SAID = 2000  # characters of what an error says
_MOST_CODE = 200  # of a line of code
_HERE = Path(__file__).resolve().parent
_OURS = tuple(f"{_HERE.parent / part}{os.sep}" for part in ("agents", "algorithms", "envs", "scenarios"))
_OUR_WORLDS = f"{_HERE / 'worlds'}{os.sep}"
_INSTALLED = {"site-packages", "dist-packages"}
_LIBRARIES = tuple(
    f"{Path(folder).resolve()}{os.sep}"
    for folder in map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib"))
)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Everything that is raised inside becomes a `UserError`: `what`, a colon, and what happened in which lines. A
    `UserError` and Ctrl-C are left as they are."""
    try:
        yield
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise UserError(f"{what}: {described(error)}") from error


def check_call(what: str, function: Callable[..., object], *given: str, awaited: bool = False) -> None:
    """`UserError` if `function` cannot be called with as many arguments as `given`, which are their names, or if such a
    call would give a coroutine, unless that is `awaited`, or a generator and no value."""
    for called in (function, getattr(type(function), "__call__", None)):  # noqa: B004 (an object may be called too)
        if (inspect.iscoroutinefunction(called) and not awaited) or inspect.isasyncgenfunction(called):
            raise UserError(
                f"{what} is an `async def`, and nobody awaits it: write a plain `def` that returns its value"
            )
        if inspect.isgeneratorfunction(called):
            raise UserError(f"{what} is a generator, for it has a `yield`: write a plain `def` that returns its value")
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # of what is not written in Python
        return
    try:
        signature.bind(*given)
    except TypeError as problem:
        raise UserError(
            f"{what} is called with ({', '.join(given)}), and is defined with {signature}: {problem}"
        ) from problem


def check_value(what: str, given: object) -> None:
    """`UserError` if what the function `what` gave is a coroutine or a generator, and no value."""
    if inspect.iscoroutine(given):
        given.close()  # else Python warns of it too
        raise UserError(f"{what} is an `async def`, and nobody awaits it: write a plain `def` that returns its value")
    if inspect.isgenerator(given) or inspect.isasyncgen(given):
        raise UserError(f"{what} is a generator, for it has a `yield`: write a plain `def` that returns its value")


def described(error: BaseException) -> str:
    """An error in words: its kind, what it says, and the lines of the user's that it came through, the last one last.
    Of a `SyntaxError`, the place in the file."""
    if isinstance(error, SyntaxError) and error.filename:
        column = f", column {error.offset}" if error.offset else ""
        line = f": {error.text.strip()}" if error.text else ""
        return f"{type(error).__name__}: {_short(error.filename)}, line {error.lineno}{column}: {error.msg}{line}"
    return "".join([_words(error), *(f"\n    {line}" for line in users_lines(error))])


def broken(name: str, error: BaseException) -> str:
    """What happened in code of a user's that is called `name`, where it was to do its part of an episode:

    my_worlds:Maze failed in step (my_worlds.py, line 31): ZeroDivisionError: division by zero
        my_worlds.py, line 12, in step: return self.dig(action)
        my_worlds.py, line 31, in dig: return 1 / depth
    """
    steps = _users_steps(error)
    if not steps:
        return f"{name} failed: {described(error)}"
    place = f"{_short(steps[-1].filename)}, line {steps[-1].lineno}"
    lines = [f"\n    {_told(step)}" for step in steps[-_MOST_LINES:]]
    return "".join([f"{name} failed in {steps[0].name} ({place}): {_words(error)}", *lines])


def is_theirs(error: BaseException) -> bool:
    """Whether an error came through code of the user's, below where it was caught."""
    return bool(_users_steps(error))


def is_raised_there(error: BaseException) -> bool:
    """Whether it was code of the user's itself that raised an error, and not a library that it called."""
    steps = _steps(error)
    return bool(steps) and not _is_a_librarys(_path(steps[-1]))


def _words(error: BaseException) -> str:
    """The kind of an error, what it says and what is noted of it, on one line, whatever `__str__` does."""
    if isinstance(error, SystemExit):
        return f"it ends the program (sys.exit({error.code!r:.80}))"
    try:
        said = " ".join(str(error).split())
    except Exception as worse:
        said = f"its text cannot be read ({type(worse).__name__})"
    said = said if len(said) <= _MOST_SAID else f"{said[: _MOST_SAID - 1]}…"
    notes = "".join(f"; {note:.{_MOST_CODE}}" for note in dict.fromkeys(getattr(error, "__notes__", ())))
    return (f"{type(error).__name__}: {said}" if said else type(error).__name__) + " ".join(notes.split())


def users_lines(error: BaseException) -> list[str]:
    """`maze.py, line 3, in dig: spade()` for the last few steps of a traceback through files of the user's: those of
    neither Python, nor an installed library, nor this package. Where it went through none, its last step, unless that
    is ours as well; the worlds that we bring are told of like a library's."""
    theirs = _users_steps(error)[-_MOST_LINES:]
    return [_told(step) for step in theirs or [step for step in _steps(error)[-1:] if not _is_ours(step)]]


def _steps(error: BaseException) -> list[traceback.FrameSummary]:
    return [step for step in traceback.extract_tb(error.__traceback__) if not step.filename.startswith("<frozen ")]


def _users_steps(error: BaseException) -> list[traceback.FrameSummary]:
    return [step for step in _steps(error) if not _is_a_librarys(_path(step))]


def _is_a_librarys(path: str) -> bool:
    """Another Python's libraries may be seen from a virtual environment, so that the folder's name counts too."""
    installed = not _INSTALLED.isdisjoint(Path(path).parts)
    return installed or path.startswith((*_LIBRARIES, *_OURS))


def _is_ours(step: traceback.FrameSummary) -> bool:
    return _path(step).startswith(_OURS) and not _path(step).startswith(_OUR_WORLDS)


def _path(step: traceback.FrameSummary) -> str:
    return str(Path(step.filename).resolve())


def _told(step: traceback.FrameSummary) -> str:
    line = f": {step.line:.{_MOST_CODE}}" if step.line else ""
    return f"{_short(step.filename)}, line {step.lineno}, in {step.name}{line}"


def _short(file: str) -> str:
    """A path as seen from the current directory, where it lies below."""
    path = Path(file)
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return file
