"""Calls that are JSON objects with a name: between tags, bare, or in a list."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ...vocabulary import ToolCall
from .guarded import CLOSE, OPEN, Guarded, Malformed, call_from, joined, json_at, json_of, skip_space

_PYTHON_TAG = "<|python_tag|>"
_TOOL_CALLS = "[TOOL_CALLS]"


class Hermes(Guarded):
    """JSON objects between tags."""

    reads = (OPEN, CLOSE)

    def _parsed(self, text: str) -> tuple[str, list[ToolCall]]:
        said, calls, position = [], [], 0
        while (opened := text.find(OPEN, position)) >= 0:
            said.append(text[position:opened])
            value, position = json_at(text, opened + len(OPEN))
            calls.append(call_from(value, "arguments"))
            position = skip_space(text, position)
            if not text.startswith(CLOSE, position):
                raise Malformed(f"a tool call is not closed: {CLOSE} is missing after its JSON")
            position += len(CLOSE)
        said.append(text[position:])
        if any(CLOSE in part for part in said):
            raise Malformed(f"{CLOSE} without {OPEN} before it")
        return "".join(said), calls

    def write(self, text: str, calls: Sequence[ToolCall]) -> str:
        """See `ReplyFormat.write`."""
        return joined(text, [f"{OPEN}\n{json_of(call, 'arguments')}\n{CLOSE}" for call in calls])

    def explain(self) -> str:
        """See `ReplyFormat.explain`."""
        example = '{"name": "the tool", "arguments": {"the argument": "its value"}}'
        return f"To call a tool, write {OPEN}{example}{CLOSE}."


class Llama3(Guarded):
    """A reply that begins with `{` is nothing but JSON objects."""

    reads = (_PYTHON_TAG,)

    def _parsed(self, text: str) -> tuple[str, list[ToolCall]]:
        body = text.strip().removeprefix(_PYTHON_TAG).lstrip()
        if not body.startswith("{"):
            if _PYTHON_TAG in text:
                raise Malformed(f"after {_PYTHON_TAG} a JSON object is expected")
            return text, []
        calls, position = [], 0
        while position < len(body):
            value, position = json_at(body, position)
            calls.append(call_from(value, "parameters"))
            position = skip_space(body, position)
            if position < len(body):
                if body[position] != ";":
                    raise Malformed(f"unexpected text after a tool call: {body[position : position + 40]!r}")
                position = skip_space(body, position + 1)
        return "", calls

    def write(self, text: str, calls: Sequence[ToolCall]) -> str:
        """Text beside calls has no place in this format and is left out."""
        return "; ".join(json_of(call, "parameters") for call in calls) if calls else text

    def explain(self) -> str:
        """See `ReplyFormat.explain`."""
        example = '{"name": "the tool", "parameters": {"the argument": "its value"}}'
        return f"To call a tool, reply with nothing but {example}."


class Mistral(Guarded):
    """A list of JSON objects behind a token; newer models write `[TOOL_CALLS]name[ARGS]{…}` for each."""

    reads = (_TOOL_CALLS,)

    def _parsed(self, text: str) -> tuple[str, list[ToolCall]]:
        said, *parts = text.split(_TOOL_CALLS)
        calls: list[ToolCall] = []
        for part in parts:
            body = part.strip()
            if body.startswith("["):
                value, end = json_at(body, 0)
                assert isinstance(value, list), "it begins with ["
                calls += [call_from(one, "arguments") for one in value]
            else:
                name, brace, _ = body.partition("{")
                name = name.partition("[CALL_ID]")[0].partition("[ARGS]")[0].strip()
                if not brace or not name:
                    raise Malformed(f"after {_TOOL_CALLS} a list of JSON objects is expected, not {body[:40]!r}")
                value, end = json_at(body, body.index("{"))
                calls.append(call_from({"name": name, "arguments": value}, "arguments"))
            if body[end:].strip():
                raise Malformed(f"unexpected text after a tool call: {body[end : end + 40]!r}")
        return said, calls

    def write(self, text: str, calls: Sequence[ToolCall]) -> str:
        """See `ReplyFormat.write`; a call bears its id, if it has one."""
        written = [
            {"name": call.name, "arguments": dict(call.arguments), **({"id": call.id} if call.id else {})}
            for call in calls
        ]
        return text + (f"{_TOOL_CALLS}{json.dumps(written, ensure_ascii=False)}" if calls else "")

    def explain(self) -> str:
        """See `ReplyFormat.explain`."""
        example = '{"name": "the tool", "arguments": {"the argument": "its value"}}'
        return f"To call a tool, write {_TOOL_CALLS}[{example}]."
