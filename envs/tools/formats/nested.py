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


def nested_call(value: object) -> ToolCall | None:
    """The call whose result an argument stands for; None for any other value."""
    if not isinstance(value, Mapping) or value.keys() != {_CALL, "arguments"}:
        return None
    name, arguments = value[_CALL], value["arguments"]
    return ToolCall(name, arguments) if isinstance(name, str) and isinstance(arguments, Mapping) else None
