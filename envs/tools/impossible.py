"""Limits in a tool's schema that no value keeps, and types of which JSON has no value, which are found when the tool is
made and not when it is called.

    n: int = Field(ge=5, le=1)                     at least 5 and at most 1
    n: int = Field(gt=1, lt=2)                     between 1 and 2 there is no whole number
    names: list[str] = Field(min_length=3, max_length=2)
    name: str = Field(ge=3)                        a text is not compared with a number: each call would break
    kind: type[int]                                a class
    day: date = Field(strict=True)                 strictly a date, and JSON has it as text

Left out: what only several keywords together forbid, such as an enum beside a bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

_SIZES = {"Length": "characters", "Items": "items", "Properties": "keys"}
_SLACK = 1e-9  # steps: 0.6 / 0.1 is 5.999…
_INSIDE = ("properties", "$defs")  # keywords that hold schemas by names
_PARTS = (
    "items",
    "additionalProperties",
    "anyOf",
    "oneOf",
    "allOf",
    "prefixItems",
)  # and one schema, or a list of them
_NUMBERS = ("number", "integer", "boolean")  # what Python compares with a number
_KINDS = {  # keywords that are for one type alone
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), _NUMBERS),
    **dict.fromkeys(("minLength", "maxLength", "pattern"), ("string",)),
    **dict.fromkeys(("minItems", "maxItems"), ("array",)),
    **dict.fromkeys(("minProperties", "maxProperties"), ("object",)),
}
# what is never strictly so in JSON, by pydantic's names
_STRICTLY = ("date", "datetime", "time", "timedelta", "uuid", "decimal", "enum", "bytes", "complex", "lax-or-strict")
_STRICTLY += ("set", "frozenset", "tuple", "deque")
_NO_SCHEMAS = ("metadata", "serialization", "default", "expected", "members", "cls", "config", "json_schema")
_UNKNOWN = ("ge", "gt", "le", "lt", "multiple_of")  # what pydantic writes where JSON schema has no word for it


def impossible(schema: Mapping[str, Any]) -> str | None:
    """Which part that each value must have fits none, and why, in words; None if some value fits."""
    definitions = schema.get("$defs")
    return _fits_none(schema, "", definitions if isinstance(definitions, Mapping) else {})


def _fits_none(schema: Mapping[str, Any], path: str, definitions: Mapping[str, Any]) -> str | None:
    if why := _of_numbers(schema) or _of_sizes(schema):
        return f"{path or 'it'} {why}"
    if schema.get("enum") == []:
        return f"{path or 'it'} is one of no values"
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if isinstance(definitions.get(name), Mapping):  # without itself: a definition may hold itself
        others = {key: part for key, part in definitions.items() if key != name}
        return _fits_none(definitions[name], path, others)
    for branches in (schema.get("anyOf"), schema.get("oneOf")):
        if isinstance(branches, list) and branches and all(isinstance(one, Mapping) for one in branches):
            reasons = [_fits_none(one, path, definitions) for one in branches]
            if all(reasons):
                return reasons[0]
    needed = [(path, part) for part in _list(schema, "allOf")]
    if _number(schema, "minItems", 0) > 0:  # else the empty list fits
        needed.append((f"{path}[]", schema.get("items")))
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        names = [key for key in _list(schema, "required") if key in properties]
        needed += [(f"{path}.{key}" if path else str(key), properties[key]) for key in names]
    reasons = [_fits_none(part, at, definitions) for at, part in needed if isinstance(part, Mapping)]
    return next((why for why in reasons if why), None)


def _list(schema: Mapping[str, Any], keyword: str) -> list[Any]:
    value = schema.get(keyword)
    return value if isinstance(value, list) else []


def misplaced(schema: Mapping[str, Any]) -> str | None:
    """Which limit stands at a type that has none of its kind, in words; None where all fit. For schemas by pydantic,
    which breaks on such a limit; in others it means nothing."""
    for path, part in _parts_of(schema, ""):
        types = _types(part)
        wrong = [key for key in part if key in _UNKNOWN and not types <= {*_NUMBERS}]
        wrong += [key for key, kinds in _KINDS.items() if key in part and not types <= {*kinds}]
        if wrong:
            limit, kind = f"{wrong[0]} {part[wrong[0]]!r:.40}", part.get("type", "its type")
            return f"{path} has the limit {limit}, which is none for {kind}"
    return None


def not_in_json(core: object, path: str = "", *, strict: bool = False) -> Iterator[str]:
    """What of a schema of pydantic's core takes no value that JSON has, each in words. `strict`: as the model around it
    is. What a validator of the user's makes of a value before it is checked, nobody knows."""
    if isinstance(core, list):
        for part in core:
            yield from not_in_json(part, path, strict=strict)
    if not isinstance(core, dict):
        return
    kind, config = core.get("type"), core.get("config")
    if isinstance(kind, str):
        if kind in ("function-before", "function-wrap", "function-plain", "json"):  # in a text of JSON all is JSON
            return
        if kind == "is-subclass":
            yield f"{path} is a class, and JSON has none; take its name, and find the class in the function"
        if kind in _STRICTLY and core.get("strict", strict):
            what = "of its type" if kind == "lax-or-strict" else f"a {kind}"
            yield f"{path} is strict, and nothing in JSON is strictly {what}; leave strict out"
        if kind in ("model", "dataclass", "typed-dict"):
            strict = bool(config.get("strict")) if isinstance(config, dict) else False
    for key, part in core.items():
        if key == "fields" and isinstance(part, dict):
            for name, field in part.items():
                said = field.get("validation_alias", name)
                yield from not_in_json(field, f"{path}.{said}" if path else str(said), strict=strict)
        elif key not in _NO_SCHEMAS and key != "strict_schema":
            yield from not_in_json(part, path, strict=strict)


def _types(schema: Mapping[str, Any]) -> set[str]:
    """The types that a value may have, as far as they are said."""
    if isinstance(kind := schema.get("type"), str):
        return {kind}
    return {kind for one in _list(schema, "anyOf") if isinstance(one, Mapping) for kind in _types(one)}


def _parts_of(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A schema and all inside of it, each with the names that lead to it."""
    yield path or "it", schema
    for keyword in _INSIDE:
        parts = schema.get(keyword)
        for name, part in parts.items() if isinstance(parts, Mapping) else ():
            if isinstance(part, Mapping):
                yield from _parts_of(part, f"{path}.{name}" if path else str(name))
    for keyword in _PARTS:
        parts = schema.get(keyword)
        for part in parts if isinstance(parts, list) else [parts]:
            if isinstance(part, Mapping):
                yield from _parts_of(part, f"{path}[]" if keyword in ("items", "prefixItems") else path)


def _of_numbers(schema: Mapping[str, Any]) -> str | None:
    low, high = _number(schema, "minimum", -math.inf), _number(schema, "maximum", math.inf)
    above, below = _number(schema, "exclusiveMinimum", -math.inf), _number(schema, "exclusiveMaximum", math.inf)
    least, most = max(low, above), min(high, below)
    lower = f"above {above:g}" if above >= low else f"at least {low:g}"
    upper = f"below {below:g}" if below <= high else f"at most {high:g}"
    if least > most or (least == most and (above >= least or below <= most)):
        return f"is {lower} and {upper}: no number is both"
    step = _number(schema, "multipleOf", 1.0 if schema.get("type") == "integer" else 0.0)
    if not step or not (math.isfinite(least) and math.isfinite(most)):
        return None
    first = math.floor(least / step) + 1 if above >= low else math.ceil(least / step - _SLACK)
    last = math.ceil(most / step) - 1 if below <= high else math.floor(most / step + _SLACK)
    kind = "whole number" if step == 1 else f"multiple of {step:g}"
    return f"is {lower} and {upper}: no {kind} is both" if first > last else None


def _of_sizes(schema: Mapping[str, Any]) -> str | None:
    for size, unit in _SIZES.items():
        low, high = _number(schema, f"min{size}", 0.0), _number(schema, f"max{size}", math.inf)
        if low > high:
            return f"has at least {low:g} {unit} and at most {high:g}: nothing has both"
    return None


def _number(schema: Mapping[str, Any], keyword: str, otherwise: float) -> float:
    value = schema.get(keyword, otherwise)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return otherwise
    try:
        return float(value)
    except OverflowError:  # of a whole number beyond all floats
        return math.copysign(math.inf, value > 0 or -1)
