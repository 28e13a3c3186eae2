"""What a function's signature asks for: a JSON schema of its arguments, and what checks and converts them.

    def order(item: Annotated[str, Field(description="what")], count: int = 1) -> str: …

    {"type": "object", "properties": {"item": {"type": "string", "description": "what"},
                                      "count": {"type": "integer", "default": 1}},
     "required": ["item"], "additionalProperties": false}

pydantic knows the annotations: whatever it can read from JSON may be an argument. A parameter's description is that of
its `Field`, else the docstring's. A default of None allows null. Types that have names are written out where they are
used, since few chat templates follow a reference; only those that hold themselves stay in `$defs`. A default that can
be changed (a list, a dictionary, a model) is copied for each call: what one call writes into it, no other sees, where
plain Python would hand the same object to every episode. Refused, because agents give arguments by name: `*args`,
`**kwargs` and parameters that are positional only.
"""

from __future__ import annotations

import copy
import inspect
import json
import math
import sys
import typing
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from dataclasses import fields as fields_of
from functools import lru_cache, reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, NotRequired, Optional, Required, Union, cast, get_args, get_origin, get_type_hints

import typing_extensions
from pydantic import BaseModel, ConfigDict, Field, PydanticSchemaGenerationError, ValidationError, create_model
from pydantic.dataclasses import is_pydantic_dataclass
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import PydanticJsonSchemaWarning
from pydantic_core import SchemaError

from ..errors import UserError
from .docstrings import described
from .impossible import misplaced, not_in_json

_PYDANTIC_READS_TYPEDDICT = sys.version_info >= (3, 12)
_DATA = ("default", "const", "enum", "examples", "required")  # keywords whose values are no schemas
_LISTED = ("enum", "examples")  # of these, whose values stand in a list
_NAMED = ("properties", "$defs")  # keywords that hold schemas by names
_REFERENCE = "#/$defs/"
_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False, ser_json_inf_nan="constants")


@dataclass(frozen=True)
class Signature:
    """The parameters of a function, as an agent gives them."""

    description: str  # of the function
    schema: Mapping[str, Any]
    names: tuple[str, ...]  # of the parameters, in their order
    _model: type[BaseModel]
    _filled: frozenset[str]  # parameters whose default stands in a `Field`, where the function does not see it
    _changeable: Mapping[str, Any]  # defaults of which each call gets a copy

    def validated(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as the function takes them, without those that are left to its own defaults. ValueError with
        words for the agent."""
        try:
            given = self._model.model_validate(dict(arguments))
        except ValidationError as error:
            raise ValueError(_explained(error)) from None
        fields = [*zip(type(given).model_fields, self.names, strict=True)]
        values = [(name, getattr(given, field)) for field, name in fields if field in given.model_fields_set]
        for stray in (place for name, value in values for place in _not_finite(value, name)):
            raise ValueError(f"{stray}: Input should be a finite number")
        return copy.deepcopy(dict(self._changeable)) | {
            name: getattr(given, field)
            for field, name in fields
            if field in given.model_fields_set or name in self._filled
        }


@lru_cache(maxsize=16_384)  # a world makes the tools of its methods anew in every episode
def signature_of(function: Callable[..., object], name: str, *, bound: bool) -> Signature:
    """What the tool `name` is called with. `bound`: the first parameter is the object that the tool belongs to.

    Raises:
        UserError: a parameter without a name or a type, or of a type that JSON cannot carry.
    """
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise UserError(f"tool {name!r}: its annotations cannot be read: {error}") from error
    words = described(function)
    try:
        parameters = list(inspect.signature(function).parameters.values())[bound:]
    except ValueError as error:  # of some functions that are written in C
        raise UserError(
            f"tool {name!r}: nobody can say what it takes: {error}; write a function that calls it"
        ) from error
    fields: dict[str, Any] = {}
    filled, changeable = set[str](), dict[str, Any]()
    for number, parameter in enumerate(parameters):
        annotated, default = _field(name, parameter, hints, words.parameters)
        fields[f"argument_{number}"] = annotated if default is parameter.empty else (annotated, default)
        if default is parameter.empty and not _said_of(annotated).is_required():
            filled.add(parameter.name)
        if default is not parameter.empty and _changes(name, parameter.name, default):
            changeable[parameter.name] = default
    try:
        model = create_model(name, __config__=_CONFIG, **fields)
        _check_read(name, parameters, model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PydanticJsonSchemaWarning)  # of a default that JSON cannot say: left out
            schema = _tidied(model.model_json_schema())
    except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema) as error:
        reason = error.message.partition(". ")[0]
        raise UserError(f"tool {name!r}: JSON cannot carry its arguments: {reason}") from error
    except PydanticUserError as error:
        raise UserError(f"tool {name!r}: {error.message}") from error
    except (SchemaError, AssertionError, RuntimeError) as error:  # a pattern that is none, a `Literal` of nothing
        raise UserError(f"tool {name!r}: pydantic cannot read its arguments: {_deepest(error)}") from error
    if (why := misplaced(schema) or next(not_in_json(model.__pydantic_core_schema__), None)) is not None:
        raise UserError(f"tool {name!r}: {why}")
    schema.pop("description", None)
    names = tuple(parameter.name for parameter in parameters)
    return Signature(words.summary, schema, names, model, frozenset(filled), changeable)


def _check_read(tool: str, parameters: Sequence[inspect.Parameter], model: type[BaseModel]) -> None:
    """UserError for a parameter that pydantic passes over, as it does what never changes."""
    for number, parameter in enumerate(parameters):
        if f"argument_{number}" not in model.model_fields:
            raise UserError(
                f"tool {tool!r}: {str(parameter)!r:.80} is no argument that an agent could give: Final and ClassVar "
                "are of attributes, and of no parameter; write its type alone"
            )


def _deepest(error: Exception) -> str:
    """The reason at the end of a chain of errors that pydantic tells in lines of their own."""
    lines = [line.strip().removeprefix("SchemaError: ") for line in str(error).splitlines()]
    at = next((n for n, line in enumerate(lines) if not line.startswith(("Error building", "Field "))), -1)
    return " ".join(lines[at:])


def _changes(tool: str, name: str, default: object) -> bool:
    """Whether a default can be changed: what can has no hash. UserError for one of which no copies can be made."""
    try:
        hash(default)
    except TypeError:
        try:
            copy.deepcopy(default)
        except Exception as error:
            raise UserError(
                f"tool {tool!r}: the default of {name!r} cannot be copied for each call ({error}); write None, and "
                "make it in the function"
            ) from error
        return True
    return False


def _field(
    tool: str, parameter: inspect.Parameter, hints: Mapping[str, Any], words: Mapping[str, str]
) -> tuple[Any, object]:
    """A parameter's annotation for pydantic, with its name and description, and its default."""
    name, default = parameter.name, parameter.default
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        instead = {
            parameter.VAR_POSITIONAL: f"; take a list in its place, such as {name}: list[str]",
            parameter.VAR_KEYWORD: f"; name each, or take a mapping, such as {name}: dict[str, str]",
        }.get(parameter.kind, "")
        raise UserError(f"tool {tool!r}: parameter {parameter} has no name by which an agent could give it{instead}")
    if name not in hints:
        raise UserError(f"tool {tool!r}: parameter {name!r} has no type; write such as {name}: str")
    hint = _readable(hints[name])
    if isinstance(default, FieldInfo):  # count: int = Field(1, ge=1)
        hint, default = Annotated[hint, default], parameter.empty
    if default is None:
        hint = _or_none(hint)
    own = _said_of(hint)
    added = Field(alias=own.alias or name, description=own.description or words.get(name))
    return Annotated[hint, added], default


def _said_of(hint: Any) -> FieldInfo:
    """What the annotation itself says of a parameter."""
    return FieldInfo.from_annotation(hint)


def _or_none(hint: Any) -> Any:
    """The annotation of what may be None too; what is said of the parameter stays outermost."""
    if get_origin(hint) is Annotated:
        first, *said = get_args(hint)
        return Annotated[(Optional[first], *said)]  # noqa: UP045 (of a value, not an annotation)
    return Optional[hint]  # noqa: UP045


def _readable(hint: Any, inside: tuple[object, ...] = ()) -> Any:
    """The annotation with `typing.TypedDict`s as pydantic reads them: before Python 3.12 it wants those of
    typing_extensions. One that holds itself is left to pydantic, which says so."""
    if _PYDANTIC_READS_TYPEDDICT or hint in inside:
        return hint
    if typing.is_typeddict(hint) and type(hint).__module__ == "typing":
        keys = {}
        for key, kind in get_type_hints(hint, include_extras=True).items():
            kind = _readable(kind, (*inside, hint))
            said = get_origin(kind) in (Required, NotRequired)
            keys[key] = kind if said or key in hint.__required_keys__ else NotRequired[kind]
        made = cast(Any, typing_extensions.TypedDict)(hint.__name__, keys)
        made.__doc__ = hint.__doc__
        return made
    parts: tuple[Any, ...] = get_args(hint)
    origin: Any = get_origin(hint)
    if origin is Annotated:
        return Annotated[(_readable(parts[0], inside), *parts[1:])]
    read: tuple[Any, ...] = tuple(_readable(part, inside) for part in parts)
    if all(a is b for a, b in zip(read, parts, strict=True)):
        return hint
    return reduce(or_, read) if origin in (Union, UnionType) else origin[read[0] if len(read) == 1 else read]


def _not_finite(value: object, where: str, *, inside: bool = False) -> Iterator[str]:
    """Where an agent gave NaN or infinity to a model inside of an argument, whose class goes by a configuration of its
    own. What that allows by name is left to it, and so is a default."""
    if isinstance(value, float):
        if inside and not math.isfinite(value):
            yield where
    elif isinstance(value, BaseModel):
        allowed = value.model_config.get("allow_inf_nan", False)
        for name in value.model_fields_set:
            yield from _not_finite(getattr(value, name), f"{where}.{name}", inside=not allowed)
    elif is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        own = is_pydantic_dataclass(kind) and not kind.__pydantic_config__.get("allow_inf_nan", False)
        for one in fields_of(value):
            if (part := getattr(value, one.name)) is not one.default:
                yield from _not_finite(part, f"{where}.{one.name}", inside=own)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _not_finite(part, f"{where}.{key}", inside=inside)
    elif isinstance(value, list | tuple | set | frozenset):
        for number, part in enumerate(value):
            yield from _not_finite(part, f"{where}.{number}", inside=inside)


def _explained(error: ValidationError) -> str:
    """Which arguments are wrong and how: `amount: Input should be a valid number, not 'lots'`."""
    parts = []
    for detail in error.errors(include_url=False)[:5]:
        where = ".".join(map(str, detail["loc"])) or "arguments"
        given = "" if detail["type"] in ("missing", "extra_forbidden") else f", not {detail['input']!r:.60}"
        parts.append(f"{where}: {detail['msg']}{given}")
    return "; ".join(parts)


def _tidied(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with types written out where they are used, and without what tells an agent nothing new: titles, which
    pydantic derives from names, discriminators, which are no JSON schema, and numbers that are none in JSON."""
    named: Mapping[str, Any] = schema.get("$defs", {})
    endless = {name for name in named if name in _reached(named, name)}

    def tidy(part: Mapping[str, Any]) -> dict[str, Any]:
        name = str(part.get("$ref", "")).removeprefix(_REFERENCE)
        if name in named and name not in endless:
            part = {**named[name], **{key: value for key, value in part.items() if key != "$ref"}}
        return {key: tidy_value(key, value) for key, value in part.items() if not silent(key, value)}

    def silent(key: str, value: Any) -> bool:
        whole = (key in _DATA and key not in _LISTED) or not isinstance(value, dict | list)
        return key in ("title", "discriminator") or (whole and not _is_json(value))

    def tidy_value(key: str, value: Any) -> Any:
        if key in _NAMED:
            return {name: tidy(part) for name, part in value.items() if key != "$defs" or name in endless}
        if key in _DATA:
            return [item for item in value if _is_json(item)] if key in _LISTED else value
        if isinstance(value, list):
            return [
                tidy(item) if isinstance(item, dict) else item
                for item in value
                if isinstance(item, dict) or _is_json(item)
            ]
        return tidy(value) if isinstance(value, dict) else value

    tidied = tidy(schema)
    return {key: value for key, value in tidied.items() if key != "$defs" or value}


def _is_json(value: object) -> bool:
    """Whether the value of a keyword can be said: JSON has no infinity."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def _reached(named: Mapping[str, Any], name: str) -> set[str]:
    """The names of the types that a type holds, at any depth."""
    found: set[str] = set()
    ahead = [*_references(named[name])]
    while ahead:
        if (one := ahead.pop()) not in found and one in named:
            found.add(one)
            ahead += _references(named[one])
    return found


def _references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(reference := part.get("$ref"), str):
            yield reference.removeprefix(_REFERENCE)
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from _references(one)
