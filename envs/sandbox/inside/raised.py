"""What the candidate raised, raised again where the test code runs: an exception of the same kind, made here.

A test that catches exceptions of the program's own class names it; such a class is made here too. Everything else is
the nearest of Python's own, or `CandidateError`.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Mapping
from typing import Any

from .codec import Wire

# Exceptions by which Python's own loops and generators end.
_CONTROL = ("StopIteration", "StopAsyncIteration", "GeneratorExit")
_CATCHERS = ("raises", "raisesregex", "suppress")


class CandidateError(Exception):
    """The candidate raised what has no built-in ancestor but Exception, or what would end a loop of the test's."""


def exception_names(tree: ast.AST) -> set[str]:
    """The names by which test code catches exceptions: in `except`, `pytest.raises(…)`, `assertRaises(…)`."""
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.type is not None:
            found.append(node.type)
        if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
            called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if called.lower().endswith(_CATCHERS):
                found += node.args
    return {part.id for node in found for part in ast.walk(node) if isinstance(part, ast.Name)}


def like_of(
    names: list[str],
    message: str,
    known: Mapping[str, type[Exception]],
    read: Callable[[Wire], Any],
    detail: Any,
) -> Exception:
    """An exception like the candidate's, whose classes have these `names`, nearest first. `known` are those that the
    test catches by name; `detail` is what else it said."""
    args, said = (message,), message
    fields: dict[str, object] = {}
    if isinstance(detail, dict):
        args, fields, said = tuple(read(detail["args"])), read(detail["fields"]), str(detail["said"])
    bases = [known[name] for name in names if name in known]
    if not set(names) & set(_CONTROL):
        bases += [found for name in names if (found := _built_in(name)) is not None][:1]
    for kinds in (bases, bases[:1]) if bases else ():
        for given in (args, (message,)):
            try:
                error = kinds[0](*given) if len(kinds) == 1 else type(names[0], tuple(kinds), {})(*given)
            except (TypeError, ValueError):  # a Unicode error, for one, wants more than a message
                continue
            return _with(error, fields, said)
    return _with(CandidateError(*args), fields, said)


def _built_in(name: str) -> type[Exception] | None:
    found = getattr(builtins, name, None)
    is_one = isinstance(found, type) and issubclass(found, Exception) and found is not Exception
    return found if is_one else None


def _with(error: Exception, fields: Mapping[str, object], said: str) -> Exception:
    """The exception with the fields and the text of the candidate's, where its class is no built-in one."""
    for name, value in fields.items():
        if isinstance(name, str) and not name.startswith("__"):
            setattr(error, name, value)
    if str(error) != said and type(error).__module__ != "builtins":
        error.__class__ = type(type(error).__name__, (type(error),), {"__str__": lambda self: said})
    return error
