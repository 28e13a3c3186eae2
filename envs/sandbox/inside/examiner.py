"""The examiner of an assertion exam: it runs trusted test code against stand-ins for the program.

The candidate is untrusted, and in another process (`candidate.py`). What it answers, and how it fails, is a value here:
no exception of its own ends a loop of the test's, no argument changes unless the test asked for that, no answer is NaN
unless it asked for that. A failed `assert` does not end the exam, so that the number of calls does not tell the
candidate which answer was right: see `_softened`.
"""

from __future__ import annotations

import ast
import builtins
import os
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .codec import Channel, Unsupported, Wire, decode, encode
from .program import FILE, Ended, Job, describe, kind_of
from .raised import CandidateError, exception_names, like_of
from .remote import Remote, RemoteIterator, StandIn, each, fields_of, finished
from .unheard import cannot_fail, listen

_FAILED, _EVERY = "__peripatos_failed__", "__peripatos_every__"
_CATCHES = ("AssertionError", "Exception", "BaseException")


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


def _holds_nan(wire: Wire) -> bool:
    if isinstance(wire, list):
        return any(map(_holds_nan, wire))
    if isinstance(wire, dict):
        decimal = wire.get("m")
        unknown = wire.get("f") == "nan" or (isinstance(decimal, str) and "nan" in decimal.lower())
        return unknown or any(map(_holds_nan, wire.values()))
    return False


class _Exam:
    """The calls so far, and the first failure."""

    def __init__(self, job: Job, channel: Channel) -> None:
        self._channel, self._nan = channel, job["nan"]
        self._entry: str = job["entry"]
        self._open: set[str] = set()  # classes of the program's that the test names
        self._given: list[Callable[..., object]] = []  # functions of the test's that the candidate may call
        self.exceptions: dict[str, type[Exception]] = {}  # of the program's own that the test catches
        self._one_at_a_time = threading.RLock()
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

    def stand_in(self, name: str) -> StandIn:
        """What is called in the candidate's process, by value."""
        if name[:1].isupper():
            self._open.add(name)
        return StandIn(self._ask, name)

    def _ask(self, operation: str, of: int | None, name: str, *positional: object, **named: object) -> Any:
        try:
            arguments: dict[str, Wire] = {"call": self._encode(list(positional)), "named": self._encode(named)}
        except Unsupported as error:
            raise TypeError(f"the candidate cannot be called with {error}") from None
        self.calls += 1
        with self._one_at_a_time:  # the test may have threads
            answer = self._carried({"do": operation, "of": of, "name": name, **arguments})
        if "out" in answer:
            sys.stdout.write(answer["out"])
        if answer.get("after") is not None:
            after = self._decode(answer["after"])
            _graft(positional, tuple(after[0]))
            for argument, value in named.items():
                _graft(value, after[1].get(argument))
        if "raised" in answer:
            self._refuse_nan(answer.get("error"))
            raise like_of(answer["raised"], answer["m"], self.exceptions, self._decode, answer.get("error"))
        self._refuse_nan(answer["v"])
        return self._decode(answer["v"])

    def _refuse_nan(self, wire: Wire) -> None:
        if not self._nan and _holds_nan(wire):
            self.fail(AssertionError("the answer holds NaN, and the test does not say that it deals with that"))

    def _carried(self, request: dict[str, Wire]) -> dict[str, Any]:
        """The candidate's answer; before it, the candidate may call functions that the test gave to it."""
        try:
            self._channel.send(request)
            while "back" in (answer := self._channel.receive()):
                self._channel.send(self._called_back(answer))
        except (EOFError, OSError):
            os._exit(0)  # the host needs no more
        return answer

    def _called_back(self, message: dict[str, Any]) -> dict[str, Wire]:
        try:
            self._refuse_nan([message["call"], message["named"]])
            function = self._given[message["back"]]
            return {"v": self._encode(function(*self._decode(message["call"]), **self._decode(message["named"])))}
        except Exception as error:
            names = (base.__name__ for base in type(error).__mro__)
            return {"raised": next(name for name in names if hasattr(builtins, name)), "m": str(error)[:300]}
        except BaseException as error:  # it was the candidate who had the test exit
            self.fail(error)
            raise

    def _encode(self, value: object) -> Wire:
        return encode(value, keep=self._keep)

    def _keep(self, value: object) -> Wire:
        """What stands for a value that has no form of its own, on its way to the candidate."""
        if isinstance(value, Remote):
            return ["object", value._peripatos_number]
        if isinstance(value, StandIn):
            return ["name", value.__name__]
        if isinstance(value, Iterator):
            return ["iterator", self._encode(list(value))]
        if isinstance(value, type) and getattr(builtins, value.__name__, None) is value:
            return ["builtin", value.__name__]
        if type(value).__module__ == "tests":
            return ["new", type(value).__name__, self._encode(fields_of(value))]
        if callable(value):
            self._given.append(value)
            return ["function", len(self._given) - 1]
        raise Unsupported(f"a value of type {type(value).__name__}")

    def _decode(self, wire: Wire) -> Any:
        return decode(wire, find=self._find)

    def _find(self, body: Any) -> object:
        kind, what, *rest = body
        if kind == "await":
            return finished(self._decode(what))
        if kind == "each":
            return each(self._decode(what))
        remote = {"object": Remote, "iterator": RemoteIterator}[kind]
        (names,) = rest
        if not isinstance(what, int) or not names or not all(isinstance(name, str) for name in names):
            raise ValueError("malformed object")
        is_open = not self._open.isdisjoint(names)
        return remote(self._ask, what, tuple(names), is_open, is_open and self._entry in names)


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
    """Names that the test code uses and nowhere defines: helpers beside the candidate. Modules are none, which are what
    has an attribute and begins with a small letter."""
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
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and not node.value.id[:1].isupper():
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
        free, why = _free_names(tree), cannot_fail(tree)
        exam.exceptions = {name: type(name, (CandidateError,), {}) for name in exception_names(tree) & free}
        scope.update({name: exam.stand_in(name) for name in free}, **exam.exceptions)
        if _softened(tree):
            scope.update({_FAILED: exam.fail_now, _EVERY: _every, "all": _all})
        compiled = compile(tree, FILE, "exec", dont_inherit=True)
    except Exception as error:
        raise Ended("no_test", describe(error)) from None
    if why:
        raise Ended("broken_test", why)
    candidate = exam.stand_in(job["entry"])
    scope.update({job["entry"]: candidate, "candidate": candidate})
    end = listen(tree, module, exam.fail)

    def run() -> None:
        exec(compiled, scope)
        check = scope.get("check")
        if callable(check):
            check(candidate)

    for part in (run, end):
        try:
            part()
        except SystemExit as error:
            if error.code not in (None, 0):
                exam.fail(AssertionError(f"the test code exits with {error.code!r:.80}"))
        except BaseException as error:
            exam.fail(error)
    if exam.failure is None and not exam.calls:
        exam.failure = Ended("broken_test", "the test code never calls the candidate")
    if exam.failure is not None:
        raise exam.failure
    channel.send({"done": exam.calls})
