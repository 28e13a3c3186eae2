"""Loading a program, and saying what became of it."""

from __future__ import annotations

import inspect
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


def names_of(value: object) -> list[Any]:
    """The names of a value's class and its bases, nearest first: enough to raise an exception's like elsewhere."""
    return [base.__name__ for base in type(value).__mro__]


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
    """The program's function or class of that name, or a method: `Solution().solve`, `Solution.solve`, or `solve` where
    a `class Solution` has it. Each call of a method makes its object anew.
    """
    first, *methods = entry.replace("()", "").split(".")
    target = module.__dict__.get(first)
    solution = module.__dict__.get("Solution")
    if not callable(target) and not methods and isinstance(solution, type):
        target, methods = solution, [first]
    for method in methods:
        if not callable(getattr(target, method, None)):
            raise Ended("no_answer", f"the program defines no {entry!r}")
        target = _method(target, method) if isinstance(target, type) else getattr(target, method)
    if not callable(target):
        raise Ended("no_answer", f"the program defines no function {entry!r}")
    return target


def _method(kind: Callable[..., object], name: str) -> Callable[..., object]:
    """A method of a class, of an object that each call makes; one that needs none, as it is."""
    if isinstance(inspect.getattr_static(kind, name), (staticmethod, classmethod)):
        return getattr(kind, name)
    return lambda *positional, **named: getattr(kind(), name)(*positional, **named)


def settled(value: Any) -> object:
    """What a coroutine gives in the end, or the list of what an asynchronous generator gives."""
    import asyncio  # few programs need it

    async def items() -> list[object]:
        return [item async for item in value]

    return asyncio.run(value if inspect.iscoroutine(value) else items())
