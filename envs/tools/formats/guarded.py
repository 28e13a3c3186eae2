"""What all formats share: parsing within bounds, errors as words for the agent, JSON, calls from JSON.

Text from a model is hostile: length and depth are bounded, and nothing is evaluated.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...thoughts import split_thought
from ...vocabulary import Reply, ToolCall
from .fitting import fits

MAX_REPLY = 131_072  # characters; a longer reply calls nothing
OPEN, CLOSE = "<tool_call>", "</tool_call>"
MARKERS: Mapping[str, str] = {
    OPEN: "hermes",
    CLOSE: "hermes",
    "<|python_tag|>": "llama3",
    "[TOOL_CALLS]": "mistral",
    "<function=": "qwen3.5",
    "<｜tool▁calls▁begin｜>": "deepseek",
    "<｜tool▁call▁begin｜>": "deepseek",
    "to=functions.": "harmony",
    "<arg_key>": "glm",
    "<|tool_call_start|>": "lfm",
    "<|tool_call>": "gemma",
    "<|tool_call_begin|>": "kimi",
    "<minimax:tool_call>": "minimax",
    "<|action_start|>": "internlm",
    "<|START_ACTION|>": "command",
}
"""What stands only in calls, and in whose."""


class Malformed(ValueError):
    """The words for the agent."""


class Guarded:
    """Parsing within bounds, with every error turned into words. A marker of a format that this one does not read is an
    error too: it is no final answer.
    """

    reads: tuple[str, ...] = ()  # the markers of its own

    def parse(self, text: str) -> Reply:
        """See `ReplyFormat.parse`."""
        if len(text) > MAX_REPLY:
            return Reply(text, parse_error=f"the reply has {len(text)} characters; {MAX_REPLY} are allowed")
        thought, spoken = split_thought(text)
        try:
            said, calls = self._parsed(spoken)
            foreign = next((marker for marker in MARKERS if marker in said and marker not in self.reads), None)
            if foreign is not None:
                raise Malformed(f"{foreign} begins a tool call in a form that is not read here")
        except RecursionError:
            return Reply(spoken, parse_error="the tool call is nested too deeply")
        except Malformed as error:
            return Reply(spoken, parse_error=str(error))
        return Reply(said.strip(), tool_calls=tuple(calls), thought=thought.strip())

    def _parsed(self, text: str) -> tuple[str, list[ToolCall]]:
        """What is said, and what is called; `Malformed`."""
        raise NotImplementedError


class Typed(Guarded):
    """For formats whose arguments are bare text: what a text means is said by the schemas of the tools.

    a: int                  7         7
    a: str                  7         "7"
    a: str | list[str]      7         "7", since no list is 7
    a: str | None           null      None; the text is written "null", in quotes
    """

    def __init__(self, tools: Sequence[Mapping[str, Any]] = ()) -> None:
        functions = [tool.get("function", tool) for tool in tools]
        self._parameters = {str(function.get("name")): function.get("parameters") or {} for function in functions}

    def _value(self, tool: str, argument: str, text: str) -> object:
        """JSON where the tool takes what that says; text where it takes no such thing, and where it is no JSON. Text
        that would be read as something else stands in quotes, as in JSON."""
        parameters = self._parameters.get(tool, {})
        schema, named = parameters.get("properties", {}).get(argument, {}), parameters.get("$defs", {})
        if isinstance(schema, Mapping) and schema.get("type") == "string":
            return text
        try:
            read = DECODER.decode(text.strip())
        except (ValueError, RecursionError):
            read = {"True": True, "False": False, "None": None}.get(text.strip(), text)
        if read == text or not fits(schema, text, named):
            return read
        if isinstance(read, str):
            return read if self._value(tool, argument, read) != read else text
        return read if fits(schema, read, named) else text

    def _bare(self, tool: str, argument: str, value: object) -> str:
        """The text that `_value` reads as `value`; text as it is for a tool that nobody has described."""
        if isinstance(value, str) and (tool not in self._parameters or self._value(tool, argument, value) == value):
            return value
        return json.dumps(value, ensure_ascii=False)


def between(text: str, begin: str, end: str, position: int, what: str) -> tuple[str, int]:
    """What stands between `begin`, which is at `position`, and the next `end`; and where that ends. `Malformed`."""
    if not text.startswith(begin, position):
        raise Malformed(f"{what}: {begin} is missing near {text[position : position + 24]!r}")
    closed = text.find(end, position + len(begin))
    if closed < 0:
        raise Malformed(f"{what} is not closed: {end} is missing")
    return text[position + len(begin) : closed], closed + len(end)


def joined(text: str, calls: Sequence[str], between: str = "\n") -> str:
    """Speech and calls, one below the other."""
    return between.join(filter(None, (text, *calls)))


def skip_space(text: str, position: int) -> int:
    """Where the next character stands that is no space."""
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"{digits:.40} is too large for a number")
    return value


DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constant)


def json_at(text: str, position: int) -> tuple[object, int]:
    """The JSON value that begins at `position`, and where it ends. `Malformed`."""
    begin = skip_space(text, position)
    try:
        return DECODER.raw_decode(text, begin)
    except json.JSONDecodeError as error:
        near = text[error.pos : error.pos + 24]
        if OPEN in text[begin : error.pos + len(OPEN)]:
            raise Malformed("a tool call begins inside another one; close the first") from None
        where = f"near {near!r}" if near else "at the end of the reply: the JSON is not finished"
        raise Malformed(f"the tool call is not JSON: {error.msg} {where}") from None
    except ValueError as error:  # a constant such as NaN, or a number of too many digits
        raise Malformed(f"the tool call is not JSON: {error}") from None


def call_from(value: object, key: str) -> ToolCall:
    """The call that a JSON object describes; both spellings of the key are understood. `Malformed`."""
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise Malformed(f'a tool call is an object with "name" and "{key}", not {json.dumps(value):.60}')
    arguments = value.get(key, value.get("parameters" if key == "arguments" else "arguments", {}))
    return ToolCall(value["name"], arguments_from(arguments, value["name"], key))


def arguments_from(arguments: object, name: str, key: str = "arguments") -> dict[str, Any]:
    """Arguments that are an object, or text that holds one, as some models write. `Malformed`."""
    if isinstance(arguments, str):
        arguments, _ = json_at(arguments, 0)
    if not isinstance(arguments, dict):
        raise Malformed(f'the "{key}" of {name[:64]!r} must be an object, not {json.dumps(arguments):.60}')
    return arguments


def json_of(call: ToolCall, key: str) -> str:
    """A call as one JSON object."""
    return json.dumps({"name": call.name, key: dict(call.arguments)}, ensure_ascii=False)


def arguments_json(call: ToolCall) -> str:
    """The arguments of a call as one JSON object."""
    return json.dumps(dict(call.arguments), ensure_ascii=False)
