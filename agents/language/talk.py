"""A conversation that grows: what was sampled is never rendered again.

After every turn the whole conversation is rendered once, and compared with the prompt before it and the reply:

    prompt(k + 1)  =  prompt(k) + reply + stop + delta       only the delta is new: the row goes on
                   =  prompt(k) + the same reply, spelled otherwise + stop + delta          it goes on as well
                   =  anything else                          the template rewrites what was: another row begins

so that every prompt is the template's own rendering of the same conversation, and no row ends without need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...envs.conversation.shown import shown
from ...envs.thoughts import Marks
from ...envs.vocabulary import Message, Reply, StopReason, ToolCall
from .chat_template import Renderer


class Talk:
    """The messages of one episode, and their tokens. `read` says what a reply's speech calls, as the world reads it."""

    def __init__(self, renderer: Renderer, read: Callable[[str], Reply]) -> None:
        self._renderer, self._read = renderer, read
        self.messages: list[Message] = []
        self._tools: Sequence[Mapping[str, Any]] = ()
        self._first = 0  # how many messages opened the conversation
        self._prompt = ""
        self._body, self._stop = "", ""  # of the last reply, as they stand in a rendered conversation
        self._opened: Marks | None = None
        self._native: bool | None = None  # whether the template writes calls as this world reads them
        self._calls = 0

    def begin(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> list[int]:
        """The ids of the opening."""
        self.messages, self._tools, self._first = list(messages), tools, len(messages)
        ids, self._prompt = self._renderer.begin(messages, tools)
        self._opened = self._renderer.opened(self._prompt)
        return ids

    def prompt_after(self, demonstration: Sequence[Message], told: int) -> list[int]:
        """The ids of the conversation's first `told` messages, ready for a reply, after a demonstration."""
        messages = shown(demonstration, self.messages[:told])
        if told == self._first:
            return self._renderer.opening(messages, self._tools)
        said = len(messages) - (told - self._first)
        return self._renderer.encode(
            self._renderer.prompt(messages, self._tools, said=said, calls=self._native is not False)
        )

    def write(self, text: str) -> list[int]:
        """The ids of a reply that somebody else gives, as the model would say it."""
        renderer = self._renderer
        if not text.startswith(renderer.lead) and (self._opened or "<|channel|>" in renderer.lead):
            thinks = self._opened is not None and self._opened[1] in text
            text = text if thinks or "<|channel|>" in text else renderer.lead + text
        return renderer.encode_reply(text, calls=bool(self._understood(text)[1].tool_calls))

    def take(self, tokens: Sequence[int], stop_reason: StopReason) -> Reply:
        """Append the agent's reply; what the world is to be told of it."""
        renderer, stopped = self._renderer, stop_reason is StopReason.STOP
        text = renderer.decode(tokens)
        self._body, self._stop = renderer.cut_reply(text), renderer.spell(tokens[-1:]) if stopped else ""
        thought, reply = self._understood(text)
        calls = tuple(self._numbered(call) for call in reply.tool_calls)
        message: Message = {"role": "assistant", "content": reply.text}
        if calls:
            message["tool_calls"] = [_as_message(call) for call in calls]
        if thought.strip():
            message["reasoning_content"] = thought.strip()
        if reply.parse_error is not None:
            message["parse_error"] = reply.parse_error
        if text != reply.text:
            message["written"] = text
        self.messages.append(message)
        return replace(reply, tool_calls=calls, stop_reason=stop_reason, units=len(tokens), thought=thought.strip())

    def go_on(self, new: Sequence[Message]) -> tuple[list[int], bool]:
        """The ids that follow, with `new` messages appended; and whether they are a new row's prompt."""
        self.messages += new
        if self._calls and self._native is None:
            self._native = self._renderer.writes_calls_for(self._read)
        before = self._prompt
        self._prompt = self._renderer.prompt(
            self.messages, self._tools, said=self._first, calls=self._native is not False
        )
        tail = self._tail(before)
        self._opened = self._renderer.opened(self._prompt)
        if tail is None:
            return self._renderer.encode(self._prompt), True
        return self._renderer.encode_behind(tail), False

    def _tail(self, before: str) -> str | None:
        """What the template writes behind the last reply; None where it has changed what was."""
        if not self._prompt.startswith(before):
            return None
        rest = self._prompt[len(before) :]
        if rest.startswith(self._body + self._stop):
            return rest[len(self._body + self._stop) :]
        ends = [self._stop] if self._stop else [self._renderer.spell([stop]) for stop in self._renderer.stop_ids]
        places = [(rest.find(end), len(end)) for end in ends if end in rest]
        if not places:
            return None
        at, length = min(places)
        if not self._means_the_same(rest[:at], self._body):
            return None
        return rest[at + length :] if self._stop else rest[at:]

    def _means_the_same(self, one: str, other: str) -> bool:
        (thought, reply), (second_thought, second) = self._understood(one), self._understood(other)
        return (
            thought.strip() == second_thought.strip()
            and reply.text.strip() == second.text.strip()
            and [(call.name, dict(call.arguments)) for call in reply.tool_calls]
            == [(call.name, dict(call.arguments)) for call in second.tool_calls]
            and all((mark in one) == (mark in other) for marks in self._renderer.marks for mark in marks)
        )

    def _understood(self, text: str) -> tuple[str, Reply]:
        """The thought of a reply, and what the world makes of its speech."""
        thought, spoken = self._renderer.read(text, self._opened)
        return thought, self._read(spoken)

    def _numbered(self, call: ToolCall) -> ToolCall:
        self._calls += 1
        return replace(call, id=f"call{self._calls - 1:05d}")  # some templates want nine letters


def _as_message(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": dict(call.arguments)}}
