"""What is said of a value that does not fit, behind its key: "is 'fp23'; allowed: fp32, bf16. Did you mean 'fp32'?"."""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import NoneType
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from .errors import nearest
from .quantities import IN_A_LIST, NoNumber, apart_in, shown

_NOTHING = ("none", "null", "nil", "off", "no", "nothing", "~", "")
_FREE = ("name", "description", "revision", "model")  # texts that may be a number
_SHAPES = {  # pydantic's kinds of error that are about the shape of a value, in words
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "dataclass_type": "a mapping of keys to values",
    "list_type": "a list",
    "tuple_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
}
_BOUNDS = {  # pydantic's kinds of error that are about the size of a number, with what they call the bound
    "greater_than_equal": ("ge", "{} or greater"),
    "less_than_equal": ("le", "{} or less"),
    "greater_than": ("gt", "more than {}"),
    "less_than": ("lt", "less than {}"),
}


@dataclass(frozen=True)
class Slot:
    """What may stand at a key besides a value: null, or nothing at all, so that its default holds."""

    nullable: bool = False
    optional: bool = False

    @classmethod
    def of(cls, model: type[Any], name: str) -> Slot:
        """Of a field of a pydantic model or a dataclass; one that is not there takes neither."""
        if issubclass(model, BaseModel) and name in model.model_fields:
            info = model.model_fields[name]
            return cls(NoneType in get_args(info.annotation), not info.is_required())
        if is_dataclass(model):
            for one in fields(model):
                if one.name == name:
                    default = one.default is not MISSING or one.default_factory is not MISSING
                    return cls(NoneType in get_args(get_type_hints(model)[name]), default)
        return cls()


def wrong_value(error: ErrorDetails, slot: Slot) -> str:
    """The rest of the sentence that begins with the key, at which `slot` tells what else may stand."""
    value, kind = error["input"], error["type"]
    reason = error.get("ctx", {}).get("error")
    if isinstance(reason, NoNumber):
        in_a_list = any(isinstance(part, int) for part in error["loc"][-1:])
        said = str(reason) if in_a_list else str(reason).partition(IN_A_LIST)[0]
        return f"{said}{_nothing(value, slot)}"
    if kind == "literal_error":
        allowed = [word.strip("'") for word in error.get("ctx", {})["expected"].replace(" or ", ", ").split(", ")]
        like = nearest(str(value), allowed)
        return f"is {shown(value)}; allowed: {', '.join(allowed)}{_nothing(value, slot)}{f'.{like}' if like else ''}"
    if kind in ("bool_parsing", "bool_type"):
        return f"is {shown(value)}; allowed are true and false"
    if kind == "string_type":
        return (
            f"is {shown(value)}, not text{_quoted(value) if error['loc'][-1] in _FREE else ''}{_nothing(value, slot)}"
        )
    if kind == "too_short":
        return "is empty; at least one is needed"
    if kind == "list_type" and isinstance(value, str | int | float) and not isinstance(value, bool):
        return f"is {shown(value)}, not a list; write {_as_list(value)}"
    if kind in _SHAPES:
        return f"is {shown(value)}, not {_SHAPES[kind]}{_nothing(value, slot)}"
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"is {shown(value)}; allowed is {words.format(error.get('ctx', {})[name])}"
    message = error["msg"]
    return f"is {shown(value)}: {message[0].lower()}{message[1:]}"


def _quoted(value: object) -> str:
    """How to write a word that YAML has read as something else."""
    if isinstance(value, bool):
        return f"; YAML reads yes, no, on and off as {shown(True)} and {shown(False)}: put the word into quotes"
    if isinstance(value, int | float):
        return f"; put it into quotes: '{value}'"
    return ""


def is_nothing(value: object) -> bool:
    """Whether somebody means by a value that there is to be none."""
    return value is None or value is False or (isinstance(value, str) and value.strip().lower() in _NOTHING)


def _nothing(value: object, slot: Slot) -> str:
    """How none is written, where it may be."""
    if not is_nothing(value):
        return ""
    if slot.nullable and value is not None:
        return "; nothing of the kind is written null"
    return "; leave the key out for its default" if slot.optional else ""


def _as_list(value: str | int | float) -> str:
    """A list of what somebody wrote without brackets."""
    if isinstance(value, str) and (is_nothing(value) or not value.strip()):
        return "[] for none"
    parts = [f"{one:g}" for one in apart_in(value)]
    if not parts and isinstance(value, str):
        parts = [part for part in re.split(r"[\s,;]+", value.strip(" []()")) if part]
    return f"[{', '.join(parts or [str(value)])}]"
