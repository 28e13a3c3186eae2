"""Limits in a tool's schema that no value keeps, which are found when the tool is made and not when it is called.

    n: int = Field(ge=5, le=1)                     at least 5 and at most 1
    n: int = Field(gt=1, lt=2)                     between 1 and 2 there is no whole number
    names: list[str] = Field(min_length=3, max_length=2)
    name: str = Field(ge=3)                        a text is not compared with a number: each call would break

Left out: what only several keywords together forbid, such as an enum beside a bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

_SIZES = {"Length": "characters", "Items": "items", "Properties": "keys"}
_INSIDE = ("properties", "$defs")  # keywords that hold schemas by names
_PARTS = (
    "items",
    "additionalProperties",
    "anyOf",
    "oneOf",
    "allOf",
    "prefixItems",
)  # and one schema, or a list of them
_KINDS = {  # keywords that are for one type alone
    **dict.fromkeys(
        ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), ("number", "integer")
    ),
    **dict.fromkeys(("minLength", "maxLength", "pattern"), ("string",)),
    **dict.fromkeys(("minItems", "maxItems"), ("array",)),
    **dict.fromkeys(("minProperties", "maxProperties"), ("object",)),
}
_UNKNOWN = ("ge", "gt", "le", "lt", "multiple_of")  # what pydantic writes where JSON schema has no word for it


def impossible(schema: Mapping[str, Any]) -> str | None:
    """Which part of a schema fits no value, and why, in words; None if each fits some."""
    for path, part in _parts_of(schema, ""):
        if why := _of_numbers(part) or _of_sizes(part):
            return f"{path} {why}"
        if part.get("enum") == []:
            return f"{path} is one of no values"
    return None


def misplaced(schema: Mapping[str, Any]) -> str | None:
    """Which limit stands at a type that has none of its kind, in words; None where all fit. For schemas by pydantic,
    which breaks on such a limit; in others it means nothing."""
    for path, part in _parts_of(schema, ""):
        wrong = [key for key in part if key in _UNKNOWN]
        wrong += [key for key, kinds in _KINDS.items() if key in part and part.get("type", kinds[0]) not in kinds]
        if wrong:
            limit, kind = f"{wrong[0]} {part[wrong[0]]!r:.40}", part.get("type", "its type")
            return f"{path} has the limit {limit}, which is none for {kind}"
    return None


def _parts_of(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A schema and all inside of it, each with the names that lead to it."""
    yield path or "it", schema
    for keyword in _INSIDE:
        for name, part in schema.get(keyword, {}).items():
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
    first = math.floor(least / step) + 1 if above >= low else math.ceil(least / step)
    last = math.ceil(most / step) - 1 if below <= high else math.floor(most / step)
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
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else otherwise
