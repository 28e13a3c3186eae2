"""Which function a piece of test code is about."""

from __future__ import annotations

import ast
import builtins

from ...errors import UserError

_RENAMED = {"sum", "max", "min", "sorted", "pow", "abs", "round", "filter", "map", "zip", "len", "reversed", "divmod"}
"""Built-in functions that a task may ask to be written anew: right only where the code calls no other."""


def called_in(tests: str) -> str | None:
    """The first function that test code calls in an assertion and neither defines nor imports; None if there is none.

    `UserError` for code that does not compile.
    """
    try:
        tree = ast.parse(tests)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"the test code {tests!r:.60} does not compile: {error}") from error
    own, late = set(dir(builtins)) - _RENAMED, None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            own.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            own |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
    asserted = [statement.test for statement in ast.walk(tree) if isinstance(statement, ast.Assert)]
    for call in (node.func for test in asserted for node in ast.walk(test) if isinstance(node, ast.Call)):
        if not isinstance(call, ast.Name) or call.id in own:
            continue
        if call.id not in _RENAMED:
            return call.id
        late = late or call.id
    return late
