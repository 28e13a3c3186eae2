"""A call in the place of an argument, as JSON holds it: its result is what the other tool is called with.

take(find("A"))     take, {"locker": {"$call": "find", "arguments": {"parcel": "A"}}}
"""

from __future__ import annotations

from collections.abc import Mapping

from ...vocabulary import ToolCall

_CALL = "$call"


def nested(call: ToolCall) -> dict[str, object]:
    """The argument that stands for the result of `call`."""
    return {_CALL: call.name, "arguments": dict(call.arguments)}


def levels(value: object) -> int:
    """How many calls stand in the place of one another's arguments, at most."""
    most, ahead = 0, [(value, 0)]
    while ahead:
        value, level = ahead.pop()
        level += nested_call(value) is not None
        most = max(most, level)
        if isinstance(value, Mapping):
            ahead += [(part, level) for part in value.values()]
        elif isinstance(value, list):
            ahead += [(part, level) for part in value]
    return most


def nested_call(value: object) -> ToolCall | None:
    """The call whose result an argument stands for; None for any other value."""
    if not isinstance(value, Mapping) or value.keys() != {_CALL, "arguments"}:
        return None
    name, arguments = value[_CALL], value["arguments"]
    return ToolCall(name, arguments) if isinstance(name, str) and isinstance(arguments, Mapping) else None
