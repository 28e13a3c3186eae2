"""What the test code holds in the place of the program's functions, classes, objects and iterators.

Each use is a request that the host carries to the candidate. What comes of it is a value again, or such a stand-in.

Whether two objects are equal is decided here: if their classes have one name and their fields are equal, of which there
must be some. Only where the class itself is what is examined (it is the entry) does its own `==` decide between two of
its objects. A plain value is equal to no object, so that no method is told what is expected. An object is no number,
text or container that answers as it is asked: names that Python's own types have are not looked up in it, and it has no
operators, unless the test names its class. Then two of its objects may be ordered or reckoned with, and of one and a
plain value another one may come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from enum import Enum
from typing import Any

from .operators import BINARY, ORDER, UNARY

Ask = Callable[..., Any]  # of (operation, number or None, name, *arguments)

_TYPES = (str, bytes, int, float, complex, list, tuple, dict, set, frozenset, Decimal)
OF_BUILTINS = {name for kind in _TYPES for name in dir(kind) if name[0] != "_"} | {"all", "any", "equals", "allclose"}
_NO_OPERANDS = (set, frozenset, dict)  # what comes of them is asked whether it is empty
_LARGEST = 4096  # items of an iterator that are fetched at once
_comparing: set[tuple[int, int]] = set()


class StandIn:
    """A function or class of the program's, by its name."""

    def __init__(self, ask: Ask, name: str) -> None:
        self._ask, self.__name__, self.__qualname__ = ask, name, name

    def __call__(self, *positional: object, **named: object) -> object:
        return self._ask("call", None, self.__name__, *positional, **named)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._ask("get", None, self.__name__, name)

    def __instancecheck__(self, value: object) -> bool:
        return isinstance(value, Remote) and self.__name__ in value._peripatos_classes


class Remote:
    """An object of the program's. Its own fields have names that no program gives to one."""

    __slots__ = ("_peripatos_ask", "_peripatos_classes", "_peripatos_number", "_peripatos_open", "_peripatos_own")

    def __init__(self, ask: Ask, number: int, kinds: tuple[str, ...], is_open: bool, is_own: bool) -> None:
        for name, value in (
            ("_peripatos_ask", ask),
            ("_peripatos_number", number),
            ("_peripatos_classes", kinds),
            ("_peripatos_open", is_open),
            ("_peripatos_own", is_own),
        ):
            object.__setattr__(self, name, value)

    def _do(self, operation: str, *positional: object, **named: object) -> Any:
        return self._peripatos_ask(operation, self._peripatos_number, "", *positional, **named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in OF_BUILTINS and not self._peripatos_open:
            raise AttributeError(
                f"the answer is an object of the program's ({self._peripatos_classes[0]}), and so has no {name!r}"
            )
        return self._do("get", name)

    def __setattr__(self, name: str, value: object) -> None:
        self._do("set", name, value)

    def __call__(self, *positional: object, **named: object) -> object:
        return self._do("call", *positional, **named)

    def __len__(self) -> int:
        return self._do("len")

    def __bool__(self) -> bool:
        return self._do("bool") is True

    def __str__(self) -> str:
        return self._do("str")

    def __repr__(self) -> str:
        return self._do("repr")

    def __getitem__(self, key: object) -> object:
        return self._do("item", key)

    def __setitem__(self, key: object, value: object) -> None:
        self._do("put", key, value)

    def __delitem__(self, key: object) -> None:
        self._do("drop", key)

    def __iter__(self) -> Iterator[object]:
        return self._do("iter")

    def __enter__(self) -> object:
        return self._do("enter")

    def __exit__(self, *problem: object) -> None:
        self._do("exit")

    def __aenter__(self) -> Any:
        return self._do("aenter")

    def __aexit__(self, *problem: object) -> Any:
        return self._do("aexit")

    def __contains__(self, item: object) -> bool:
        if self._peripatos_own:
            return self._do("contains", item) is True
        return any(one is item or one == item for one in self)

    def __hash__(self) -> int:
        if self._peripatos_own:
            return hash(self._do("hash"))
        return hash((self._peripatos_classes, self._peripatos_number))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Remote) and self._peripatos_own and other._peripatos_own:
            return self._do("eq", other) is True
        if isinstance(other, Remote):
            pair = self._peripatos_number, other._peripatos_number
            if pair[0] == pair[1] or pair in _comparing:
                return True
            theirs: tuple[str, dict[str, object]] = other._do("state")
        elif type(other).__module__ == "tests":
            pair = self._peripatos_number, -1 - id(other)
            if pair in _comparing:
                return True
            theirs = type(other).__name__, fields_of(other)
        else:
            return False
        _comparing.add(pair)
        try:
            kind, fields = self._do("state")
            return bool(fields) and (kind, fields) == tuple(theirs)
        finally:
            _comparing.discard(pair)


def _binary(operation: str, *, is_swapped: bool = False) -> None:
    def reckon(self: Remote, other: object) -> object:
        if not self._peripatos_open or isinstance(other, _NO_OPERANDS):
            return NotImplemented
        if is_swapped and isinstance(other, Remote):  # it was asked itself
            return NotImplemented
        result = self._do(operation, other)
        if not isinstance(other, Remote) and not isinstance(result, Remote):
            raise TypeError(f"of an object of the program's and a plain value comes {type(result).__name__}, no object")
        return result

    setattr(Remote, f"__{operation}__", reckon)


def _unary(name: str) -> None:
    def reckon(self: Remote) -> object:
        result = self._do(name) if self._peripatos_open else None
        if not isinstance(result, Remote):
            raise TypeError(f"an object of the program's ({self._peripatos_classes[0]}) is no number")
        return result

    setattr(Remote, f"__{name}__", reckon)


def _order(name: str) -> None:
    def compare(self: Remote, other: object) -> bool:
        if not self._peripatos_open or not isinstance(other, Remote):
            return NotImplemented
        return self._do(name, other) is True

    setattr(Remote, f"__{name}__", compare)


for _name in BINARY:
    _binary(_name)
    _binary(f"i{_name}")
    _binary(f"r{_name}", is_swapped=True)
for _name in UNARY:
    _unary(_name)
for _name in ORDER:
    _order(_name)


class RemoteIterator(Remote):
    """An iterator of the program's. Its items are fetched ahead, more and more at once."""

    __slots__ = ("_peripatos_count", "_peripatos_items", "_peripatos_over")

    def __init__(self, ask: Ask, number: int, kinds: tuple[str, ...], is_open: bool, is_own: bool) -> None:
        super().__init__(ask, number, kinds, is_open, is_own)
        for name, value in (("_peripatos_items", iter(())), ("_peripatos_over", False), ("_peripatos_count", 1)):
            object.__setattr__(self, name, value)

    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        for item in self._peripatos_items:
            return item
        if self._peripatos_over:
            raise StopIteration
        items, over = self._do("next", self._peripatos_count)
        for name, value in (
            ("_peripatos_items", iter(items)),
            ("_peripatos_over", over),
            ("_peripatos_count", min(2 * self._peripatos_count, _LARGEST)),
        ):
            object.__setattr__(self, name, value)
        return next(self)


def fields_of(value: Any) -> dict[str, object]:
    """What an object of a class of the test's holds."""
    if isinstance(value, Enum):
        return {"name": value.name, "value": value.value}
    slots = [name for base in type(value).__mro__ for name in base.__dict__.get("__slots__", ())]
    return {**{name: getattr(value, name) for name in slots if hasattr(value, name)}, **getattr(value, "__dict__", {})}


async def finished(value: object) -> object:
    """A coroutine that has ended."""
    return value


async def each(values: list[object]) -> Any:
    """An asynchronous generator of values that are there."""
    for value in values:
        yield value
