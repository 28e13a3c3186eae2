"""Keys that are null in a row because other rows of its table have them, told from those that somebody wrote.

Tables (Parquet, data sets, frames) give every mapping in a column the keys of all of them. So null is read as absent
where it means nothing, and stays where it does: in a schema as a default, in an argument whose schema allows null.
What stands in a row as a text of JSON was written as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_SAYS_WHAT = ("type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "properties", "additionalProperties", "items")
_BRANCHES = ("anyOf", "oneOf", "allOf")
_ANYTHING: Mapping[str, Any] = {}  # what `true` stands for in a schema


def schema_without_fillers(value: Any) -> Any:
    """A schema without keys that are null; one that allows null may say it as its default."""
    if isinstance(value, list | tuple):
        return [schema_without_fillers(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    kept = {key: schema_without_fillers(one) for key, one in value.items() if one is not None}
    is_default = "default" in value and value["default"] is None and _says_what(kept)
    return {**kept, "default": None} if is_default and any(map(_allows_null, _meant([kept], kept))) else kept


def arguments_without_fillers(given: Mapping[str, Any], parameters: Any) -> dict[str, Any]:
    """The arguments of a call without keys that are null where `parameters`, the tool's schema, do not allow it, at any
    depth. None: nobody knows the tool, and no null is an argument."""
    return _kept(given, _meant([parameters], parameters), parameters)


def _kept(value: Any, schemas: Sequence[Mapping[str, Any]], root: Any) -> Any:
    if isinstance(value, list | tuple):
        inside = _meant([_item(schema) for schema in schemas], root)
        return [_kept(one, inside, root) for one in value]
    if not isinstance(value, Mapping):
        return value
    kept: dict[str, Any] = {}
    for key, one in value.items():
        its = _meant([_property(schema, key) for schema in schemas], root)
        if one is not None or any(map(_allows_null, its)):
            kept[key] = _kept(one, its, root)
    return kept


def _property(schema: Mapping[str, Any], key: str) -> Any:
    """The schema of a key; of what may be anything, the same again."""
    properties = schema.get("properties")
    if isinstance(properties, Mapping) and key in properties:
        return properties[key]
    return schema.get("additionalProperties") if _says_what(schema) else schema


def _item(schema: Mapping[str, Any]) -> Any:
    """The schema of what is in a list, as `_property`."""
    return schema.get("items") if _says_what(schema) else schema


def _says_what(schema: Mapping[str, Any]) -> bool:
    """Whether a schema says anything of what it takes."""
    return any(name in schema for name in _SAYS_WHAT)


def _meant(given: Sequence[Any], root: Any) -> list[Mapping[str, Any]]:
    """Schemas and those that they stand for: their branches, and the definitions in `root` that they refer to; each
    once, for a few definitions that refer to one another twice would come to more than anybody can read."""
    found: dict[int, Mapping[str, Any]] = {}
    left = [*given]
    while left:
        schema = left.pop()
        schema = _ANYTHING if schema is True else schema
        if not isinstance(schema, Mapping) or id(schema) in found:
            continue
        found[id(schema)] = schema
        left += [part for name in _BRANCHES if isinstance(schema.get(name), list) for part in schema[name]]
        reference = str(schema.get("$ref", ""))
        if reference.startswith("#/"):
            left.append(_defined(reference, root))
    return [*found.values()]


def _defined(reference: str, root: Any) -> Any:
    """What stands in `root` at "#/KEY/KEY…"; None where nothing does."""
    for step in reference.split("/")[1:]:
        root = root.get(step) if isinstance(root, Mapping) else None
    return root


def _allows_null(schema: Mapping[str, Any]) -> bool:
    """Whether a schema that `_meant` gave allows null: it says so, or nothing at all of what it takes. Its branches and
    what it refers to are asked by themselves."""
    if schema.get("nullable") is True or not _says_what(schema):
        return True
    kinds, listed = schema.get("type"), schema.get("enum")
    said = kinds == "null" or (isinstance(kinds, list) and "null" in kinds)
    return said or (isinstance(listed, list) and None in listed) or ("const" in schema and schema["const"] is None)
