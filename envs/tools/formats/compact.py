"""The shortest call: one tool with one argument, of which only the value is written."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ...vocabulary import ToolCall
from .guarded import CLOSE, OPEN, Guarded, Malformed, joined


class Compact(Guarded):
    """The tool and its argument are known, so that only the value is written."""

    reads = (OPEN, CLOSE)

    def __init__(self, tool: str, argument: str) -> None:
        self._tool, self._argument = tool, argument

    def _parsed(self, text: str) -> tuple[str, list[ToolCall]]:
        first, *rest = text.split(OPEN)
        said, calls = [first], []
        for part in rest:
            value, closed, after = part.partition(CLOSE)
            if not closed:
                raise Malformed(f"a tool call is not closed: {CLOSE} is missing")
            calls.append(ToolCall(self._tool, {self._argument: value}))
            said.append(after)
        if any(CLOSE in part for part in said):
            raise Malformed(f"{CLOSE} without {OPEN} before it")
        return "".join(said), calls

    def write(self, text: str, calls: Sequence[ToolCall]) -> str:
        """See `ReplyFormat.write`."""
        values = [call.arguments.get(self._argument, json.dumps(dict(call.arguments))) for call in calls]
        return joined(text, [f"{OPEN}{value}{CLOSE}" for value in values], between="")

    def explain(self) -> str:
        """See `ReplyFormat.explain`."""
        return f"To use the {self._tool}, write {OPEN}{self._argument}{CLOSE}."
