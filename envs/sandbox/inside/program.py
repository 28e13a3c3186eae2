"""Loading a program, and saying what became of it."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Callable
from typing import Any

FILE = "<program>"
_MAX_MESSAGE = 300
_TYPES = "Any Callable DefaultDict Deque Dict FrozenSet Iterable Iterator List Optional Sequence Set Tuple Union"

Job = dict[str, Any]  # JSON from the host: each kind of job documents its keys


class Ended(Exception):
    """The program is over: what happened, in a word of the verdicts, and a message for the reader."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message


def describe(error: BaseException) -> str:
    """`ZeroDivisionError: division by zero (line 3)`, whatever the exception's own methods do."""
    try:
        text = f"{type(error).__name__}: {error}"
    except BaseException:  # the program's __str__ may raise anything
        text = type(error).__name__
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    return text[:_MAX_MESSAGE] + (f" (line {line})" if line is not None else "")


def kind_of(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "memory_limit"
    return "no_answer" if isinstance(error, (SystemExit, KeyboardInterrupt)) else "runtime_error"


def load(code: str, name: str) -> types.ModuleType:
    """Compile and run the program as the module `name`.

    Raises Ended when it does not come through, and lets SystemExit pass.
    """
    try:
        compiled = compile(code, FILE, "exec", dont_inherit=True)
    except Exception as error:
        raise Ended("compile_error", describe(error)) from None
    module = types.ModuleType(name)
    sys.modules[name] = module
    if "class Solution" in code:  # where such classes come from, these names are there
        module.__dict__.update({name: getattr(typing, name) for name in _TYPES.split()})
    try:
        exec(compiled, module.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        raise Ended(kind_of(error), describe(error)) from None
    return module


def entry_of(module: types.ModuleType, entry: str) -> Callable[..., object]:
    """The program's function of that name, or a method of its `class Solution`, which each call makes anew."""
    target = module.__dict__.get(entry)
    if callable(target):
        return target
    solution = module.__dict__.get("Solution")
    if isinstance(solution, type) and callable(getattr(solution, entry, None)):
        return lambda *positional, **named: getattr(solution(), entry)(*positional, **named)
    raise Ended("no_answer", f"the program defines no function {entry!r}")
