"""Where the calls of a turn are handled: what each costs, what the agent is told, how tools are described in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import UserError
from ..vocabulary import Message, Reply, StopReason, ToolCall
from . import call_formats
from .formats.nested import levels, nested_call
from .prompt_words import described_tools
from .tool import Fault, ToolBox, ToolResult, tool_message

COSTS: Mapping[str, float] = {"malformed": 0.0, "tool_error": 0.0, "tool_call": 0.0}
"""Weights of what calls cost. The terms are −1 for each malformed reply, failed call, and call."""

_MAX_LEVELS = 64  # of calls in one another's arguments


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
        malformed = self.reply.parse_error is not None
        return {"malformed": 0.0 - malformed, "tool_error": 0.0 - failed, "tool_call": 0.0 - len(self.results)}


class _OverLimit(Exception):
    """The episode has used up its calls."""


class _InnerFailed(Exception):
    """A call in the place of an argument gave no result; the message is what it said."""


@dataclass
class CallDesk:
    """Takes the replies of one episode: parses them where nobody has, executes calls, counts and limits them.

    `max_calls` is the only limit of calls, in a reply as in the episode.
    """

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
        told: list[Message] = []
        for call in reply.tool_calls:
            try:
                result = self._run(call, results)
            except _InnerFailed as failed:
                result = ToolResult(f"{call.name:.64} was not called: {failed}", Fault.ARGUMENTS)
            except _OverLimit:
                told.append(Message(role="tool", name="limit", content=self._refusal))
                return Handled(reply, tuple(told), tuple(results), over_limit=True)
            told.append(tool_message(call, result))
        return Handled(reply, tuple(told), tuple(results))

    def _run(self, call: ToolCall, results: list[tuple[ToolCall, ToolResult]]) -> ToolResult:
        """Execute one call, after those that stand in the place of its arguments; all that were made are `results`.
        _InnerFailed if one of those gave none."""
        too_deep = levels(call.arguments) > _MAX_LEVELS
        with suppress(RecursionError):  # no tool takes what is nested so deeply: the box says so
            call = call if too_deep else replace(call, arguments=self._filled(call.arguments, results))
        if self.calls == self.max_calls:
            raise _OverLimit
        self.calls += 1
        self.grant(self.box.longest(call))
        words = f"{call.name:.64} was not called: the calls in its arguments are nested too deeply"
        result = ToolResult(words, Fault.ARGUMENTS) if too_deep else self.box.run(call)
        self.faults += result.fault is not None
        results.append((call, result))
        return result

    def _filled(self, value: Any, results: list[tuple[ToolCall, ToolResult]]) -> Any:
        """An argument, with the results of the calls that stand in it."""
        if (call := nested_call(value)) is not None:
            result = self._run(call, results)
            if result.fault is not None:
                raise _InnerFailed(result.text)
            return result.value
        if isinstance(value, dict):
            return {key: self._filled(part, results) for key, part in value.items()}
        return [self._filled(part, results) for part in value] if isinstance(value, list) else value

    @property
    def _refusal(self) -> str:
        return f"no more than {self.max_calls} calls are allowed in an episode (max_calls)"

    @property
    def metrics(self) -> dict[str, float]:
        """How many calls this episode has made, and how many replies and calls of it failed."""
        return {"tool_calls": float(self.calls), "tool_faults": float(self.faults)}


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
    return described_tools(box.schemas, form.explain())
