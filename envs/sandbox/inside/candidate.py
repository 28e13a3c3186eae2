"""The candidate's side of an assertion exam: it serves calls by value, and keeps what has no value that can travel.

An object of the program's own, a function that it returns, an iterator: each stays here, and the test code is given a
number for it. What the test may then do with it are the operations below, each a request of its own. The test's own
functions, as arguments, are called back there.
"""

from __future__ import annotations

import builtins
import inspect
import io
import operator
import sys
import types
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

from .codec import Channel, Unsupported, Wire, decode, encode
from .operators import BINARY, ORDER, UNARY
from .program import Ended, Job, describe, entry_of, load, names_of, settled

_MOST_PRINTED = 1 << 16  # characters of one call that a test can see


def _state(target: Any) -> tuple[str, dict[str, object]]:
    """What an object holds, by which it is compared."""
    if isinstance(target, Enum):
        return type(target).__name__, {"name": target.name, "value": target.value}
    slots = [name for base in type(target).__mro__ for name in _slots(base)]
    held = {name: getattr(target, name) for name in slots if hasattr(target, name)}
    return type(target).__name__, {**held, **getattr(target, "__dict__", {})}


def _slots(base: type) -> list[str]:
    slots = base.__dict__.get("__slots__", ())
    return [name for name in ([slots] if isinstance(slots, str) else slots) if not name.startswith("__")]


def _put(target: Any, key: object, value: object) -> None:
    target[key] = value


def _drop(target: Any, key: object) -> None:
    del target[key]


def _swapped(operation: Callable[[Any, Any], object]) -> Callable[..., object]:
    return lambda target, other: operation(other, target)


OPERATIONS: dict[str, Callable[..., object]] = {
    **{name: getattr(operator, f"__{name}__") for name in (*BINARY, *ORDER, *UNARY, "eq", "contains")},
    **{f"i{name}": getattr(operator, f"__i{name}__") for name in BINARY},
    **{f"r{name}": _swapped(getattr(operator, f"__{name}__")) for name in BINARY},
    "hash": hash,
    "call": lambda target, *positional, **named: target(*positional, **named),
    "get": getattr,
    "set": setattr,
    "len": len,
    "item": lambda target, key: target[key],
    "put": _put,
    "drop": _drop,
    "str": str,
    "repr": repr,
    "bool": bool,
    "iter": iter,
    "enter": lambda target: target.__enter__(),
    "exit": lambda target: target.__exit__(None, None, None),
    "aenter": lambda target: target.__aenter__(),
    "aexit": lambda target: target.__aexit__(None, None, None),
    "state": _state,
}


class Candidate:
    """The program, and what of it the test code holds."""

    def __init__(self, module: types.ModuleType, in_place: bool, channel: Channel) -> None:
        self._module, self._in_place, self._channel = module, in_place, channel
        self._printed = io.StringIO()
        self._kept: list[object] = []
        self._numbers: dict[int, int] = {}  # of objects, by their addresses
        self._late: dict[int, Exception] = {}  # what an iterator raised after some items

    def serve(self, message: dict[str, Any]) -> None:
        """Do what is asked for and answer, with what was printed meanwhile."""
        shown, sys.stdout = sys.stdout, self._printed
        positional: list[object] = []
        named: dict[str, object] = {}
        try:
            positional, named = self._decode(message["call"]), self._decode(message["named"])
            answer: dict[str, Wire] = {"v": self._encode(self._done(message, positional, named))}
        except Unsupported as error:
            answer = {"raised": ["TypeError"], "m": f"the candidate returned {error}"}
        except Ended:
            raise
        except Exception as error:
            answer = {"raised": names_of(error), "m": describe(error), "error": self._detail(error)}
        except BaseException as error:
            raise Ended("no_answer", describe(error)) from None
        finally:
            sys.stdout = shown
        if self._printed.tell():
            answer["out"] = self._printed.getvalue()[:_MOST_PRINTED]
            self._printed.seek(0)
            self._printed.truncate()
        try:
            after = {"after": self._encode([positional, named])} if self._in_place else {}
            self._channel.send({**answer, **after})
        except (Unsupported, ValueError) as error:
            self._channel.send({"raised": ["TypeError"], "m": f"the call left {error}", "after": None})

    def _done(self, message: dict[str, Any], positional: list[Any], named: dict[str, Any]) -> object:
        number = message["of"]
        target: Any = entry_of(self._module, message["name"]) if number is None else self._kept[number]
        if message["do"] == "next":
            return self._next(number, target, *positional)
        return OPERATIONS[message["do"]](target, *positional, **named)

    def _next(self, number: Any, iterator: Any, count: int) -> tuple[list[object], bool]:
        """Up to `count` items, and whether they were the last."""
        if number in self._late:
            raise self._late.pop(number)
        items: list[object] = []
        try:
            for _ in range(count):
                items.append(next(iterator))
        except StopIteration:
            return items, True
        except Exception as error:
            if not items:
                raise
            self._late[number] = error
        return items, False

    def _detail(self, error: Exception) -> Wire:
        """What else an exception says: its text, its arguments and its own fields, as far as they can travel."""
        try:
            fields = {"filename": error.filename, **vars(error)} if isinstance(error, OSError) else vars(error)
            return {"said": str(error), "args": self._encode(error.args), "fields": self._encode(fields)}
        except Exception:
            return None

    def _encode(self, value: object) -> Wire:
        return encode(value, keep=self._keep)

    def _keep(self, value: object) -> Wire:
        if inspect.iscoroutine(value) or inspect.isasyncgen(value):
            kind = "await" if inspect.iscoroutine(value) else "each"
            return [kind, self._encode(settled(value))]
        number = self._numbers.setdefault(id(value), len(self._kept))
        if number == len(self._kept):
            self._kept.append(value)
        return ["iterator" if isinstance(value, Iterator) else "object", number, names_of(value)]

    def _decode(self, wire: Wire) -> Any:
        return decode(wire, find=self._find)

    def _find(self, body: Any) -> object:
        kind, what, *rest = body
        if kind == "object":
            return self._kept[what]
        if kind == "name":
            return entry_of(self._module, what)
        if kind == "builtin":
            return getattr(builtins, what)
        if kind == "iterator":
            return iter(self._decode(what))
        if kind == "new":
            return self._made(what, self._decode(rest[0]))
        return lambda *positional, **named: self._call_back(what, positional, named)

    def _made(self, name: str, fields: dict[str, object]) -> object:
        """An object of the program's class of that name, or of none, with the fields of the test's."""
        kind = self._module.__dict__.get(name)
        if not isinstance(kind, type):
            return types.SimpleNamespace(**fields)
        if issubclass(kind, Enum):
            return kind[str(fields["name"])]
        maker: Any = kind.__new__
        made = maker(kind)
        for field, value in fields.items():
            object.__setattr__(made, field, value)
        return made

    def _call_back(self, number: int, positional: tuple[object, ...], named: dict[str, object]) -> object:
        """What a function of the test's gives; until it has, the test may ask for more."""
        self._channel.send({"back": number, "call": self._encode(list(positional)), "named": self._encode(named)})
        while "do" in (message := self._channel.receive()):
            self.serve(message)
        if "raised" in message:
            raise getattr(builtins, message["raised"], Exception)(message["m"])
        return self._decode(message["v"])


def run_candidate(job: Job, channel: Channel) -> None:
    """`{"code", "entry", "in_place"}` → `{"ready"}`, then an answer to every request of the examiner's.

    With `in_place`, the arguments go with each answer as the call left them. Ends when the host hangs up.
    """
    module = load(job["code"], "program")
    entry_of(module, job["entry"])
    candidate = Candidate(module, job["in_place"], channel)
    channel.send({"ready": True})
    while True:
        candidate.serve(channel.receive())
