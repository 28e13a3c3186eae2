"""A conversation as one chat template takes it.

A template that writes tool calls is given calls; one that does not is given the reply as it was written. Results go as
user messages where it knows no role for tools. Thoughts go where it looks for them, or stand in the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...envs.thoughts import Marks
from ...envs.vocabulary import Message
from .template_habits import Habits, styled

Shown = dict[str, Any]
_OWN = ("written", "parse_error", "reasoning_content")  # fields of ours


def view(messages: Sequence[Message], habits: Habits, marks: Marks, *, calls: bool = True) -> list[Shown]:
    """`messages` as the template of these `habits` is shown them; with `calls` False all calls are text."""
    shown: list[Shown] = []
    asked: set[str] = set()  # ids of calls that the template has been shown as calls
    for message in messages:
        if message["role"] == "assistant":
            shown.append(_reply(message, habits, marks, calls=calls))
            asked |= {call.get("id", "") for call in shown[-1].get("tool_calls", ())}
        elif message["role"] == "tool" and not _has_a_role(message, habits, asked):
            name = message.get("name")
            words = f"{name}: {message['content']}" if name else message["content"]
            _add_to_user(shown, words, joined=bool(shown) and bool(shown[-1].get("result")))
        elif shown and shown[-1].get("result") and message["role"] == "user":
            _add_to_user(shown, message["content"], joined=True)
        else:
            shown.append({key: value for key, value in message.items() if value is not None and key not in _OWN})
    return [{key: value for key, value in one.items() if key != "result"} for one in shown]


def _has_a_role(message: Message, habits: Habits, asked: set[str]) -> bool:
    if message.get("tool_call_id", "") in asked:
        return habits.tool_role
    return habits.lone_tool


def _add_to_user(shown: list[Shown], words: str, *, joined: bool) -> None:
    """Two user messages in a row are refused by many templates."""
    if joined:
        shown[-1]["content"] += "\n" + words
    else:
        shown.append({"role": "user", "content": words, "result": True})


def _reply(message: Message, habits: Habits, marks: Marks, *, calls: bool) -> Shown:
    shown: Shown = {"role": "assistant", "content": message["content"]}
    made, thought = message.get("tool_calls") or [], message.get("reasoning_content")
    if thought and habits.thought_key:
        shown[habits.thought_key] = thought
    in_text = thought and not habits.thought_key and habits.keeps_thoughts
    if made and calls and habits.calls and (habits.several or len(made) == 1):
        shown["tool_calls"] = [styled(call, habits.arguments) for call in made]
        before = f"{marks[0]}{thought}{marks[1]}\n\n" if in_text else ""
        shown["content"] = before + message["content"] or habits.empty
    elif in_text:
        shown["content"] = message.get("written", message["content"])
    elif made:
        written = message.get("written", message["content"])
        shown["content"] = written.rpartition(marks[1])[2].lstrip() if thought else written
    return shown


def without_speech_beside_calls(shown: Sequence[Mapping[str, Any]], habits: Habits) -> list[Shown]:
    """For templates that take a thought beside calls or words, and not both (gpt-oss)."""
    key = habits.thought_key
    return [
        {**one, "content": habits.empty} if one.get("tool_calls") and key and one.get(key) else dict(one)
        for one in shown
    ]


def one_call_each(messages: Sequence[Message]) -> list[Message]:
    """The same with a reply for each call, and its result behind it, for templates that know no more."""
    parted: list[Message] = []
    rest = list(messages)
    while rest:
        message = rest.pop(0)
        calls = message.get("tool_calls") or []
        if len(calls) < 2:
            parted.append(message)
            continue
        results: list[Message] = []
        while rest and rest[0]["role"] == "tool":
            results.append(rest.pop(0))
        for number, call in enumerate(calls):
            alone = message if number == 0 else Message(role="assistant", content="")
            parted.append({**alone, "tool_calls": [call]})
            parted += [result for result in results if result.get("tool_call_id") == call.get("id")]
        ids = {call.get("id") for call in calls}
        parted += [result for result in results if result.get("tool_call_id") not in ids]
    return parted
