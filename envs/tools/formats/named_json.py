"""Calls whose name stands before a JSON object of arguments."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from ...vocabulary import ToolCall
from .guarded import Guarded, Malformed, arguments_from, arguments_json, json_at

_BEGIN, _END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
_ONE, _ONE_END, _SEP = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>"
_TO = re.compile(r"to=functions\.(?P<name>[^\s<]+)")
_MESSAGE = "<|message|>"
_CALL, _CALL_END, _QUOTE = "<|tool_call>", "<tool_call|>", '<|"|>'


class DeepSeek(Guarded):
    """DeepSeek-V3 and R1 (`function<sep>name`, JSON in a code fence), V3.1 (`name<sep>JSON`)."""

    reads = (_BEGIN, _ONE)

    def _parsed(self, text: str) -> tuple[str, list[ToolCall]]:
        said, *parts = text.split(_ONE)
        calls = [self._call(part) for part in parts]
        said = said.replace(_BEGIN, "", 1)
        if not calls and said != text:
            raise Malformed(f"after {_BEGIN} a call is expected: {_ONE}")
        return said, calls

    @staticmethod
    def _call(part: str) -> ToolCall:
        body, closed, after = part.partition(_ONE_END)
        if not closed:
            raise Malformed(f"a tool call is not closed: {_ONE_END} is missing")
        if after.strip() not in ("", _END):
            raise Malformed(f"unexpected text after a tool call: {after.strip()[:40]!r}")
        first, apart, rest = body.partition(_SEP)
        if not apart:
            raise Malformed(f"between a tool's name and its arguments stands {_SEP}")
        name, arguments = first.strip(), rest.strip()
        if not arguments.startswith("{"):
            name, _, arguments = arguments.partition("\n")
        arguments = arguments.strip().removeprefix("```json").removesuffix("```").strip()
        value, end = json_at(arguments, 0)
        if arguments[end:].strip():
            raise Malformed(f"unexpected text after the arguments: {arguments[end : end + 40]!r}")
        return ToolCall(name.strip(), arguments_from(value, name))

    def write(self, text: str, calls: Sequence[ToolCall]) -> str:
        """See `ReplyFormat.write`."""
        written = (f"{_ONE}function{_SEP}{call.name}\n```json\n{arguments_json(call)}\n```{_ONE_END}" for call in calls)
        return text + (f"{_BEGIN}{chr(10).join(written)}{_END}" if calls else "")

    def explain(self) -> str:
        """See `ReplyFormat.explain`."""
        example = f'function{_SEP}the tool\n```json\n{{"the argument": "its value"}}\n```'
        return f"To call a tool, write {_BEGIN}{_ONE}{example}{_ONE_END}{_END}."


class Harmony(Guarded):
    """gpt-oss: a message to the tool, in the commentary channel. What is said stands in the channel `final`."""

    reads = ("to=functions.",)

    def _parsed(self, text: str) -> tuple[str, list[ToolCall]]:
        said, calls, position = [], [], 0
        while (found := _TO.search(text, position)) is not None:
            said.append(_without_header(text[position : found.start()]))
            begun = text.find(_MESSAGE, found.end())
            if begun < 0:
                raise Malformed(f"a call of {found['name'][:64]!r} has no {_MESSAGE} before its arguments")
            value, position = json_at(text, begun + len(_MESSAGE))
            calls.append(ToolCall(found["name"], arguments_from(value, found["name"])))
            for end in ("<|call|>", "<|end|>"):
                if text.startswith(end, position):
                    position += len(end)
        said.append(text[position:])
        return "".join(said).removeprefix("<|channel|>final<|message|>"), calls

    def write(self, text: str, calls: Sequence[ToolCall]) -> str:
        """See `ReplyFormat.write`; what is said beside calls stands before them, as a thought."""
        if not calls:
            return f"<|channel|>final{_MESSAGE}{text}"
        before = f"<|channel|>analysis{_MESSAGE}{text}<|end|><|start|>assistant" if text else ""
        written = (
            f" to=functions.{call.name}<|channel|>commentary json{_MESSAGE}{arguments_json(call)}" for call in calls
        )
        return before + "<|call|><|start|>assistant".join(written)

    def explain(self) -> str:
        """See `ReplyFormat.explain`."""
        example = json.dumps({"the argument": "its value"})
        return (
            f"To call a tool, write <|channel|>commentary to=functions.the_tool <|constrain|>json{_MESSAGE}{example}."
        )


class Gemma(Guarded):
    """Gemma 4: `<|tool_call>call:add{a:1,word:<|"|>x<|"|>}<tool_call|>`; as in JSON, but for the quotes."""

    reads = (_CALL,)

    def _parsed(self, text: str) -> tuple[str, list[ToolCall]]:
        said, *parts = text.split(_CALL)
        calls: list[ToolCall] = []
        for part in parts:
            name, brace, rest = part.partition("{")
            if not brace or not name.startswith("call:"):
                raise Malformed(f"{_CALL} is followed by call:NAME{{…}}, not by {part[:40]!r}")
            written, closed, after = rest.rpartition(_CALL_END)
            if not closed:
                raise Malformed(f"a tool call is not closed: {_CALL_END} is missing")
            value, _ = json_at(_quoted("{" + written), 0)
            name = name.removeprefix("call:").strip()
            calls.append(ToolCall(name, arguments_from(value, name)))
            said += after
        return said, calls

    def write(self, text: str, calls: Sequence[ToolCall]) -> str:
        """See `ReplyFormat.write`."""
        return text + "".join(f"{_CALL}call:{call.name}{_unquoted(dict(call.arguments))}{_CALL_END}" for call in calls)

    def explain(self) -> str:
        """See `ReplyFormat.explain`."""
        return f"To call a tool, write {_CALL}call:the_tool{{the_argument:{_QUOTE}its value{_QUOTE}}}{_CALL_END}."


def _quoted(text: str) -> str:
    """JSON from text with bare keys and quotes of its own."""
    parts = text.split(_QUOTE)
    bare = [re.sub(r"([{,]\s*)([^\s\"{}\[\],:]+)(\s*:)", r'\1"\2"\3', part) for part in parts[::2]]
    texts = [json.dumps(part, ensure_ascii=False) for part in parts[1::2]]
    return "".join(piece for pair in zip(bare, [*texts, ""], strict=False) for piece in pair)


def _unquoted(value: object) -> str:
    if isinstance(value, str):
        return f"{_QUOTE}{value}{_QUOTE}"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_unquoted(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_unquoted, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _without_header(text: str) -> str:
    """Without the words that open a message to a tool."""
    text = text.rstrip()
    channel = text.removesuffix("commentary").rstrip()
    if text.endswith("commentary") and channel.endswith("<|channel|>"):
        text = channel.removesuffix("<|channel|>").rstrip()
    return text.removesuffix("<|start|>assistant")
