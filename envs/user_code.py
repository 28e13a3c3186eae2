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
_HERE = Path(__file__).parent
_NOT_THEIRS = tuple(
    f"{Path(folder).resolve()}{os.sep}"
    for folder in (*map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib")), _HERE.parent)
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


def check_call(what: str, function: Callable[..., object], *given: str) -> None:
    """`UserError` if `function` cannot be called with as many arguments as `given`, which are their names, or if such a
    call would give a coroutine or a generator and no value."""
    for called in (function, getattr(type(function), "__call__", None)):  # noqa: B004 (an object may be called too)
        if inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called):
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


def described(error: BaseException) -> str:
    """An error in words: its kind, what it says, and the lines of the user's that it came through, the last one last.
    Of a `SyntaxError`, the place in the file."""
    if isinstance(error, SyntaxError) and error.filename:
        column = f", column {error.offset}" if error.offset else ""
        line = f": {error.text.strip()}" if error.text else ""
        return f"{type(error).__name__}: {_short(error.filename)}, line {error.lineno}{column}: {error.msg}{line}"
    if isinstance(error, SystemExit):
        words = f"it ends the program (sys.exit({error.code!r}))"
    else:
        said = " ".join(str(error).split())[:2000]
        words = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return "".join([words, *(f"\n    {line}" for line in users_lines(error))])


def users_lines(error: BaseException) -> list[str]:
    """`maze.py, line 3, in dig: spade()` for the last few steps of a traceback through files of the user's: those of
    neither Python, nor an installed library, nor this package. Where it went through none, its last step, unless that
    is the call of what the user named."""
    steps = [step for step in traceback.extract_tb(error.__traceback__) if not step.filename.startswith("<frozen ")]
    theirs = [step for step in steps if not str(Path(step.filename).resolve()).startswith(_NOT_THEIRS)]
    kept = theirs[-_MOST_LINES:] or [step for step in steps[-1:] if Path(step.filename).parent != _HERE]
    return [
        f"{_short(step.filename)}, line {step.lineno}, in {step.name}" + (f": {step.line}" if step.line else "")
        for step in kept
    ]


def _short(file: str) -> str:
    """A path as seen from the current directory, where it lies below."""
    path = Path(file)
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return file
