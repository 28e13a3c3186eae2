"""Where the calls of a turn are handled: what each costs, what the agent is told, how tools are described in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import UserError
from ..vocabulary import Message, Reply, StopReason, ToolCall
from . import call_formats
from .tool import Fault, ToolBox, ToolResult, tool_message

COSTS: Mapping[str, float] = {"malformed": 0.0, "tool_error": 0.0, "tool_call": 0.0}
"""Weights of what calls cost. The terms are −1 for each malformed reply, failed call, and call."""


@dataclass(frozen=True)
class Handled:
    """One reply after its calls were executed."""

    reply: Reply  # parsed
    messages: tuple[Message, ...] = ()  # results of the calls, or what was wrong with them
    results: tuple[tuple[ToolCall, ToolResult], ...] = ()
    over_limit: bool = False  # a call was refused because the episode has used up its calls

    @property
    def final(self) -> bool:
        """Nothing was called, and nothing went wrong in trying: this is something said."""
        return not self.messages

    @property
    def stop_reason(self) -> StopReason | None:
        """Why the episode is cut, where it is."""
        return StopReason.TOOL_LIMIT if self.over_limit else None

    @property
    def terms(self) -> dict[str, float]:
        """What the calls cost: see `COSTS`."""
        failed = sum(result.fault is not None for _, result in self.results)
        malformed = bool(self.messages and not self.results)
        return {"malformed": 0.0 - malformed, "tool_error": 0.0 - failed, "tool_call": 0.0 - len(self.results)}


@dataclass
class CallDesk:
    """Takes the replies of one episode: parses them where nobody has, executes calls, counts and limits them."""

    box: ToolBox
    form: call_formats.ReplyFormat
    max_calls: int
    grant: Callable[[float], None] = lambda seconds: None  # told before each call how long it may take
    calls: int = field(default=0, init=False)
    faults: int = field(default=0, init=False)

    def take(self, reply: Reply) -> Handled:
        """Execute the calls of `reply`, in their order. With a malformed one among them, none is executed."""
        if not reply.tool_calls and reply.parse_error is None:
            parsed = self.form.parse(reply.text)
            calls = tuple(replace(call, id=f"call{self.calls + n:05d}") for n, call in enumerate(parsed.tool_calls))
            thought = parsed.thought or reply.thought
            reply = replace(parsed, tool_calls=calls, thought=thought, stop_reason=reply.stop_reason, units=reply.units)
        if reply.parse_error is not None:
            self.faults += 1
            words = f"{reply.parse_error}. Nothing was called. {self.form.explain()}"
            return Handled(reply, (Message(role="tool", name=Fault.MALFORMED.value, content=words),))
        results: list[tuple[ToolCall, ToolResult]] = []
        for call in reply.tool_calls:
            if self.calls == self.max_calls:
                refusal = Message(role="tool", name="limit", content=f"no more than {self.max_calls} calls are allowed")
                return Handled(reply, (*_told(results), refusal), tuple(results), over_limit=True)
            self.calls += 1
            self.grant(self.box.longest(call))
            result = self.box.run(call)
            self.faults += result.fault is not None
            results.append((call, result))
        return Handled(reply, _told(results), tuple(results))

    @property
    def metrics(self) -> dict[str, float]:
        """How many calls this episode has made, and how many replies and calls of it failed."""
        return {"tool_calls": float(self.calls), "tool_faults": float(self.faults)}


def _told(results: list[tuple[ToolCall, ToolResult]]) -> tuple[Message, ...]:
    return tuple(tool_message(call, result) for call, result in results)


def checked_limit(name: str, value: int) -> int:
    """`value`, if it is a whole number from 1; `UserError` otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(f"{name} is {value!r:.80}; allowed is a whole number, 1 or greater")
    return value


def checked_share(name: str, value: float) -> float:
    """A share from 0 to 1. `UserError` names what is not."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise UserError(f"{name} is {value!r:.80}; allowed is a share from 0 to 1")
    return value


def describe_tools(box: ToolBox, form: call_formats.ReplyFormat) -> str:
    """The tools in words, for the prompt of a model whose chat template does not show them."""
    lines = [_described(schema["function"]) for schema in box.schemas]
    return "\n".join(["Tools:", *lines, form.explain()])


def _described(function: Mapping[str, Any]) -> str:
    """`- switch(room, on): Switch a lamp.`, with the values that may be chosen from, where they are listed."""
    properties: Mapping[str, Mapping[str, Any]] = function["parameters"].get("properties", {})
    names = (
        name + (f"={'|'.join(map(str, schema['enum']))}" if "enum" in schema else "")
        for name, schema in properties.items()
    )
    return f"- {function['name']}({', '.join(names)}): {function['description']}"
