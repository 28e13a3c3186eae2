"""Conversations as rows have them: the forms, what each key means, and what is refused with its place.

    {"messages": [{"role": "user", …}, {"role": "assistant", "tool_calls": […], …}, {"role": "tool", …}, …],
     "tools": [JSON schemas]}
    {"conversations": [{"from": "human", "value": …}, {"from": "gpt", "value": …}]}      ShareGPT
    {"prompt": …, "completion": …}                                                       texts, or lists of messages

The first is what `peripatos export` writes; a column `system` is the first message. A reply whose `weight` is 0 (as
OpenAI's fine-tuning files say it) is given like what is asked, as are those of a `prompt`: nobody learns them. What
stands behind the last reply to learn is left out, and so is a row whose own `weight` is 0. `train: false` (axolotl) is
such a weight, and `function_call` with `functions` OpenAI's older form of calls. `logp`, beside a reply's
`content` or a text `completion`, is how likely the whole reply was under who wrote it, in nats.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import UserError, nearest, unknown
from ..vocabulary import Message, Reply, ToolCall
from .conversation_env import SPLITS, Split
from .filled_nulls import arguments_without_fillers, schema_without_fillers
from .task_columns import kind_of, read_message, role_of, system_said

_LIKELIHOOD = re.compile("logps?|logpr(ob.*)?")  # other names of `logp`
_IS_LEARNED = ("train", "training", "loss")  # of axolotl and of ms-swift
_LABEL = re.compile("labels?|kto.*|(is)?(un)?desirable|preferences?|(is)?preferred")  # of replies, good or bad
_KEYS = ("messages", "conversations", "prompt", "completion", "tools", "logp")


@dataclass(frozen=True)
class Chat:
    """One conversation: messages up to its last reply to learn, and the tools that could be called."""

    place: str
    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...]
    split: Split | None = None  # None: nobody has said
    given: frozenset[int] = frozenset()  # numbers of the replies that are not to be learned
    weight: int = 1  # of the row: 0 where nothing in it is to be learned

    def is_said(self, number: int) -> bool:
        """Whether that message is a reply to learn."""
        return self.messages[number]["role"] == "assistant" and number not in self.given


def reply_in(message: Message) -> Reply:
    """The reply that stands in a message."""
    calls = tuple(
        ToolCall(call["function"]["name"], call["function"]["arguments"], str(call.get("id", "")))
        for call in message.get("tool_calls", ())
    )
    return Reply(message["content"], calls, thought=message.get("reasoning_content", ""), logp=message.get("logp"))


def read_chat(place: str, row: Mapping[str, Any] | str) -> Chat:
    """The conversation in a row. `UserError`, with its place, for what is none."""
    try:
        return _read(place, row)
    except RecursionError:
        raise UserError(f"{place}: a call or a tool of this conversation is nested too deeply to be read") from None


def _read(place: str, row: Mapping[str, Any] | str) -> Chat:
    if not isinstance(row, Mapping):
        text = "the text " if isinstance(row, str) else ""
        raise UserError(f"{place}: a conversation is a mapping with messages, not {text}{row!r:.60}")
    if {"turn_rewards", "stop_reason"} <= set(row):
        raise UserError(
            f"{place} is an episode that a run kept, whether it was solved or not; peripatos export FILE --out "
            "chats.jsonl writes those that were, without replies that were cut"
        )
    listed, asked = _messages(place, row)
    tools = _tools(place, row.get("functions") if row.get("tools") is None else row["tools"])
    schemas = {tool["function"]["name"]: tool["function"].get("parameters") for tool in tools}
    messages = [_checked(f"{place}, message {n}", message, schemas) for n, message in enumerate(listed)]
    _check_system(place, row, messages[0])
    said = [n for n, message in enumerate(messages) if message["role"] == "assistant"]
    if not said:
        raise UserError(f"{place}: nobody replies in this conversation: it has no message of the assistant")
    if said[0] == 0:
        raise UserError(f"{place}: this conversation begins with a reply, and nothing is asked before it")
    if said[-1] < asked:
        raise UserError(f"{place}: nobody replies in this completion, and of a prompt no reply is learned")
    given = frozenset(n for n in said if n < asked or _is_given(f"{place}, message {n}", listed[n]))
    if len(given) == len(said):
        raise UserError(f"{place}: each reply in this conversation has weight 0, so that there is nothing to learn")
    last = max({*said} - given)
    given = frozenset(n for n in given if n < last)
    return Chat(place, tuple(messages[: last + 1]), tools, split_said(place, row), given, weight_said(place, row))


def split_said(place: str, row: Mapping[str, Any]) -> Split | None:
    """The split that a row says. `UserError`, with its place, where there is none of that name."""
    split = row.get("split")
    if split not in (None, *SPLITS):
        raise UserError(f"{place}: {unknown('split', str(split), SPLITS)}")
    return split


def weight_said(what: str, said: Mapping[str, Any]) -> int:
    """Whether a reply, or a row, is learned, 1, or given, 0."""
    weight = said.get("weight")
    if weight is not None and (isinstance(weight, bool) or weight not in (0, 1)):
        raise UserError(f"{what}: its weight is {weight!r:.60}; allowed are 1, it is learned, and 0, it is not")
    return 1 if weight is None else int(weight)


def _is_given(what: str, message: Mapping[str, Any]) -> bool:
    """Whether a reply says that it is not to be learned: by its weight, or by false as other trainers' files do."""
    weight = weight_said(what, message)
    for name in (name for name in _IS_LEARNED if message.get(name) is not None):
        if not isinstance(message[name], bool):
            raise UserError(f"{what}: its {name} is {message[name]!r:.60}; allowed are true, it is learned, and false")
        if message.get("weight") is not None and bool(weight) != message[name]:
            raise UserError(
                f"{what}: its {name} is {str(message[name]).lower()}, and its weight {weight}; leave one out"
            )
        weight = weight and int(message[name])
    return not weight


def _messages(place: str, row: Mapping[str, Any]) -> tuple[list[Any], int]:
    """The messages of a row, and how many of them are its prompt, of which nothing is learned."""
    row = {key: value for key, value in row.items() if value is not None}  # tables fill so what other rows have
    given = row.get("messages", row.get("conversations"))
    _check_likelihood(place, row)
    _check_labels(place, row)
    if row.get("logp") is not None and (given is not None or not isinstance(row.get("completion"), str)):
        raise UserError(f"{place}: logp stands beside a completion that is a text; of messages in that of the reply")
    asked: list[Any] = []
    if given is None and "prompt" in row and "completion" in row:
        asked = _listed(row["prompt"], "user")
        given = [*asked, *_listed(row["completion"], "assistant", row.get("logp"))]
    if given is not None and not isinstance(given, list | tuple):
        raise UserError(f"{place}: its messages are {given!r:.60} ({kind_of(given)}); allowed is a list of messages")
    if not given:
        keys = list(map(str, row))
        odd = [key for key in keys if key not in _KEYS]
        raise UserError(
            f"{place} has no list of messages; it has {', '.join(map(repr, keys)) or 'no key at all'}. Give its "
            "messages as 'messages' or 'conversations' (ShareGPT), or two texts, 'prompt' and 'completion'."
            f"{nearest('messages', odd) or nearest('conversations', odd)}"
        )
    system = system_said(place, row)
    if system is not None and role_of(given[0]) != "system":
        return [{"role": "system", "content": system}, *given], len(asked) + 1 if asked else 0
    return list(given), len(asked)


def _listed(given: Any, role: str, logp: Any = None) -> list[Any]:
    return list(given) if isinstance(given, list | tuple) else [{"role": role, "content": given, "logp": logp}]


def _checked(what: str, given: Any, schemas: Mapping[str, Any]) -> Message:
    """A message whose calls have a name and arguments, already parsed. `schemas`: of the tools' parameters, by name."""
    message = read_message(what, given)
    if message["role"] == "assistant":
        _check_likelihood(what, given)
    logp = message.get("logp", 0.0)
    if isinstance(logp, bool) or not isinstance(logp, int | float) or not -math.inf < logp <= 0:
        raise UserError(f"{what}: its logp is {logp!r:.60}; allowed is a number of nats, at most 0, of the whole reply")
    for name in ("weight", *_IS_LEARNED):
        message.pop(name, None)  # pyright: ignore[reportCallIssue, reportArgumentType]
    calls = message.get("tool_calls", [])
    if not isinstance(calls, list | tuple):
        raise UserError(f"{what}: tool_calls are {calls!r:.60}; allowed is a list of calls")
    if calls:
        message["tool_calls"] = [_call(f"{what}, call {n}", call, schemas) for n, call in enumerate(calls)]
    elif "tool_calls" in message:
        del message["tool_calls"]
    return message


def _check_likelihood(what: str, given: Mapping[str, Any]) -> None:
    """UserError where how likely a reply was stands under another name, under which nobody would read it."""
    for name in (key for key, value in given.items() if value is not None and key != "logp"):
        letters = re.sub("[^a-z]", "", str(name).lower())
        if _LIKELIHOOD.fullmatch(letters) or sorted(letters) == sorted("logp"):
            raise UserError(f"{what} has {name!r}, which nobody reads; how likely the whole reply was is its 'logp'")


def _check_system(place: str, row: Mapping[str, Any], first: Message) -> None:
    """UserError where the column `system` and the first message, which it is, differ."""
    system = system_said(place, row)
    if system is not None and first["content"].strip() != system.strip():
        raise UserError(f"{place} begins with a system message, and its column 'system' gives another; leave one out")


def _check_labels(place: str, row: Mapping[str, Any]) -> None:
    """UserError where a row says whether its reply is good, as for KTO: here each reply is imitated."""
    for name in (key for key, value in row.items() if value is not None):
        if _LABEL.fullmatch(re.sub("[^a-z]", "", str(name).lower())):
            raise UserError(
                f"{place} has {name!r}, which nobody reads: what a row replies is imitated, good or bad. Leave bad "
                'rows out, or write "weight": 0 in its place; a column of another meaning needs another name'
            )


def _call(what: str, call: Any, schemas: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function", call) if isinstance(call, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(name, str) or not name:
        raise UserError(f'{what} is {call!r:.80}; a call is {{"function": {{"name": "…", "arguments": {{…}}}}}}')
    given = function.get("arguments") or {}
    arguments = _json(f"{what}: its arguments", given) if isinstance(given, str) else given
    if not isinstance(arguments, Mapping):
        raise UserError(f"{what}: its arguments are {arguments!r:.80}; allowed is an object by name")
    kept = arguments if isinstance(given, str) else arguments_without_fillers(arguments, schemas.get(name))
    said = {"name": name, "arguments": kept}
    return {"id": str(call.get("id") or ""), "type": "function", "function": said}


def _tools(place: str, given: Any) -> tuple[Mapping[str, Any], ...]:
    is_text = isinstance(given, str) and bool(given.strip())
    listed = _json(f"{place}: tools", given) if is_text else given or []
    if not isinstance(listed, list | tuple) or not all(isinstance(tool, Mapping) for tool in listed):
        raise UserError(f"{place}: tools are {given!r:.80}; allowed is a list of JSON schemas of functions")
    listed = listed if is_text else schema_without_fillers(listed)
    tools = [tool if "function" in tool else {"type": "function", "function": tool} for tool in listed]
    for tool in tools:
        if not isinstance(tool["function"], Mapping) or not isinstance(tool["function"].get("name"), str):
            raise UserError(f"{place}: a tool is {tool!r:.80}, which has no name")
    return tuple(tools)


def _json(what: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{what} are no JSON: {text!r:.60} ({error})") from error
