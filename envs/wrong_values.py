"""What is said of a value that does not fit, behind its key: "is 'fp23'; allowed: fp32, bf16. Did you mean 'fp32'?"."""

from __future__ import annotations

from pydantic_core import ErrorDetails

from .errors import nearest
from .quantities import NoNumber, shown

_SHAPES = {  # pydantic's kinds of error that are about the shape of a value, in words
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "dataclass_type": "a mapping of keys to values",
    "list_type": "a list",
    "tuple_type": "a list",
    "string_type": "text",
}


def wrong_value(error: ErrorDetails) -> str:
    """The rest of the sentence that begins with the key."""
    value, kind = error["input"], error["type"]
    reason = error.get("ctx", {}).get("error")
    if isinstance(reason, NoNumber):
        return f"{reason}{_nothing(value)}"
    if kind == "literal_error":
        allowed = [word.strip("'") for word in error.get("ctx", {})["expected"].replace(" or ", ", ").split(", ")]
        like = nearest(str(value), allowed)
        return f"is {shown(value)}; allowed: {', '.join(allowed)}{_nothing(value)}{f'.{like}' if like else ''}"
    if kind in ("bool_parsing", "bool_type"):
        return f"is {shown(value)}; allowed are true and false"
    if kind == "string_type":
        return f"is {shown(value)}, not text{_quoted(value)}"
    if kind == "too_short":
        return "is empty; at least one is needed"
    if kind == "list_type" and isinstance(value, str | int | float):
        return f"is {shown(value)}, not a list; write [{value}]"
    if kind in _SHAPES:
        return f"is {shown(value)}, not {_SHAPES[kind]}"
    message = error["msg"]
    return f"is {shown(value)}: {message[0].lower()}{message[1:]}"


def _quoted(value: object) -> str:
    """How to write a word that YAML has read as something else."""
    if isinstance(value, bool):
        return f"; YAML reads yes, no, on and off as {shown(True)} and {shown(False)}: put the word into quotes"
    if isinstance(value, int | float):
        return f"; put it into quotes: '{value}'"
    return ""


def _nothing(value: object) -> str:
    return "; nothing of the kind is written null" if value in ("none", "None", "nil", "off", "no", "") else ""
