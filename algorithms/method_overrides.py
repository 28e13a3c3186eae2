"""How a user changes constants of a row, and what is said of one that is wrong or would do nothing.

    overrides: {credit: {gamma: 0.97}, weighting: {clip_high: 0.28}}

A constant that would have no effect beside the others is refused, and so are constants that exclude each other: what a
scenario says is what happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ..envs.errors import WrongKey, nearest
from ..envs.quantities import shown
from ..envs.wrong_values import Slot, wrong_value
from .idle_constants import idle_constants, impossible_constants, spelled, unmoved_by_demonstrations
from .method_row import Method

# what a row says of itself; no scenario changes it
_WORDS = ("name", "summary", "paper", "parent", "elsewhere", "learns")


def overridden(row: Method, overrides: Mapping[str, Any]) -> Method:
    """`row` with some constants changed. `UserError` names an unknown constant and the nearest one, a value of the
    wrong kind, a constant that would have no effect beside the others, or two that exclude each other."""
    changed = _override(row, overrides, ())
    _refuse_shown(changed, overrides)
    _refuse_idle(changed, overrides)
    _refuse_impossible(changed, overrides)
    return changed


def columns_of(key: str) -> list[str]:
    """The columns of a row that have a constant of this name: those of "gamma" are "credit"."""
    row = Method("", "")
    columns = {f.name: getattr(row, f.name) for f in fields(row) if is_dataclass(getattr(row, f.name))}
    return [name for name, column in columns.items() if key in {f.name for f in fields(column)}]


def _refuse_shown(row: Method, overrides: Mapping[str, Any]) -> None:
    """Demonstrations are of somebody who does it right: what compares them with each other has nothing to learn."""
    if row.source != "demonstrations" or (why := unmoved_by_demonstrations(row)) is None:
        return
    place = ("source",) if "source" in overrides else next(((column,) for column in overrides), ())
    raise WrongKey(
        place,
        f"method {row.name}.source is 'demonstrations', and {why}; sft imitates them, dft weighs them by how likely "
        "they are, reinforce and psr by what they earned",
    )


def _refuse_idle(row: Method, overrides: Mapping[str, Any]) -> None:
    idle = list(idle_constants(row))
    for column, name, nothing, why in idle:
        value = getattr(getattr(row, column), name)
        written = name in overrides.get(column, {})
        if (written and value != nothing) or (nothing is not ... and value != nothing):
            place, remedy = (column, name), ""
            if not written:  # a constant of the row's own, which another that was written has made idle
                place = next(((c, n) for c in overrides for n in overrides[c] if f"{c}.{n}" in why), (column,))
                alike = {n: none for c, n, none, reason in idle if c == column and reason == why and none is not ...}
                words = ", ".join(
                    f"{n}: {spelled(none)}"
                    for n, none in alike.items()
                    if n not in overrides.get(column, {}) and getattr(getattr(row, column), n) != none
                )
                remedy = f"; write {column}: {{{words}}} as well"
            raise WrongKey(
                place, f"method {row.name}.{column}.{name} is {spelled(value)} and would have no effect: {why}{remedy}"
            )


def _refuse_impossible(row: Method, overrides: Mapping[str, Any]) -> None:
    for column, name, why in impossible_constants(row):
        value = getattr(getattr(row, column), name)
        place = (column, name) if name in overrides.get(column, {}) else next(iter((c,) for c in overrides), ())
        raise WrongKey(place, f"method {row.name}.{column}.{name} is {spelled(value)}, {why}")


def _override(row: Any, changes: Mapping[str, Any], path: tuple[str, ...], name: str = "") -> Any:
    """`row` with `changes` applied field by field, nested rows included, and every type checked."""
    name = name or row.name
    where = ".".join((f"method {name}", *path))
    names = [f.name for f in fields(row) if f.name not in _WORDS]
    values: dict[str, Any] = {f.name: getattr(row, f.name) for f in fields(row)}
    for key, value in changes.items():
        if key not in names:
            raise WrongKey((*path, key), f"{where} has no {key!r}; it has {', '.join(names)}.{_instead(key, names)}")
        if is_dataclass(values[key]):
            if not isinstance(value, Mapping):
                inside = ", ".join(f.name for f in fields(values[key]))
                what = f"is {shown(value)}, not a mapping of keys to values; its keys are {inside}"
                raise WrongKey((*path, key), f"{where}.{key} {what}")
            value = _override(values[key], value, (*path, key), name)
        values[key] = value
    try:
        return _checker(type(row)).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        at = (*path, *map(str, first["loc"][:1]))
        hint = "; how strong it is, beta says" if at[-1] == "kl" and isinstance(first["input"], float | int) else ""
        raise WrongKey(
            at, f"{'.'.join((f'method {name}', *at))} {wrong_value(first, Slot.of(type(row), at[-1]))}{hint}"
        ) from None


@cache
def _checker(column: type) -> TypeAdapter[Any]:
    """Made once: a run asks for its method a dozen times before its first update, and each one takes milliseconds."""
    return TypeAdapter(column)


def _instead(key: str, names: list[str]) -> str:
    """Where a constant belongs that stands elsewhere, or the nearest name."""
    columns = columns_of(key)
    return f" {key!r} belongs in {columns[0]}: {{{columns[0]}: {{{key}: …}}}}" if columns else nearest(key, names)
