"""Schemas that a stranger declares for a tool: examined once, and then compared with the values of each call.

    validator = validator_of("add", schema)      UserError: that is no JSON schema, or points outside of itself
    validated(validator, {"a": "x"})             ValueError: "a: 'x' is not of type 'integer'; 'b' is a required …"

`jsonschema` does the comparing, in the dialect that the schema names. A few lines can ask for 2ⁿ comparisons, and so
each examination and each comparison may take a number of steps, to some depth, and no more. Left to whoever declared
the schema: patterns, with what depends on them, and formats. A regular expression may take for ever on a text that an
agent wrote.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ..errors import UserError

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator
    from referencing import Resource

_MAX_STEPS = 20_000  # of one examination or comparison: keywords, what they list, and the words of errors
_MAX_DEPTH = 100  # keywords inside of each other: the interpreter's own limit is met in places that cannot bear it
_MAX_ERRORS = 5  # that are told of one call
_MAX_ERROR = 160  # characters of each
_WORDS = 64  # characters of an error's words that count as one step
_LEFT = ("pattern", "patternProperties", "unevaluatedProperties", "unevaluatedItems")


class _TooMuchWork(Exception):
    """The steps are used up."""


@dataclass
class _Work:
    steps: int = _MAX_STEPS  # that are left
    depth: int = 0

    def spend(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise _TooMuchWork


_work: ContextVar[_Work] = ContextVar("work")
Keyword = Callable[..., Iterable[Any] | None]


def validator_of(tool: str, schema: Mapping[str, Any]) -> Validator:
    """What compares values with `schema`.

    Raises:
        UserError: names `tool` and what is wrong: no schema, an unknown dialect, a reference to something that is not
            in it, nesting without end, or more work than a comparison may take.
    """
    from jsonschema import exceptions, validators
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    what = f"the tool {tool!r:.80} declares a schema that cannot be used"
    dialect = schema.get("$schema", validators.Draft202012Validator.META_SCHEMA["$id"])
    kind = validators.validator_for({"$schema": str(dialect)}, default=cast(Any, None))
    if kind is None:
        raise UserError(f"{what}: its dialect {dialect!r:.80} is unknown")
    try:
        with _bounded_work():
            wrong = exceptions.best_match(_counted(kind, kind.VALIDATORS)(kind.META_SCHEMA).iter_errors(schema))
            if wrong is not None:
                raise UserError(f"{what}: {_told(wrong)}")
            body = {key: value for key, value in schema.items() if key != "$schema"}
            if _names_dialect(body):  # jsonschema would leave our keywords for those of that dialect
                raise UserError(f"{what}: it names a dialect in its middle")
            resource = DRAFT202012.create_resource(schema)
            _look_up_references(resource, Registry().resolver_with_root(resource))
            made = _counted(kind, {**kind.VALIDATORS, **_ours(kind)})(body, registry=Registry())
            made.is_valid({})  # meets what only shows in use, such as a schema that is nothing but itself
    except Unresolvable as error:
        raise UserError(f"{what}: it points to {error.ref!r:.80}, which is not in it") from error
    except RecursionError:
        raise UserError(f"{what}: it is nested too deeply, or consists of itself") from None
    except _TooMuchWork:
        raise UserError(f"{what}: to compare with it takes too much work") from None
    return made


def validated(validator: Validator, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """`arguments`, if they are as the schema wants them; ValueError with words for the agent."""
    if errors := errors_of(validator, dict(arguments)):
        raise ValueError("; ".join(errors))
    return arguments


def errors_of(validator: Validator, value: Any) -> list[str]:
    """What is wrong with `value`, in words; empty if nothing is. ValueError where that cannot be found out."""
    try:
        with _bounded_work():
            return [_told(error) for error in itertools.islice(validator.iter_errors(value), _MAX_ERRORS)]
    except RecursionError:
        raise ValueError("the arguments are nested too deeply") from None
    except ArithmeticError:
        raise ValueError("a number among the arguments is too large") from None
    except _TooMuchWork:
        raise ValueError("to compare this with the tool's schema takes too much work") from None
    except Exception as error:  # a part of the schema that is none, which only this value has reached
        raise ValueError(f"the tool's schema cannot be used here: {type(error).__name__}") from error


@contextmanager
def _bounded_work() -> Iterator[None]:
    token = _work.set(_Work())
    try:
        yield
    finally:
        _work.reset(token)


def _counted(kind: type[Validator], keywords: Mapping[str, Keyword]) -> type[Validator]:
    """`kind` with these keywords, each of which spends steps."""
    from jsonschema import validators

    def counted(keyword: Keyword) -> Keyword:
        def compare(validator: Validator, value: Any, instance: object, schema: Mapping[str, Any]) -> Iterator[Any]:
            work = _work.get()
            work.spend(1 + (len(value) if isinstance(value, list | dict) else 0))
            if work.depth >= _MAX_DEPTH:
                raise RecursionError
            work.depth += 1
            try:
                for error in keyword(validator, value, instance, schema) or ():
                    work.spend(1 + len(error.message) // _WORDS)
                    yield error
            finally:
                work.depth -= 1

        return compare

    return cast(Any, validators).extend(kind, {name: counted(keyword) for name, keyword in keywords.items()})


def _look_up_references(resource: Resource[Any], resolver: Any) -> None:
    """Raises Unresolvable for a reference to something that is not in the schema."""
    _work.get().spend(1)
    if isinstance(resource.contents, Mapping):
        for key in ("$ref", "$dynamicRef"):
            if isinstance(reference := resource.contents.get(key), str):
                resolver.lookup(reference)
    for part in resource.subresources():
        _look_up_references(part, resolver.in_subresource(part))


def _names_dialect(part: object) -> bool:
    _work.get().spend(1)
    if isinstance(part, Mapping):
        return isinstance(part.get("$schema"), str) or any(map(_names_dialect, part.values()))
    return isinstance(part, list) and any(map(_names_dialect, part))


def _ours(kind: type[Validator]) -> Mapping[str, Keyword]:
    """Keywords in place of those that search with patterns, or compare each item with each."""
    from jsonschema import ValidationError

    exactly = kind.VALIDATORS["additionalProperties"]

    def anything(validator: Validator, value: object, instance: object, schema: Mapping[str, Any]) -> Iterable[Any]:
        return ()

    def additional(validator: Validator, value: object, instance: object, schema: Mapping[str, Any]) -> Iterable[Any]:
        return () if "patternProperties" in schema else exactly(validator, value, instance, schema)

    def unique(validator: Validator, value: object, instance: object, schema: Mapping[str, Any]) -> Iterable[Any]:
        if value and isinstance(instance, list):
            written = {json.dumps(_plain(item), sort_keys=True) for item in instance}
            if len(written) < len(instance):
                yield ValidationError("it has items that are equal")

    return {**dict.fromkeys(_LEFT, anything), "additionalProperties": additional, "uniqueItems": unique}


def _plain(value: object) -> object:
    """JSON in which numbers that are equal are written alike: 1.0 is 1."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _told(error: ValidationError) -> str:
    """`order.amount: 'lots' is not of type 'number'`"""
    place = ".".join(map(str, error.absolute_path))
    words = error.message
    if len(words) > _MAX_ERROR:  # it begins with the whole value
        words = f"{error.instance!r:.60} … is not as {error.validator!r} wants it: {error.validator_value!r:.60}"
    return f"{place:.80}: {words}" if place else words
