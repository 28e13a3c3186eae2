"""Tools in words, for the prompt of a model whose chat template does not show them.

    Tools:
    - place(kind: "Buy" | "Sell", price: number, note?: string, amount: integer = 1): Place an order.
        kind: What to do.
        amount: at least 1, at most 9. How many shares.

Types are named as JSON Schema names them; `x?` may be left out, and `= 1` is what it is then.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

_REFERENCE = "#/$defs/"


def described_tools(schemas: Sequence[Schema], how: str) -> str:
    """Every tool, from its schema in the function-calling form, and `how` they are called."""
    lines = [line for schema in schemas for line in _tool(schema["function"])]
    return "\n".join(["Tools:", *lines, how])


def _tool(function: Mapping[str, Any]) -> Iterator[str]:
    parameters: Schema = function["parameters"]
    yield f"- {function['name']}({_fields(parameters)}): {function['description']}".removesuffix(": ")
    yield from _meanings(parameters, "    ")
    for name, schema in parameters.get("$defs", {}).items():
        yield f"    {name} is {_type(schema)}"
        yield from _meanings(schema, "        ")


def _fields(schema: Schema) -> str:
    """`price: number, note?: string, amount: integer = 1`"""
    required = schema.get("required", ())
    fields = []
    for name, part in schema.get("properties", {}).items():
        default = f" = {_json(part['default'])}" if "default" in part else ""
        mark = "" if default or name in required else "?"
        fields.append(f"{name}{mark}: {_type(part)}{default}")
    return ", ".join(fields)


def _meanings(schema: Schema, margin: str) -> Iterator[str]:
    """A line for each property of which something is to be said, and for those of the objects in it."""
    for name, part in schema.get("properties", {}).items():
        words = ". ".join(filter(None, [", ".join(_bounds(part)), " ".join(str(part.get("description", "")).split())]))
        inside = [line for one in _parts(part) for line in _meanings(one, margin + "    ")]
        if words or inside:
            yield f"{margin}{name}: {words}".rstrip()
        yield from inside


def _parts(schema: Schema) -> Iterator[Schema]:
    """The schema itself, and those of what it may be or hold."""
    yield schema
    inner = (
        schema.get("items"),
        schema.get("additionalProperties"),
        *schema.get("anyOf", ()),
        *schema.get("oneOf", ()),
    )
    for part in inner:
        if isinstance(part, Mapping):
            yield from _parts(part)


def _type(schema: object) -> str:
    """`"Buy" | "Sell"`, `list of integer`, `{x: number, y?: number}`, `string | null`."""
    if not isinstance(schema, Mapping):
        return "anything"
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_REFERENCE)
    if "const" in schema:
        return _json(schema["const"])
    if "enum" in schema:
        return " | ".join(map(_json, schema["enum"]))
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " | ".join(dict.fromkeys(map(_type, schema[key])))
    if len(schema.get("allOf", ())) == 1:
        return _type(schema["allOf"][0])
    kind = schema.get("type", "anything")
    if isinstance(kind, list):
        return " | ".join(map(str, kind))
    return {"array": _list, "object": _object}.get(kind, lambda _: str(kind))(schema)


def _list(schema: Schema) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(map(_type, schema['prefixItems']))}]"
    inside = _type(schema.get("items"))
    return "list" if inside == "anything" else f"list of {f'({inside})' if ' | ' in inside else inside}"


def _object(schema: Schema) -> str:
    if schema.get("properties"):
        return "{" + _fields(schema) + "}"
    values = _type(schema.get("additionalProperties"))
    return "object" if values == "anything" else f"object of {f'({values})' if ' | ' in values else values}"


_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "matches {}",
    "format": "as a {}",
}


def _bounds(schema: Schema) -> list[str]:
    """Limits that a value has to keep, in words; those of a tuple's length are seen."""
    held = {} if "prefixItems" in schema else schema
    said = [words.format(_shown(held[key])) for key, words in _BOUNDS.items() if key in held]
    return said + [words for part in schema.get("anyOf", ()) if isinstance(part, Mapping) for words in _bounds(part)]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _shown(bound: object) -> object:
    return f"{bound:g}" if isinstance(bound, float) else bound
