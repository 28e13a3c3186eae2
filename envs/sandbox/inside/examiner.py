"""The two processes of an assertion exam: the candidate, which serves calls, and the examiner, who asks them.

The candidate is untrusted; the examiner runs trusted test code in another process. What the candidate answers, and
how it fails, is a value there: no exception of its own ends a loop of the test's, no argument changes unless the test
asked for that, no answer is NaN unless it asked for that. A failed `assert` does not end the exam, so that the number
of calls does not tell the candidate which answer was right: see `_softened`.
"""

from __future__ import annotations

import ast
import builtins
import os
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

from .codec import Channel, Unsupported, Wire, decode, encode
from .program import FILE, Ended, Job, describe, entry_of, kind_of, load

_FAILED, _EVERY = "__peripatos_failed__", "__peripatos_every__"
_CATCHES = ("AssertionError", "Exception", "BaseException")
# Exceptions by which Python's own loops and generators end.
_CONTROL = ("StopIteration", "StopAsyncIteration", "GeneratorExit")


def _names(error: BaseException) -> list[Wire]:
    """The names of an exception's class and its bases, nearest first: enough to raise its like elsewhere."""
    return [base.__name__ for base in type(error).__mro__]


def run_candidate(job: Job, channel: Channel) -> None:
    """`{"code", "entry", "in_place"}` → `{"ready"}`, then an answer to every `{"name", "call", "named"}`.

    With `in_place`, the arguments go with each answer as the call left them. Ends when the host hangs up.
    """
    module = load(job["code"], "program")
    entry_of(module, job["entry"])
    channel.send({"ready": True})
    while True:
        message = channel.receive()
        target = entry_of(module, message["name"])
        positional, named = decode(message["call"]), decode(message["named"])
        try:
            answer: dict[str, Wire] = {"v": encode(target(*positional, **named))}
        except Unsupported as error:
            answer = {"raised": ["TypeError"], "m": f"the candidate returned {error}"}
        except Exception as error:
            answer = {"raised": _names(error), "m": describe(error)}
        except BaseException as error:
            raise Ended("no_answer", describe(error)) from None
        try:
            channel.send({**answer, "after": encode([positional, named])} if job["in_place"] else answer)
        except (Unsupported, ValueError) as error:
            channel.send({"raised": ["TypeError"], "m": f"the call left {error}", "after": None})


def _graft(old: object, new: object) -> None:
    """Give the mutable `old` the contents of `new`, in place, as the candidate's own call would have."""
    if isinstance(old, list) and isinstance(new, list):
        common = min(len(old), len(new))
        for i in range(common):
            if type(old[i]) is type(new[i]) and isinstance(new[i], (list, dict, set)):
                _graft(old[i], new[i])
            else:
                old[i] = new[i]
        old[common:] = new[common:]
    elif isinstance(old, tuple) and isinstance(new, tuple):
        for before, after in zip(old, new):  # noqa: B905  # Python 3.9 has no strict zip
            _graft(before, after)
    elif isinstance(old, dict) and isinstance(new, dict):
        for key, before in list(old.items()):
            if key in new and type(before) is type(new[key]) and isinstance(before, (list, dict, set)):
                _graft(before, new[key])
                new[key] = before
        old.clear()
        old.update(new)
    elif isinstance(old, set) and isinstance(new, set):
        old.clear()
        old.update(new)


class CandidateError(Exception):
    """The candidate raised what has no built-in ancestor but Exception, or what would end a loop of the test's."""


def _raise_like(names: list[str], message: str) -> None:
    for name in () if set(names) & set(_CONTROL) else names:
        known = getattr(builtins, name, None)
        if isinstance(known, type) and issubclass(known, Exception) and known is not Exception:
            try:
                error = known(message)
            except TypeError:  # a Unicode error, for one, wants more than a message
                continue
            raise error
    raise CandidateError(message)


def _holds_nan(wire: Wire) -> bool:
    if isinstance(wire, list):
        return any(map(_holds_nan, wire))
    if isinstance(wire, dict):
        return wire.get("f") == "nan" or any(map(_holds_nan, wire.values()))
    return False


class _Exam:
    """The calls so far, and the first failure."""

    def __init__(self, job: Job, channel: Channel) -> None:
        self._channel, self._nan = channel, job["nan"]
        self.calls = 0
        self.failure: Ended | None = None

    def fail(self, error: BaseException) -> None:
        """Note a failure, of which the first counts. One before the first call is no fault of the candidate's."""
        if self.failure is None:
            kind = "wrong_answer" if isinstance(error, AssertionError) else kind_of(error)
            self.failure = Ended(kind if self.calls else "broken_test", describe(error))

    def fail_now(self) -> None:
        """Note the exception that is being handled."""
        error = sys.exc_info()[1]
        assert error is not None
        self.fail(error)

    def stand_in(self, name: str) -> Callable[..., object]:
        """A function that is called in the candidate's process, by value."""

        def candidate(*positional: object, **named: object) -> object:
            try:
                call: Wire = {"name": name, "call": encode(list(positional)), "named": encode(named)}
            except Unsupported as error:
                raise TypeError(f"the candidate cannot be called with {error}") from None
            self.calls += 1
            return self._ask(call, positional, named)

        candidate.__name__ = candidate.__qualname__ = name
        return candidate

    def _ask(self, call: Wire, positional: tuple[object, ...], named: dict[str, object]) -> object:
        try:
            self._channel.send(call)
            answer = self._channel.receive()
        except (EOFError, OSError):
            os._exit(0)  # the host needs no more
        if answer.get("after") is not None:
            after = decode(answer["after"])
            _graft(positional, tuple(after[0]))
            for name, value in named.items():
                _graft(value, after[1].get(name))
        if "raised" in answer:
            _raise_like(answer["raised"], answer["m"])
        if not self._nan and _holds_nan(answer["v"]):
            self.fail(AssertionError("the answer holds NaN, and the test does not say that it deals with that"))
        return decode(answer["v"])


def _every(*parts: Callable[[], object]) -> object:
    """What `a and b and …` gives; but every part is evaluated, so that no call tells that those before held."""
    failure: BaseException | None = None
    first: object = None
    held = True
    for part in parts:
        try:
            value = part()
        except Exception as error:
            failure = error if held else failure
            held = False
        else:
            if held:
                first, held = value, bool(value)
    if failure is not None:
        raise failure
    return first


def _all(values: Iterable[object]) -> bool:
    """The built-in, but it goes on to the end."""
    held = True
    iterator = iter(values)
    while True:
        try:
            held = bool(next(iterator)) and held
        except StopIteration:
            return held
        except Exception:
            if held:
                raise
            return False


class _Softener(ast.NodeTransformer):
    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        test = node.test
        bound = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) and not _has(test, bound):
            nobody = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
            parts: list[ast.expr] = [ast.Lambda(args=nobody, body=value) for value in test.values]
            node.test = ast.Call(func=ast.Name(id=_EVERY, ctx=ast.Load()), args=parts, keywords=[])
        note = ast.Expr(ast.Call(func=ast.Name(id=_FAILED, ctx=ast.Load()), args=[], keywords=[]))
        handler = ast.ExceptHandler(type=None, name=None, body=[note])
        return ast.copy_location(ast.Try(body=[node], handlers=[handler], orelse=[], finalbody=[]), node)


def _has(tree: ast.AST, kinds: tuple[type[ast.AST], ...]) -> bool:
    return any(isinstance(node, kinds) for node in ast.walk(tree))


def _named(node: ast.AST | None) -> set[str]:
    """Every name that a part of the test code mentions."""
    found = ast.walk(node) if node is not None else ()
    return {n.id if isinstance(n, ast.Name) else n.attr for n in found if isinstance(n, (ast.Name, ast.Attribute))}


def _softened(tree: ast.Module) -> bool:
    """Let each `assert` note its failure and go on, so that the calls are the same whatever the answers are.

    Not where the test code itself catches failed assertions: there they mean something. What it decides by `if` on an
    answer, it decides still.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and (node.type is None or _named(node.type) & set(_CATCHES)):
            return False
    if any(word in name for name in _named(tree) for word in ("raises", "Raises", "suppress")):
        return False
    _Softener().visit(tree)
    ast.fix_missing_locations(tree)
    return True


def _free_names(tree: ast.Module) -> set[str]:
    """Names that the test code uses and nowhere defines: helpers beside the candidate. Modules are none."""
    used, bound = set(), set(dir(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            bound.add(node.value.id)
    return {name for name in used - bound if not name.startswith("__")}


def run_examiner(job: Job, channel: Channel) -> None:
    """`{"code", "entry", "nan"}`: run test code against stand-ins for the candidate → `{"done": number of calls}`.

    If the test code defines `check`, it is called with the stand-in, which also bears the entry's name.
    """
    exam = _Exam(job, channel)
    module = types.ModuleType("tests")
    sys.modules["tests"] = module
    scope: dict[str, Any] = module.__dict__
    try:
        tree = ast.parse(job["code"], FILE)
        scope.update({name: exam.stand_in(name) for name in _free_names(tree)})
        if _softened(tree):
            scope.update({_FAILED: exam.fail_now, _EVERY: _every, "all": _all})
        compiled = compile(tree, FILE, "exec", dont_inherit=True)
    except Exception as error:
        raise Ended("no_test", describe(error)) from None
    candidate = exam.stand_in(job["entry"])
    scope.update({job["entry"]: candidate, "candidate": candidate})
    try:
        exec(compiled, scope)
        check = scope.get("check")
        if callable(check):
            check(candidate)
    except BaseException as error:
        exam.fail(error)
    if exam.failure is None and not exam.calls:
        exam.failure = Ended("broken_test", "the test code never calls the candidate")
    if exam.failure is not None:
        raise exam.failure
    channel.send({"done": exam.calls})
