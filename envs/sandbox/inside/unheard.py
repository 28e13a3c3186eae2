"""Failures of test code that no exception brings to its end, and test code in which nothing can fail.

    unittest.TextTestRunner().run(suite)      keeps failures for itself
    pool.map(check, inputs)                   keeps them for whoever reads its results
    threading.Thread(target=check).start()    prints them
    atexit.register(check)                    comes after the end

All of them are heard here. A `TestCase` that the test code defines and does not run is run when it has ended.
"""

from __future__ import annotations

import ast
import atexit
import sys
import threading
import types
from collections.abc import Callable
from functools import partial
from typing import Any

Fail = Callable[[BaseException], None]

_FAIL = ("assert", "fail", "raises")  # how names of what raises begin
_END = ("exit", "_exit", "quit", "abort", "kill", "exec", "eval")  # or what runs code that may
_ALL = ("Exception", "BaseException")


def cannot_fail(tree: ast.AST) -> str:
    """Why test code holds whatever it is told; empty where it may fail."""
    nodes = [*ast.walk(tree)]
    asserted = [node.test for node in nodes if isinstance(node, ast.Assert)]
    if any(isinstance(test, ast.Tuple) and test.elts for test in asserted):
        return "an assert of a tuple always holds: write what is asserted and the message without brackets"
    if not all(isinstance(test, ast.Constant) and test.value for test in asserted) or any(
        isinstance(node, ast.Raise) for node in nodes
    ):
        return ""
    caught = [node.type for node in nodes if isinstance(node, ast.ExceptHandler)]
    if any(kind is not None and getattr(kind, "id", "") not in _ALL for kind in caught):  # another one would end it
        return ""
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    names |= {node.name for node in nodes if isinstance(node, ast.alias)}
    if any(name.startswith(_FAIL) or name in _END for name in names):
        return ""
    return "nothing in the test code can fail: it has no assert"


def listen(tree: ast.AST, module: types.ModuleType, fail: Fail) -> Callable[[], None]:
    """From now on `fail` gets what fails unheard. What is returned is called when the test code has ended: it waits for
    threads, and does what was left for the end."""
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    last: list[Callable[[], object]] = []

    def register(function: Callable[..., Any], *positional: object, **named: object) -> Callable[..., Any]:
        last.append(partial(function, *positional, **named))
        return function

    atexit.register = register
    threading.excepthook = lambda failed: fail(failed.exc_value) if isinstance(failed.exc_value, Exception) else None
    futures = _hear_futures(fail) if "concurrent" in imported else None
    cases = _hear_unittest(module, fail) if "unittest" in imported else None

    def end() -> None:
        if cases is not None:
            cases()
        if futures is not None:
            futures()
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        while last:
            last.pop()()

    return end


def _hear_unittest(module: types.ModuleType, fail: Fail) -> Callable[[], None]:
    """Every result of unittest tells `fail`. What is returned runs the cases of `module`, where none has run."""
    import unittest

    kind = unittest.TestResult
    started: list[object] = []

    def hear(name: str, real: Callable[..., None]) -> None:
        def told(self: object, *given: Any) -> None:
            if name == "startTest":
                started.append(given)
            elif name == "addUnexpectedSuccess":
                fail(AssertionError("a test succeeds that is expected to fail"))
            elif given[-1] is not None:  # of a part of a test that succeeds there is no error
                fail(given[-1][1])
            real(self, *given)

        setattr(kind, name, told)

    for name in ("startTest", "addError", "addFailure", "addSubTest", "addUnexpectedSuccess"):
        hear(name, getattr(kind, name))
    sys.modules["__main__"], sys.argv = module, ["tests"]  # where unittest.main() looks

    def run() -> None:
        if not started:
            unittest.defaultTestLoader.loadTestsFromModule(module).run(kind())

    return run


def _hear_futures(fail: Fail) -> Callable[[], None]:
    """What is returned ends all pools, and tells `fail` of a failure that a future holds, if none was read of any:
    whoever reads one has seen that something failed, and need not read the others."""
    from concurrent.futures import Future, thread

    held: list[BaseException] = []
    read: list[object] = []

    def hear(name: str, real: Callable[..., Any]) -> None:
        def told(self: Any, *given: Any, **named: Any) -> Any:
            try:
                return real(self, *given, **named)
            finally:
                if name == "set_exception":
                    held.extend(given)
                elif self.done() and not self.cancelled() and self._exception is not None:
                    read.append(self)

        setattr(Future, name, told)

    for name in ("set_exception", "result", "exception"):
        hear(name, getattr(Future, name))

    def end() -> None:
        thread._python_exit()
        if held and not read:
            fail(held[0])

    return end
