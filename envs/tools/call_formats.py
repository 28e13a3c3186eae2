"""Replies: which tool calls a text asks for, in the formats that models write.

    hermes   <tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>     Hermes, Qwen, SmolLM
    llama3   {"name": "add", "parameters": {"a": 1}}                           Llama 3; several divided by ";"
    python   [add(a=1), add(a=2)]                                              Llama 4, Gemma
    compact  <tool_call>1+2</tool_call>                                        one tool with one argument: tiny models

`parse` gives a `Reply` whose text is what was said besides the calls, or one with a `parse_error` and no call at all:
a reply that is half understood is not half executed. `write` is its inverse. Thinking (`<think>…</think>`) is neither
said nor obeyed. Nothing is evaluated; length, number and depth are bounded, because text from a model is hostile.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..errors import UserError, unknown
from ..vocabulary import Reply, ToolCall

MAX_CALLS = 16  # in one reply
MAX_REPLY = 131_072  # characters; a longer reply calls nothing
_MAX_PYTHON = 16_384  # characters of Python, whose parser needs more memory for each
_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_PYTHON_TAG = "<|python_tag|>"
FORMATS = ("hermes", "llama3", "python", "compact")


class ReplyFormat(Protocol):
    """How a model writes tool calls."""

    def parse(self, text: str) -> Reply:
        """What `text` says and calls. Never raises."""
        ...

    def write(self, text: str, calls: Sequence[ToolCall]) -> str:
        """The reply that says `text` and makes `calls`, as the model should write it."""
        ...

    def explain(self) -> str:
        """One sentence that tells a model how to call a tool."""
        ...


def reply_format(name: str, tools: Sequence[Mapping[str, Any]] = ()) -> ReplyFormat:
    """The format called `name`. `tools` are schemas; "compact" needs exactly one, with one required argument.

    Raises:
        UserError: there is no such format, or it cannot call these tools.
    """
    match name:
        case "hermes":
            return Hermes()
        case "llama3":
            return Llama3()
        case "python":
            return PythonCalls()
        case "compact":
            functions = [tool["function"] for tool in tools]
            required = functions[0]["parameters"].get("required", []) if len(functions) == 1 else []
            if len(required) != 1:
                raise UserError("reply format 'compact' calls one tool with one required argument; use 'hermes'")
            return Compact(functions[0]["name"], required[0])
        case _:
            raise UserError(unknown("reply format", str(name), FORMATS))


class _Malformed(ValueError):
    """The words for the agent."""


class _Guarded:
    """Parsing within bounds, with every error turned into words."""

    def parse(self, text: str) -> Reply:
        if len(text) > MAX_REPLY:
            return Reply(text, parse_error=f"the reply has {len(text)} characters; {MAX_REPLY} are allowed")
        spoken = _after_thinking(text)
        try:
            said, calls = self._parsed(spoken)
        except RecursionError:
            return Reply(spoken, parse_error="the tool call is nested too deeply")
        except _Malformed as error:
            return Reply(spoken, parse_error=str(error))
        if len(calls) > MAX_CALLS:
            return Reply(spoken, parse_error=f"{len(calls)} tool calls in one reply; {MAX_CALLS} are allowed")
        return Reply(said.strip(), tool_calls=tuple(calls))

    def _parsed(self, text: str) -> tuple[str, list[ToolCall]]:
        raise NotImplementedError


class Hermes(_Guarded):
    """JSON objects between tags."""

    def _parsed(self, text: str) -> tuple[str, list[ToolCall]]:
        said, calls, position = [], [], 0
        while (opened := text.find(_OPEN, position)) >= 0:
            said.append(text[position:opened])
            value, position = _json_at(text, opened + len(_OPEN))
            calls.append(_call_from(value, "arguments"))
            position = _skip_space(text, position)
            if not text.startswith(_CLOSE, position):
                raise _Malformed(f"a tool call is not closed: {_CLOSE} is missing after its JSON")
            position += len(_CLOSE)
        said.append(text[position:])
        if any(_CLOSE in part for part in said):
            raise _Malformed(f"{_CLOSE} without {_OPEN} before it")
        return "".join(said), calls

    def write(self, text: str, calls: Sequence[ToolCall]) -> str:
        return _joined(text, [f"{_OPEN}\n{_json_of(call, 'arguments')}\n{_CLOSE}" for call in calls])

    def explain(self) -> str:
        example = '{"name": "the tool", "arguments": {"the argument": "its value"}}'
        return f"To call a tool, write {_OPEN}{example}{_CLOSE}."


class Llama3(_Guarded):
    """A reply that begins with `{` is nothing but JSON objects."""

    def _parsed(self, text: str) -> tuple[str, list[ToolCall]]:
        body = text.strip().removeprefix(_PYTHON_TAG).lstrip()
        if not body.startswith("{"):
            if _PYTHON_TAG in text:
                raise _Malformed(f"after {_PYTHON_TAG} a JSON object is expected")
            return text, []
        calls, position = [], 0
        while position < len(body):
            value, position = _json_at(body, position)
            calls.append(_call_from(value, "parameters"))
            position = _skip_space(body, position)
            if position < len(body):
                if body[position] != ";":
                    raise _Malformed(f"unexpected text after a tool call: {body[position : position + 40]!r}")
                position = _skip_space(body, position + 1)
        return "", calls

    def write(self, text: str, calls: Sequence[ToolCall]) -> str:
        """Text beside calls has no place in this format and is left out."""
        return "; ".join(_json_of(call, "parameters") for call in calls) if calls else text

    def explain(self) -> str:
        example = '{"name": "the tool", "parameters": {"the argument": "its value"}}'
        return f"To call a tool, reply with nothing but {example}."


class PythonCalls(_Guarded):
    """A reply that begins with `[` and a name is a list of calls with literal arguments."""

    def _parsed(self, text: str) -> tuple[str, list[ToolCall]]:
        body = text.strip().removeprefix(_PYTHON_TAG).strip()
        inside = body[1:].lstrip()
        if not body.startswith("[") or not (inside[:1].isalpha() or inside.startswith("_")):
            return text, []
        if len(body) > _MAX_PYTHON:
            raise _Malformed(f"the calls have {len(body)} characters; {_MAX_PYTHON} are allowed")
        try:
            tree = ast.parse(body, mode="eval").body
        except (SyntaxError, ValueError, MemoryError) as error:
            words = error.msg if isinstance(error, SyntaxError) else "nested too deeply, or not text"
            raise _Malformed(f"the list of tool calls is not Python: {words}") from None
        if not isinstance(tree, ast.List):
            raise _Malformed("tool calls are written as one list: [name(argument=value)]")
        return "", [_call_of(node) for node in tree.elts]

    def write(self, text: str, calls: Sequence[ToolCall]) -> str:
        """Text beside calls has no place in this format and is left out."""
        return f"[{', '.join(map(_python_of, calls))}]" if calls else text

    def explain(self) -> str:
        return "To call a tool, reply with nothing but [the_tool(the_argument=value)]."


class Compact(_Guarded):
    """The tool and its argument are known, so that only the value is written."""

    def __init__(self, tool: str, argument: str) -> None:
        self._tool, self._argument = tool, argument

    def _parsed(self, text: str) -> tuple[str, list[ToolCall]]:
        first, *rest = text.split(_OPEN)
        said, calls = [first], []
        for part in rest:
            value, closed, after = part.partition(_CLOSE)
            if not closed:
                raise _Malformed(f"a tool call is not closed: {_CLOSE} is missing")
            calls.append(ToolCall(self._tool, {self._argument: value}))
            said.append(after)
        if any(_CLOSE in part for part in said):
            raise _Malformed(f"{_CLOSE} without {_OPEN} before it")
        return "".join(said), calls

    def write(self, text: str, calls: Sequence[ToolCall]) -> str:
        return _joined(text, [f"{_OPEN}{call.arguments[self._argument]}{_CLOSE}" for call in calls], between="")

    def explain(self) -> str:
        return f"To use the {self._tool}, write {_OPEN}{self._argument}{_CLOSE}."


def _after_thinking(text: str) -> str:
    """What is said after the last thought; nothing, if the reply ended in the middle of one."""
    return text.rpartition("</think>")[2].partition("<think>")[0]


def _joined(text: str, calls: Sequence[str], between: str = "\n") -> str:
    return between.join(filter(None, (text, *calls)))


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _json_at(text: str, position: int) -> tuple[object, int]:
    """The JSON value that begins at `position`, and where it ends."""
    begin = _skip_space(text, position)
    try:
        return _DECODER.raw_decode(text, begin)
    except json.JSONDecodeError as error:
        near = text[error.pos : error.pos + 24]
        if _OPEN in text[begin : error.pos + len(_OPEN)]:
            raise _Malformed("a tool call begins inside another one; close the first") from None
        where = f"near {near!r}" if near else "at the end of the reply: the JSON is not finished"
        raise _Malformed(f"the tool call is not JSON: {error.msg} {where}") from None
    except ValueError as error:  # a constant such as NaN, or a number of too many digits
        raise _Malformed(f"the tool call is not JSON: {error}") from None


def _call_from(value: object, key: str) -> ToolCall:
    """The call that a JSON object describes; both spellings of the key are understood."""
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise _Malformed(f'a tool call is an object with "name" and "{key}", not {json.dumps(value):.60}')
    arguments = value.get(key, value.get("parameters" if key == "arguments" else "arguments", {}))
    if isinstance(arguments, str):  # some models write the arguments as a string that holds JSON
        arguments, _ = _json_at(arguments, 0)
    if not isinstance(arguments, dict):
        raise _Malformed(f'the "{key}" of {value["name"][:64]!r} must be an object, not {json.dumps(arguments):.60}')
    return ToolCall(value["name"], arguments)


def _json_of(call: ToolCall, key: str) -> str:
    return json.dumps({"name": call.name, key: dict(call.arguments)}, ensure_ascii=False)


def _call_of(node: ast.expr) -> ToolCall:
    """The call that a piece of syntax spells: a plain name, and arguments by name."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise _Malformed("each entry of the list must be a call: name(argument=value)")
    if node.args or any(keyword.arg is None for keyword in node.keywords):
        raise _Malformed(f"every argument of {node.func.id[:64]!r} must be named: argument=value")
    arguments = {}
    for keyword in node.keywords:
        try:
            value = ast.literal_eval(keyword.value)
            json.dumps(value, allow_nan=False)
        except (ValueError, TypeError, MemoryError, SyntaxError):
            raise _Malformed(f"the value of {keyword.arg!r:.64} is no plain value") from None
        arguments[str(keyword.arg)] = value
    return ToolCall(node.func.id, arguments)


def _python_of(call: ToolCall) -> str:
    return f"{call.name}({', '.join(f'{name}={value!r}' for name, value in call.arguments.items())})"
