"""What a chat template does with the parts of a conversation, found out by trying it on words that none writes itself.

Templates differ in whether they know a tool's role, write calls (and want their arguments as an object or as text), and
under which name they look for thoughts. Some raise at what they do not know, others drop it without a word.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...envs.tools.call_formats import MODEL_FORMATS, reply_format
from ...envs.vocabulary import ToolCall

ASKED, SAID, HEARD, THOUGHT, RULE = "Qzvx", "Jkwy", "Hbnt", "Vbnm", "Rfgd"
FIRST, SECOND = 7391846, 6182953  # arguments of calls
NAME = "frobnicate"
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": NAME,
        "description": "Frobnicate.",
        "parameters": {"type": "object", "properties": {"amount": {"type": "integer"}}, "required": ["amount"]},
    },
}
CALL = ToolCall(NAME, {"amount": FIRST})
USER = {"role": "user", "content": ASKED}
ASSISTANT = {"role": "assistant", "content": SAID}
_THINKING = {"role": "assistant", "content": f"<think>\n{THOUGHT}\n</think>\n\n{SAID}"}
THOUGHT_KEYS = ("reasoning_content", "thinking", "reasoning")
_LATER = ("<|call|>", "<|eom_id|>", "<|observation|>", "<|tool_response>")  # what models write behind calls alone

Text = Callable[..., str | None]  # (messages, tools=(), *, prompt=False): None where the template fails


@dataclass(frozen=True)
class Habits:
    """How one template takes what a conversation is made of."""

    calls: bool  # whether it writes `tool_calls`
    arguments: str  # "object" or "text"
    empty: str | None  # the content of a message that is nothing but calls; None: it has none
    several: bool  # several calls in one message
    tool_role: bool  # whether a tool's answer to a call is shown as such
    lone_tool: bool  # a tool's answer without a call before it
    thought_key: str | None  # the field whose text it writes as a thought
    keeps_thoughts: bool  # whether a thought that stands in the text of a reply is ever shown
    system: bool
    tools: bool  # whether it shows the tools
    after_speech: str  # what it writes behind a reply, from its first character on
    after_call: str

    @classmethod
    def of(cls, text: Text) -> Habits:
        """Found by about fifteen renderings."""
        calls, arguments, empty = _call_style(text)
        style = (arguments, empty)
        one, two = (
            call_message([("c00000001", FIRST)], *style),
            call_message([("c00000001", FIRST), ("c00000002", SECOND)], *style),
        )
        answered = _shown(text, [USER, one, answer("c00000001")], (TOOL,), prompt=True) if calls else ""
        closed = (text([USER, ASSISTANT]) or "").rpartition(SAID)[2]
        going_on = _after(text([USER, ASSISTANT, {"role": "user", "content": HEARD}]), SAID, HEARD)
        return cls(
            calls=calls,
            arguments=arguments,
            empty=empty,
            several=calls and str(SECOND) in _shown(text, [USER, two], (TOOL,)),
            tool_role=HEARD in answered,
            lone_tool=HEARD in _shown(text, [USER, ASSISTANT, answer("c00000001"), ASSISTANT, USER], prompt=True),
            thought_key=_thought_key(text, one if calls else None),
            keeps_thoughts=any(THOUGHT in _shown(text, talk) for talk in ([USER, _THINKING, USER], [USER, _THINKING])),
            system=RULE in (text([{"role": "system", "content": RULE}, USER]) or ""),
            tools=NAME in (text([USER], (TOOL,), prompt=True) or ""),
            after_speech=closed.lstrip() or going_on,
            after_call=_after(answered, str(FIRST), HEARD) if HEARD in answered else "",
        )


def call_message(given: Sequence[tuple[str, int]], arguments: str, empty: str | None) -> dict[str, Any]:
    """A reply with a call for each (id, value of its argument)."""
    calls = [
        {"id": id_, "type": "function", "function": {"name": NAME, "arguments": {"amount": value}}}
        for id_, value in given
    ]
    return {"role": "assistant", "content": empty, "tool_calls": [styled(call, arguments) for call in calls]}


def styled(call: Mapping[str, Any], arguments: str) -> dict[str, Any]:
    """A call whose arguments are an object or text, as a template wants them."""
    function = dict(call["function"])
    if arguments == "text":
        function["arguments"] = json.dumps(function["arguments"], ensure_ascii=False)
    return {**call, "function": function}


def answer(id_: str) -> dict[str, Any]:
    """What the tool says to the call `id_`."""
    return {"role": "tool", "name": NAME, "tool_call_id": id_, "content": HEARD}


def _call_style(text: Text) -> tuple[bool, str, str | None]:
    for arguments in ("object", "text"):
        for empty in ("", None):
            if str(FIRST) in _shown(text, [USER, call_message([("c00000001", FIRST)], arguments, empty)], (TOOL,)):
                return True, arguments, empty
    return False, "object", ""


def _thought_key(text: Text, call: Mapping[str, Any] | None) -> str | None:
    for key in THOUGHT_KEYS:
        thinking = {**ASSISTANT, key: THOUGHT}
        if THOUGHT in _shown(text, [USER, thinking]):
            return key
        if call is not None and THOUGHT in _shown(text, [USER, {**call, key: THOUGHT}, answer("c00000001")], (TOOL,)):
            return key
    return None


def _shown(
    text: Text, messages: Sequence[Mapping[str, Any]], tools: Sequence[Any] = (), *, prompt: bool = False
) -> str:
    """What is rendered behind the user's words."""
    return (text(messages, tools, prompt=prompt) or "").partition(ASKED)[2]


def _after(text: str | None, begin: str, end: str) -> str:
    """What stands between two words."""
    return (text or "").rpartition(begin)[2].partition(end)[0]


def ends_of_calls(habits: Habits, tokens: Sequence[str], speech: str) -> str | None:
    """The token that ends a reply with calls, of `tokens`; None where the template has none of its own for it.

    It is the one that ends speech where that stands behind a call too; else one of those that end nothing but calls.
    """
    if speech in habits.after_call:
        return speech
    return next((token for token in _LATER if token in tokens and token in habits.after_call), None)


def call_format(text: Text, habits: Habits, ends: Sequence[str]) -> tuple[str | None, str]:
    """The format whose parser reads a call as the template writes it, and the text of that call; None where it writes
    none, or in no known way."""
    if not habits.calls:
        return None, ""
    call = call_message([("c00000001", FIRST)], habits.arguments, habits.empty)
    said = (text([USER, call], (TOOL,)) or "").rpartition(ASKED)[2]
    behind = said.find(str(FIRST)) + len(str(FIRST))
    end = min((at for end in ends if (at := said.find(end, behind)) >= 0), default=len(said))
    for name in MODEL_FORMATS:
        for start in (mark for mark in range(end) if said[mark] in "<{["):
            if reply_format(name, [TOOL]).parse(said[start:end]).tool_calls == (CALL,):
                return name, said[start:end]
    return None, ""
