"""Validation errors in words: what stood there, what is allowed, and the nearest name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ...envs.errors import UserError, nearest
from .schema import Scenario

Place = tuple[str | int, ...]
SHAPES = {  # pydantic's kinds of error that are about the shape of a value, in words
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "list_type": "a list",
    "string_type": "text",
}


class WrongPart(UserError):
    """A mistake at one place of a scenario that is found only when the parts are looked at."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


@contextmanager
def at(*place: str | int) -> Iterator[None]:
    """Whatever mistake is found inside stands at `place` of the scenario."""
    try:
        yield
    except WrongPart:
        raise
    except UserError as problem:
        raise WrongPart(place, str(problem)) from problem


def explain(problem: ValidationError, data: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Each error as the path in `data` and one sentence."""
    for error in problem.errors(include_url=False):
        path = _path_in(data, error["loc"], absent=error["type"] == "missing")
        yield path, _sentence(error, path)


def listed(name: str, allowed: Iterable[str]) -> str:
    """`a, b, c. Did you mean 'b'?`"""
    names = list(allowed)
    return f"{', '.join(names)}.{nearest(name, names)}"


def _path_in(data: Any, loc: Sequence[str | int], *, absent: bool) -> Place:
    """pydantic's location without the tags of unions, which do not stand in the file; an absent key is the last."""
    path: list[str | int] = []
    for part in loc:
        if isinstance(data, Mapping) and part in data:
            data = data[part]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]  # the same step, but mappings are asked by key and lists by length
        elif not (absent and part is loc[-1]):
            continue
        path.append(part)
    return tuple(path)


def _sentence(error: ErrorDetails, path: Place) -> str:
    key = ".".join(str(part) for part in path)
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            allowed = _keys_allowed(error["loc"][:-1])
            name = str(error["loc"][-1])
            return f"unknown key {key!r}; allowed here: {listed(name, allowed)}"
        case "missing":
            return f"{key!r} is missing"
        case "union_tag_invalid":
            tags = context["expected_tags"].replace("'", "").split(", ")
            tag = str(context["tag"])
            return f"{key}.kind is {tag!r}; allowed: {listed(tag, tags)}"
        case "union_tag_not_found":
            return f"{key!r} needs a 'kind'"
        case "literal_error":
            allowed = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
            return f"{key} is {error['input']!r}; allowed: {listed(str(error['input']), allowed)}"
        case "string_pattern_mismatch":
            return f"{key} is {error['input']!r}; a name has letters, digits, - and _, and no path in it"
        case "value_error":
            return f"{key}: {context['error']}" if key else str(context["error"])
    if error["type"] in SHAPES:
        return f"{key} is {error['input']!r:.80}, not {SHAPES[error['type']]}"
    message = error["msg"]
    return f"{key} is {error['input']!r}: {message[0].lower()}{message[1:]}"


def _keys_allowed(loc: Sequence[str | int]) -> list[str]:
    """The fields of the model at `loc`; tags of unions choose among their members."""
    here: list[type[BaseModel]] = [Scenario]
    for part in loc:
        if isinstance(part, int):
            continue
        tagged = [model for model in here if _kind(model) == part]
        if tagged:
            here = tagged
        else:
            here = [
                m for model in here if part in model.model_fields for m in _models(model.model_fields[part].annotation)
            ]
    return sorted({name for model in here for name in model.model_fields})


def _kind(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("kind")
    return get_args(field.annotation)[0] if field else None


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model that stands anywhere in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
