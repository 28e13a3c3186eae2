"""Replies: which tool calls a text asks for, in the formats that models write.

    hermes    <tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>     Hermes, Qwen2.5, Qwen3, SmolLM
    llama3    {"name": "add", "parameters": {"a": 1}}                           Llama 3; several divided by ";"
    python    [add(a=1), add(1, add(a=2))]                                      Llama 4, Gemma
    mistral   [TOOL_CALLS][{"name": "add", "arguments": {"a": 1}}]              Mistral, Ministral, Magistral
    qwen3.5   <tool_call><function=add><parameter=a>1</parameter>…              Qwen3.5, Qwen3-Coder, Nemotron 3
    deepseek  <｜tool▁calls▁begin｜>…function<｜tool▁sep｜>add…                     DeepSeek-V3, R1
    harmony   <|channel|>commentary to=functions.add…<|message|>{"a": 1}        gpt-oss
    glm       <tool_call>add<arg_key>a</arg_key><arg_value>1</arg_value>…       GLM-4.5 and later
    gemma     <|tool_call>call:add{a:1}<tool_call|>                             Gemma 4
    lfm       <|tool_call_start|>[add(a=1)]<|tool_call_end|>                    LFM2, LFM2.5
    compact   <tool_call>1+2</tool_call>                                        one tool with one argument: tiny models

`parse` gives a `Reply` whose text is what was said besides the calls, or one with a `parse_error` and no call at all:
a reply that is half understood is not half executed, and a call in a form that is not read is no final answer. `write`
is its inverse. Thinking (`<think>…</think>`) is neither said nor obeyed. Nothing is evaluated; length and depth are
bounded, because text from a model is hostile. How many calls there may be is a matter of the world's (`CallDesk`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ..errors import UserError, unknown
from ..vocabulary import Reply, ToolCall
from .formats.compact import Compact
from .formats.guarded import MARKERS, MAX_REPLY
from .formats.json_calls import Hermes, Llama3, Mistral
from .formats.named_json import DeepSeek, Gemma, Harmony
from .formats.python_calls import Lfm, PythonCalls
from .formats.tagged import Glm, QwenXml

__all__ = ["FORMATS", "MARKERS", "MAX_REPLY", "MODEL_FORMATS", "ReplyFormat", "reply_format"]


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


_MAKERS: Mapping[str, Callable[[Sequence[Mapping[str, Any]]], ReplyFormat]] = {
    "hermes": lambda tools: Hermes(),
    "llama3": lambda tools: Llama3(),
    "python": PythonCalls,
    "mistral": lambda tools: Mistral(),
    "qwen3.5": QwenXml,
    "deepseek": lambda tools: DeepSeek(),
    "harmony": lambda tools: Harmony(),
    "glm": Glm,
    "gemma": lambda tools: Gemma(),
    "lfm": Lfm,
}
MODEL_FORMATS = tuple(_MAKERS)
"""Those in which chat templates write calls."""
FORMATS = (*MODEL_FORMATS, "compact")


def reply_format(name: str, tools: Sequence[Mapping[str, Any]] = ()) -> ReplyFormat:
    """The format called `name`. `tools` are schemas: they say which arguments are text, where the format does not, and
    how those are called that a Python call gives in order; "compact" needs exactly one, with one required argument.

    Raises:
        UserError: there is no such format, or it cannot call these tools.
    """
    if name in _MAKERS:
        return _MAKERS[name](tools)
    if name != "compact":
        raise UserError(unknown("reply format", str(name), FORMATS))
    functions = [tool["function"] for tool in tools]
    required = functions[0]["parameters"].get("required", []) if len(functions) == 1 else []
    if len(required) != 1:
        raise UserError("reply format 'compact' calls one tool with one required argument; use 'hermes'")
    return Compact(functions[0]["name"], required[0])
