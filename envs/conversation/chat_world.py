"""Conversations that somebody has written down, as a world whose expert says what was said: demonstrations for `sft`.

Rows are in one of the forms of `chat_rows`. An episode opens with all that stands before the first reply; whatever is
replied, the world goes on as it is written. Calls are written as the agent's model writes them, and thoughts
(`reasoning_content`) between <think> and </think>. What says that it is of the `split` test or validation is held out:
nobody learns from it.

Replies have no reward here: they are weighed by the method, and only what the assistant says is learned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from ..errors import UserError
from ..tools import call_formats
from ..vocabulary import Episode, Message, Reply, StopReason
from .chat_rows import Chat, read_chat, reply_in
from .conversation_env import ConversationEnv, Opening, Outcome, Split
from .task_rows import repeated, strange_characters
from .task_source import Picked, Placed, TaskSource, placed_tasks


class _MaySaySplit(Protocol):
    @property
    def split(self) -> Split | None: ...


Row = TypeVar("Row", bound=_MaySaySplit)


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
        placed = placed_rows(chats, split)
        read = [read_chat(place, row) for place, row in placed]
        kept = self._to_learn(read, "conversations")
        self._written = self._chats = tuple(chat for chat in kept if chat.weight)
        if not self._chats:
            why = f": all {len(kept)} have weight 0" if kept else ""
            raise UserError(f"there is no conversation to learn from{why}")
        if len(self._chats) < len(kept):
            out = f"{len(kept) - len(self._chats):,} of {len(kept):,} conversations"
            self.remarks += (f"{out} have weight 0, and are left out",)
        self.remarks += tuple(repeated(placed, "conversations"))
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


def _renamed(message: Message, ids: Mapping[Any, str]) -> Message:
    """An answer of a tool to the call as it is numbered here."""
    name = ids.get(message.get("tool_call_id"))
    return message if not name else Message(**{**message, "tool_call_id": name})  # pyright: ignore[reportArgumentType]
