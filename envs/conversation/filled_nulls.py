"""Keys that are null in a row because other rows of its table have them, told from those that somebody wrote.

Tables (Parquet, data sets, frames) give every mapping in a column the keys of all of them. So null is read as absent
where it means nothing, and stays where it does: in a schema as a default, in an argument whose schema allows null.
What stands in a row as a text of JSON was written as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_SAYS_WHAT = ("type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "properties", "additionalProperties", "items")
_BRANCHES = ("anyOf", "oneOf", "allOf")


def schema_without_fillers(value: Any) -> Any:
    """A schema without keys that are null; one that allows null may say it as its default."""
    if isinstance(value, list | tuple):
        return [schema_without_fillers(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    kept = {key: schema_without_fillers(one) for key, one in value.items() if one is not None}
    is_default = "default" in value and value["default"] is None and _says_what(kept)
    return {**kept, "default": None} if is_default and any(map(_allows_null, _meant(kept, kept))) else kept


def arguments_without_fillers(given: Mapping[str, Any], parameters: Any) -> dict[str, Any]:
    """The arguments of a call without keys that are null where `parameters`, the tool's schema, do not allow it, at any
    depth. None: nobody knows the tool, and no null is an argument."""
    return _kept(given, list(_meant(parameters, parameters)), parameters)


def _kept(value: Any, schemas: Sequence[Mapping[str, Any]], root: Any) -> Any:
    if isinstance(value, list | tuple):
        inside = [one for schema in schemas for one in _meant(_item(schema), root)]
        return [_kept(one, inside, root) for one in value]
    if not isinstance(value, Mapping):
        return value
    kept: dict[str, Any] = {}
    for key, one in value.items():
        its = [part for schema in schemas for part in _meant(_property(schema, key), root)]
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


def _meant(schema: Any, root: Any, seen: tuple[str, ...] = ()) -> Iterator[Mapping[str, Any]]:
    """A schema and those that it stands for: its branches, and the definition in `root` that it refers to."""
    if schema is True:
        yield {}
    if not isinstance(schema, Mapping):
        return
    yield schema
    for part in (part for name in _BRANCHES if isinstance(schema.get(name), list) for part in schema[name]):
        yield from _meant(part, root, seen)
    reference = str(schema.get("$ref", ""))
    if reference.startswith("#/") and reference not in seen:
        found = root
        for step in reference.split("/")[1:]:
            found = found.get(step) if isinstance(found, Mapping) else None
        yield from _meant(found, root, (*seen, reference))


def _allows_null(schema: Mapping[str, Any]) -> bool:
    """Whether a schema that `_meant` gave allows null: it says so, or nothing at all of what it takes. Its branches and
    what it refers to are asked by themselves."""
    if schema.get("nullable") is True or not _says_what(schema):
        return True
    kinds, listed = schema.get("type"), schema.get("enum")
    said = kinds == "null" or (isinstance(kinds, list) and "null" in kinds)
    return said or (isinstance(listed, list) and None in listed) or ("const" in schema and schema["const"] is None)
