"""Whether a value is of a kind that a schema asks for: types, what is listed, and their unions. That is enough to tell
what a bare text means; limits, patterns and formats are left to whoever validates the call.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_REFERENCE = "#/$defs/"
_KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int, float),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}


def fits(schema: Any, value: object, named: Mapping[str, Any]) -> bool:
    """Whether `value` is of a kind that `schema` asks for; `named` are the schemas that it may refer to. What those
    refer to in turn fits: a few lines of a stranger's could ask for 2ⁿ comparisons."""
    if not isinstance(schema, Mapping):
        return schema is not False

    def inside(part: Any, item: object = value) -> bool:
        return fits(part, item, named)

    if isinstance(reference := schema.get("$ref"), str):
        return fits(named.get(reference.removeprefix(_REFERENCE), {}), value, {})
    kinds = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        return False
    listed = [schema["const"]] if "const" in schema else schema.get("enum")
    if listed is not None and json.dumps(value) not in map(json.dumps, listed):
        return False
    unions = (any(map(inside, schema[key])) for key in ("anyOf", "oneOf") if key in schema)
    if not all(unions) or not all(map(inside, schema.get("allOf", ()))):
        return False
    if isinstance(value, list) and "items" in schema:
        return all(inside(schema["items"], item) for item in value)
    if isinstance(value, dict):
        parts = schema.get("properties", {})
        rest = schema.get("additionalProperties", True)
        missing = set(schema.get("required", ())) - value.keys()
        return not missing and all(inside(parts.get(key, rest), item) for key, item in value.items())
    return True


def _is(value: object, kind: object) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _KINDS.get(str(kind), ()))
