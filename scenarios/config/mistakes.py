"""Validation errors in words: what stood there, what is allowed, and the nearest name."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ...envs.errors import UserError, WrongKey, WrongWithin, nearest
from ...envs.quantities import shown
from ...envs.wrong_values import wrong_value
from .keys import Place, belongs, example_of, keys_allowed, kinds_at, of_another_kind, slot_at

if TYPE_CHECKING:
    from .yaml_text import Source

_SYNONYMS = {"type": "kind", "class": "kind", "name": "id", "env": "world", "environment": "world", "policy": "agent"}


class WrongPart(UserError):
    """A mistake at one place of a scenario that is found only when the parts are looked at."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


@contextmanager
def placed(source: Source | None) -> Iterator[None]:
    """What is wrong at a place of the scenario is said with file, line and column, where there is a file."""
    try:
        yield
    except WrongPart as problem:
        if source is None:
            raise
        raise UserError(f"{source.place(problem.place)}: {problem}") from problem


@contextmanager
def at(*place: str | int) -> Iterator[None]:
    """Whatever mistake is found inside stands at `place` of the scenario, or below it."""
    try:
        yield
    except WrongPart:
        raise
    except UserError as problem:
        below = problem.path if isinstance(problem, WrongKey) else ()
        raise WrongPart((*place, *below), str(problem)) from problem


def explain(problem: ValidationError, data: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Each error as the path in `data` and one sentence; a required key that is missing because another stands in its
    place is told once."""
    errors = problem.errors(include_url=False)
    strangers = {error["loc"][:-1] for error in errors if error["type"] == "extra_forbidden"}
    for error in errors:
        if error["type"] == "missing" and error["loc"][:-1] in strangers and _is_meant(error, errors):
            continue
        loc = (*error["loc"], "kind") if error["type"] == "union_tag_invalid" else error["loc"]
        path = _path_in(data, loc, absent=error["type"] == "missing")
        reason = error.get("ctx", {}).get("error")
        if isinstance(reason, WrongWithin):
            yield (*path, *reason.path), str(reason)
        else:
            yield path, _sentence(error, path, data)


def listed(name: str, allowed: Iterable[str]) -> str:
    """`a, b, c. Did you mean 'b'?`"""
    names = list(allowed)
    return f"{', '.join(names)}.{nearest(name, names)}"


def _is_meant(missing: ErrorDetails, errors: Sequence[ErrorDetails]) -> bool:
    """Whether an unknown key beside it will have been meant to be the missing one."""
    name = str(missing["loc"][-1])
    beside = [
        str(e["loc"][-1]) for e in errors if e["type"] == "extra_forbidden" and e["loc"][:-1] == missing["loc"][:-1]
    ]
    return any(_SYNONYMS.get(key) == name or nearest(key, [name]) for key in beside)


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


def _sentence(error: ErrorDetails, path: Place, data: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in path)
    context, said = error.get("ctx", {}), wrong_value(error, slot_at(error["loc"]))
    match error["type"]:
        case "extra_forbidden":
            return _unknown_key(error["loc"], path, data)
        case "missing":
            return f"{key!r} is missing{example_of(error['loc'])}"
        case "union_tag_invalid":
            tags = context["expected_tags"].replace("'", "").split(", ")
            given = error["input"].get("kind") if isinstance(error["input"], Mapping) else context["tag"]
            return f"{key} is {shown(given)}; allowed: {listed(str(given), tags)}"
        case "union_tag_not_found":
            return _without_kind(error, key)
        case "string_pattern_mismatch":
            signs = {" ": "spaces, ", ".": "., ", "+": "+, "}
            more = "".join(word for sign, word in signs.items() if sign in str(context["pattern"]).split("]")[0])
            rule = f"a name has letters, digits, {more}- and _, and no path in it; at most 100 characters"
            return f"{key} is {shown(error['input'])}; {rule}"
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"{key} {said}{example_of(error['loc'], error['input'])}"
        case "string_type":
            return f"{key} {said}{'' if ';' in said else example_of(error['loc'], error['input'])}"
        case "list_type" if not isinstance(error["input"], str) and key == "stages":
            return f"stages {said}: each stage begins with '- name: …'"
        case "invalid-json-value":
            name = getattr(error["input"], "__name__", "")
            way = "a function by module:function" if name else "rows by my_rows:rows, a list or a function in a module"
            return (
                f"{key} is {name or type(error['input']).__name__}, an object of Python, and a scenario holds what "
                f"JSON does: name {way}, or give the object to TaskWorld(…)"
            )
        case "value_error" if not str(context["error"]).startswith("is "):
            return f"{key}: {context['error']}" if key else str(context["error"])
    return f"{key} {said}"


def _unknown_key(loc: Sequence[str | int], path: Place, data: Mapping[str, Any]) -> str:
    """An unknown key, what is allowed beside it, and where it belongs or what may have been meant."""
    name, key, allowed = str(loc[-1]), ".".join(map(str, path)), keys_allowed(loc[:-1])
    meant = _SYNONYMS.get(name)
    better = f" Did you mean {meant!r}?" if meant in allowed else ""
    place = belongs(name, path, data)
    known = place if place.startswith(f" {name!r} ") else ""  # somewhere else by this very name
    slip = nearest(name, allowed, least=0.85)  # of a letter
    hint = better or of_another_kind(loc) or slip or known or nearest(name, allowed) or place
    return f"unknown key {key!r}; allowed here: {', '.join(allowed)}.{hint}{_foreign_letter(name)}"


def _foreign_letter(word: str) -> str:
    """A letter that looks like one of ours and is none, as in a word with a Cyrillic а."""
    for index, letter in enumerate(word):
        if not letter.isascii():
            name = unicodedata.name(letter, "unnamed").lower()
            return f" Its character {index + 1} is {letter} (U+{ord(letter):04X}, {name})."
    return ""


def _without_kind(error: ErrorDetails, key: str) -> str:
    kinds = ", ".join(kinds_at(error["loc"]))
    given = error["input"] if isinstance(error["input"], Mapping) else {}
    stand_in = next(
        (name for name in given if _SYNONYMS.get(str(name)) == "kind" or nearest(str(name), ["kind"])), None
    )
    instead = "" if stand_in is None else f"; {stand_in!r} is no key of it: write kind: {given[stand_in]}"
    return f"{key!r} needs a 'kind': {kinds}{instead}"
