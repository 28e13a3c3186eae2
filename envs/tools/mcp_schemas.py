"""Schemas that a stranger declares for a tool: examined once, and then compared with the arguments of each call.

    validator = validator_of("add", schema)      UserError: that is no JSON schema, or points outside of itself
    validated(validator, {"a": "x"})             ValueError: "a: 'x' is not of type 'integer'; 'b' is a required …"

`jsonschema` does the comparing, in the dialect that the schema names. Left to whoever declared the schema: patterns,
with what depends on them, and formats. A regular expression may take for ever on a text that an agent wrote.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from ..errors import UserError

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator
    from referencing import Resource

_MAX_ERRORS = 5  # that are told of one call
_MAX_ERROR = 160  # characters of each


def validator_of(tool: str, schema: Mapping[str, Any]) -> Validator:
    """What compares values with `schema`.

    Raises:
        UserError: names `tool` and what is wrong: no schema, an unknown dialect, a reference to something that is not
            in it, or nesting without end.
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
        wrong = exceptions.best_match(kind(kind.META_SCHEMA).iter_errors(schema))
        if wrong is not None:
            raise UserError(f"{what}: {_told(wrong)}")
        resource = DRAFT202012.create_resource(schema)
        _look_up_references(resource, Registry().resolver_with_root(resource))
        made = validators.extend(kind, _without_patterns(kind))(schema, registry=Registry())
        made.is_valid({})  # meets what only shows in use, such as a schema that is nothing but itself
    except Unresolvable as error:
        raise UserError(f"{what}: it points to {error.ref!r:.80}, which is not in it") from error
    except RecursionError:
        raise UserError(f"{what}: it is nested too deeply, or consists of itself") from None
    return made


def validated(validator: Validator, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """`arguments`, if they are as the schema wants them; ValueError with words for the agent."""
    try:
        errors = list(itertools.islice(validator.iter_errors(dict(arguments)), _MAX_ERRORS))
    except RecursionError:
        raise ValueError("the arguments are nested too deeply") from None
    except ArithmeticError:
        raise ValueError("a number among the arguments is too large") from None
    if errors:
        raise ValueError("; ".join(map(_told, errors)))
    return arguments


def _look_up_references(resource: Resource[Any], resolver: Any) -> None:
    """Raises Unresolvable for a reference to something that is not in the schema."""
    if isinstance(resource.contents, Mapping):
        for key in ("$ref", "$dynamicRef"):
            if isinstance(reference := resource.contents.get(key), str):
                resolver.lookup(reference)
    for part in resource.subresources():
        _look_up_references(part, resolver.in_subresource(part))


def _without_patterns(kind: type[Validator]) -> Mapping[str, Callable[..., Iterable[Any]]]:
    """Keywords in place of those that search with patterns."""
    exactly = kind.VALIDATORS["additionalProperties"]

    def anything(validator: Validator, value: object, instance: object, schema: Mapping[str, Any]) -> Iterable[Any]:
        return ()

    def additional(validator: Validator, value: object, instance: object, schema: Mapping[str, Any]) -> Iterable[Any]:
        return () if "patternProperties" in schema else exactly(validator, value, instance, schema)

    left = dict.fromkeys(("pattern", "patternProperties", "unevaluatedProperties"), anything)
    return {**left, "additionalProperties": additional}


def _told(error: ValidationError) -> str:
    """`order.amount: 'lots' is not of type 'number'`"""
    place = ".".join(map(str, error.absolute_path))
    words = error.message
    if len(words) > _MAX_ERROR:  # it begins with the whole value
        words = f"{error.instance!r:.60} … is not as {error.validator!r} wants it: {error.validator_value!r:.60}"
    return f"{place:.80}: {words}" if place else words
