"""Conversations that somebody has written down, as a world whose expert says what was said: demonstrations for `sft`.

    {"messages": [{"role": "user", …}, {"role": "assistant", "tool_calls": […], …}, {"role": "tool", …}, …],
     "tools": [JSON schemas]}
    {"conversations": [{"from": "human", "value": …}, {"from": "gpt", "value": …}]}      ShareGPT
    {"prompt": …, "completion": …}                                                       texts, or lists of messages

The first is what `peripatos export` writes; a column `system` is the first message. An episode opens with all that
stands before the first reply; whatever is replied, the world goes on as it is written. Calls are written as the agent's
model writes them, and thoughts (`reasoning_content`) between <think> and </think>. A reply whose `weight` is 0 (as
OpenAI's fine-tuning files say it) is given like what is asked: nobody learns it. What stands behind the last reply to
learn is left out. `logp`, beside a reply's `content` or a text `completion`, is how likely the whole reply was under
who wrote it, in nats. What says that it is of the `split` test or validation is held out: nobody learns from it.

Replies have no reward here: they are weighed by the method, and only what the assistant says is learned.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from ..errors import UserError, nearest, unknown
from ..tools import call_formats
from ..vocabulary import Episode, Message, Reply, StopReason, ToolCall
from .conversation_env import SPLITS, ConversationEnv, Opening, Outcome, Split
from .task_columns import kind_of, read_message, role_of
from .task_rows import strange_characters
from .task_source import Picked, Placed, TaskSource, placed_tasks

_LIKELIHOOD = re.compile("logps?|logpr(ob.*)?")  # other names of `logp`
_KEYS = ("messages", "conversations", "prompt", "completion", "tools", "logp")


class _MaySaySplit(Protocol):
    @property
    def split(self) -> Split | None: ...


Row = TypeVar("Row", bound=_MaySaySplit)


@dataclass(frozen=True)
class Chat:
    """One conversation: messages up to its last reply to learn, and the tools that could be called."""

    place: str
    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...]
    split: Split | None = None  # None: nobody has said
    given: frozenset[int] = frozenset()  # numbers of the replies that are not to be learned

    def is_said(self, number: int) -> bool:
        """Whether that message is a reply to learn."""
        return self.messages[number]["role"] == "assistant" and number not in self.given


class WrittenWorld(ConversationEnv):
    """Conversations that are written down, said again by the oracle; which of them an episode is, subclasses say."""

    splits = ("train",)
    endless_after = None
    reward_version = "1"
    _written: tuple[object, ...] = ()  # what `len` counts, and siblings share

    def __len__(self) -> int:
        return len(self._written)

    def _to_learn(self, read: Sequence[Row], what: str) -> list[Row]:
        """As `to_learn`; what is to be said becomes a remark of the world."""
        kept, remarks = to_learn(read, what)
        self.remarks += remarks
        return kept

    def another(self) -> Self | None:
        """A sibling that shares the conversations."""
        return self.sibling()

    def begin(self, chat: Chat, at: int = 0) -> Opening:
        """An episode that opens with the messages up to the first reply from number `at` on."""
        self._chat, self._at = chat, at
        self._form = call_formats.reply_format(self.agent_format or "hermes", chat.tools)
        return Opening([*chat.messages[:at], *self._until_a_reply()], task=chat.place, tools=chat.tools)

    def respond(self, reply: Reply) -> Outcome:
        said = self._chat.messages[self._at]
        ids = {
            call.get("id"): heard.id for call, heard in zip(said.get("tool_calls", ()), reply.tool_calls, strict=False)
        }
        self._at += 1
        new = [_renamed(message, ids) for message in self._until_a_reply()]
        return Outcome(new, terminated=self._at >= len(self._chat.messages))

    def oracle(self) -> Reply:
        """What was said here."""
        return reply_in(self._chat.messages[self._at])

    def read(self, text: str) -> Reply:
        return self._form.parse(text) if self._chat.tools else Reply(text)

    def write(self, reply: Reply) -> str:
        text = self._form.write(reply.text, reply.tool_calls) if reply.tool_calls else reply.text
        return f"<think>\n{reply.thought}\n</think>\n\n{text}" if reply.thought else text

    def _until_a_reply(self) -> list[Message]:
        """The messages from here to the next reply, which is then here."""
        begin = self._at
        while self._at < len(self._chat.messages) and not self._chat.is_said(self._at):
            self._at += 1
        return list(self._chat.messages[begin : self._at])


class ChatWorld(WrittenWorld):
    """Conversations of a file, a data set or a list.

    Args:
        chats: see `task_source`; each row is a conversation in one of the forms of the module's docstring.
        split: as for `TaskWorld`: one split of them.

    Raises:
        UserError: a source that cannot be read, or a row that is no conversation with a reply.
    """

    def __init__(self, chats: TaskSource, split: Picked | None = None) -> None:
        super().__init__()
        read = [read_chat(place, row) for place, row in placed_rows(chats, split)]
        self._written = self._chats = tuple(self._to_learn(read, "conversations"))
        if not self._chats:
            raise UserError("there is no conversation to learn from")
        said = [(chat.place, "\n".join(message["content"] for message in chat.messages)) for chat in self._chats]
        self.remarks += tuple(strange_characters(said, "conversations"))
        silent = [chat for chat in self._chats if any(map(_is_silent, chat.messages))]
        if silent:
            many = f"{len(silent)} of {len(self._chats)} conversations"
            self.remarks += (
                f"{silent[0].place}: a reply is empty (in {many}): who learns from it learns to say nothing",
            )

    def opening(self, rng: np.random.Generator, split: Split) -> Opening:
        return self.begin(self.pick(self._chats, rng))


def to_learn(read: Sequence[Row], what: str) -> tuple[list[Row], tuple[str, ...]]:
    """Those that nobody holds out; the others are counted in a remark. `UserError` where all are held out."""
    kept = [row for row in read if row.split in (None, "train")]
    if read and not kept:
        raise UserError(
            f'all {len(read)} {what} say "split": "test" or "validation", and such rows are held out; name one '
            'split to learn from it all the same (FILE:test), or mark rows with "split": "train"'
        )
    if len(kept) == len(read):
        return kept, ()
    out = f"{len(read) - len(kept):,} of {len(read):,} {what}"
    return kept, (f'{out} say "split": "test" or "validation", and are held out',)


def placed_rows(source: TaskSource, split: Picked | None) -> list[Placed]:
    """The rows of a source and where they stand, for messages: of a list no tasks, and texts are no prompts."""
    placed = placed_tasks(source, split, alone="text")
    return [(re.sub(r"\btask (?=\d+$)", "row ", place), row) for place, row in placed]


class PlayedWorld(WrittenWorld):
    """Episodes that were played, said again: group g of any run is number g of them. A reply that was cut is again;
    what the assistant said before the first turn is of the opening."""

    def __init__(self, episodes: Sequence[Episode]) -> None:
        super().__init__()
        self._written = self._episodes = tuple(episodes)

    def opening(self, rng: np.random.Generator, split: Split) -> Opening:
        assert self._place is not None, "asked by run and group alone"
        episode = self._episodes[self._place[1]]
        said = [n for n, message in enumerate(episode.messages) if message["role"] == "assistant"]
        self._was_cut = episode.stop_reason == StopReason.LENGTH
        return self.begin(Chat(episode.task, episode.messages[: said[-1] + 1], ()), said[-episode.turns :][0])

    def oracle(self) -> Reply:
        reply, is_last = super().oracle(), self._at == len(self._chat.messages) - 1
        return replace(reply, stop_reason=StopReason.LENGTH) if self._was_cut and is_last else reply


def _is_silent(message: Message) -> bool:
    if message["role"] != "assistant":
        return False
    reply = reply_in(message)
    return not (reply.text.strip() or reply.tool_calls or reply.thought.strip())


def reply_in(message: Message) -> Reply:
    """The reply that stands in a message."""
    calls = tuple(
        ToolCall(call["function"]["name"], call["function"]["arguments"], str(call.get("id", "")))
        for call in message.get("tool_calls", ())
    )
    return Reply(message["content"], calls, thought=message.get("reasoning_content", ""), logp=message.get("logp"))


def read_chat(place: str, row: Mapping[str, Any] | str) -> Chat:
    """The conversation in a row. `UserError`, with its place, for what is none."""
    if not isinstance(row, Mapping):
        text = "the text " if isinstance(row, str) else ""
        raise UserError(f"{place}: a conversation is a mapping with messages, not {text}{row!r:.60}")
    if {"turn_rewards", "stop_reason"} <= set(row):
        raise UserError(
            f"{place} is an episode that a run kept, whether it was solved or not; peripatos export FILE --out "
            "chats.jsonl writes those that were, without replies that were cut"
        )
    listed = _messages(place, row)
    messages = [_checked(f"{place}, message {n}", message) for n, message in enumerate(listed)]
    said = [n for n, message in enumerate(messages) if message["role"] == "assistant"]
    if not said:
        raise UserError(f"{place}: nobody replies in this conversation: it has no message of the assistant")
    if said[0] == 0:
        raise UserError(f"{place}: this conversation begins with a reply, and nothing is asked before it")
    given = frozenset(n for n in said if not _weight(f"{place}, message {n}", listed[n]))
    if len(given) == len(said):
        raise UserError(f"{place}: each reply in this conversation has weight 0, so that there is nothing to learn")
    last = max({*said} - given)
    tools = _tools(place, row.get("tools"))
    return Chat(
        place, tuple(messages[: last + 1]), tools, split_said(place, row), frozenset(n for n in given if n < last)
    )


def split_said(place: str, row: Mapping[str, Any]) -> Split | None:
    """The split that a row says. `UserError`, with its place, where there is none of that name."""
    split = row.get("split")
    if split not in (None, *SPLITS):
        raise UserError(f"{place}: {unknown('split', str(split), SPLITS)}")
    return split


def _messages(place: str, row: Mapping[str, Any]) -> list[Any]:
    given = row.get("messages", row.get("conversations"))
    _check_likelihood(place, row)
    if row.get("logp") is not None and (given is not None or not isinstance(row.get("completion"), str)):
        raise UserError(f"{place}: logp stands beside a completion that is a text; of messages in that of the reply")
    if given is None and "prompt" in row and "completion" in row:
        given = [*_listed(row["prompt"], "user"), *_listed(row["completion"], "assistant", row.get("logp"))]
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
    system = row.get("system")
    if isinstance(system, str) and system.strip() and role_of(given[0]) != "system":
        return [{"role": "system", "content": system}, *given]
    return list(given)


def _listed(given: Any, role: str, logp: Any = None) -> list[Any]:
    return list(given) if isinstance(given, list | tuple) else [{"role": role, "content": given, "logp": logp}]


def _checked(what: str, given: Any) -> Message:
    """A message whose calls have a name and arguments, already parsed."""
    message = read_message(what, given)
    if message["role"] == "assistant":
        _check_likelihood(what, given)
    logp = message.get("logp", 0.0)
    if isinstance(logp, bool) or not isinstance(logp, int | float) or not -math.inf < logp <= 0:
        raise UserError(f"{what}: its logp is {logp!r:.60}; allowed is a number of nats, at most 0, of the whole reply")
    message.pop("weight", None)  # pyright: ignore[reportCallIssue, reportArgumentType]
    calls = message.get("tool_calls", [])
    if not isinstance(calls, list | tuple):
        raise UserError(f"{what}: tool_calls are {calls!r:.60}; allowed is a list of calls")
    if calls:
        message["tool_calls"] = [_call(f"{what}, call {n}", call) for n, call in enumerate(calls)]
    elif "tool_calls" in message:
        del message["tool_calls"]
    return message


def _weight(what: str, message: Mapping[str, Any]) -> int:
    """Whether a reply is learned, 1, or given, 0."""
    weight = message.get("weight")
    if weight is not None and (isinstance(weight, bool) or weight not in (0, 1)):
        raise UserError(f"{what}: its weight is {weight!r:.60}; allowed are 1, it is learned, and 0, it is not")
    return 1 if weight is None else int(weight)


def _check_likelihood(what: str, given: Mapping[str, Any]) -> None:
    """UserError where how likely a reply was stands under another name, under which nobody would read it."""
    for name in (key for key, value in given.items() if value is not None and key != "logp"):
        letters = re.sub("[^a-z]", "", str(name).lower())
        if _LIKELIHOOD.fullmatch(letters) or sorted(letters) == sorted("logp"):
            raise UserError(f"{what} has {name!r}, which nobody reads; how likely the whole reply was is its 'logp'")


def _call(what: str, call: Any) -> dict[str, Any]:
    function = call.get("function", call) if isinstance(call, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(name, str) or not name:
        raise UserError(f'{what} is {call!r:.80}; a call is {{"function": {{"name": "…", "arguments": {{…}}}}}}')
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        arguments = _json(f"{what}: its arguments", arguments)
    if not isinstance(arguments, Mapping):
        raise UserError(f"{what}: its arguments are {arguments!r:.80}; allowed is an object by name")
    said = {"name": name, "arguments": _without_nulls(arguments)}
    return {"id": str(call.get("id") or ""), "type": "function", "function": said}


def _without_nulls(value: Any) -> Any:
    """A value of JSON without keys that are null: tables fill so what other rows have. A schema that allows null may
    say it as its default."""
    if isinstance(value, list | tuple):
        return [_without_nulls(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    kept = {"default"} if "null" in str(value.get("anyOf") or value.get("type")) else set[str]()
    return {key: _without_nulls(one) for key, one in value.items() if one is not None or key in kept}


def _tools(place: str, given: Any) -> tuple[Mapping[str, Any], ...]:
    listed = _json(f"{place}: tools", given) if isinstance(given, str) and given.strip() else given or []
    if not isinstance(listed, list | tuple) or not all(isinstance(tool, Mapping) for tool in listed):
        raise UserError(f"{place}: tools are {given!r:.80}; allowed is a list of JSON schemas of functions")
    listed = _without_nulls(listed)
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


def _renamed(message: Message, ids: Mapping[Any, str]) -> Message:
    """An answer of a tool to the call as it is numbered here."""
    name = ids.get(message.get("tool_call_id"))
    return message if not name else Message(**{**message, "tool_call_id": name})  # pyright: ignore[reportArgumentType]
