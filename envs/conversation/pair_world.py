"""Pairs of replies of which somebody prefers one, as a world whose expert says one side: what `dpo` learns from.

    {"prompt": …, "chosen": …, "rejected": …}                texts, or lists of messages; with "tools" if need be
    {"chosen": [messages], "rejected": [messages]}            two whole conversations that begin alike

The first of the columns `prompt`, `question` and `problem` is the prompt. A list that begins with anything but a reply
is a whole conversation, whatever the prompt says. An episode opens with all that both sides have in common up to a
reply, and ends with the side's last; what is common is learned from neither side. The chosen side earns 1, the other 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np

from ..errors import UserError, nearest
from ..vocabulary import Reply
from .chat_world import Chat, WrittenWorld, placed_rows, read_chat
from .conversation_env import Opening, Outcome, Split
from .task_columns import PROMPTS
from .task_source import Picked, TaskSource

Side = Literal["chosen", "rejected"]
_SIDES: tuple[Side, Side] = ("chosen", "rejected")


@dataclass(frozen=True)
class Pair:
    """Two conversations with equal messages before number `asked`, which is a reply in both."""

    chosen: Chat
    rejected: Chat
    asked: int


class PairWorld(WrittenWorld):
    """Pairs of a file, a data set or a list, of which the oracle says one side.

    Args:
        pairs: see `task_source`; each row is a pair in one of the forms of the module's docstring.
        split: as for `TaskWorld`: one split of them.

    Raises:
        UserError: a source that cannot be read, or the first row that is no pair of replies.
    """

    weights: Mapping[str, float] = {"preferred": 1.0}
    side: Side = "chosen"

    def __init__(self, pairs: TaskSource, split: Picked | None = None) -> None:
        super().__init__()
        self._written = self._pairs = tuple(read_pair(place, row) for place, row in placed_rows(pairs, split))
        if not self._pairs:
            raise UserError("there is no pair to learn from")

    def on_side(self, side: Side) -> Self:
        """A sibling that shares the pairs, and whose oracle says that side."""
        other = self.sibling()
        other.side = side
        return other

    def opening(self, rng: np.random.Generator, split: Split) -> Opening:
        pair = self.pick(self._pairs, rng)
        return self.begin(pair.chosen if self.side == "chosen" else pair.rejected, pair.asked)

    def respond(self, reply: Reply) -> Outcome:
        outcome = super().respond(reply)
        won = outcome.terminated and self.side == "chosen"
        return Outcome(outcome.messages, terms={"preferred": float(won)}, terminated=outcome.terminated)


def read_pair(place: str, row: Mapping[str, Any] | str) -> Pair:
    """The pair in a row. `UserError`, with its place, for what is none."""
    if isinstance(row, str):
        raise UserError(f"{place}: a pair is a mapping with chosen and rejected, not the text {row!r:.60}")
    for side in _SIDES:
        if side in row and row[side] is None:
            raise UserError(f"{place}: {side!r} is null; a pair has two replies")
        if side not in row:
            raise UserError(f"{place} has no {side!r}; it has {_keys(row)}.{nearest(side, _others(row))}")
    chosen, rejected = (_conversation(place, row, side) for side in _SIDES)
    said = zip(chosen.messages, rejected.messages, strict=False)
    alike = next((n for n, (one, other) in enumerate(said) if one != other), None)
    if alike is None and len(chosen.messages) == len(rejected.messages):
        raise UserError(f"{place}: chosen and rejected are equal, so that nothing is preferred")
    if alike is None:
        raise UserError(
            f"{place}: one of chosen and rejected only goes on where the other ends; both reply to one prompt"
        )
    if not all(chat.messages[alike]["role"] == "assistant" for chat in (chosen, rejected)):
        raise UserError(
            f"{place}: chosen and rejected differ in message {alike}, which is no reply: their prompts differ"
        )
    return Pair(replace(chosen, place=place), replace(rejected, place=place), alike)  # one task


def _conversation(place: str, row: Mapping[str, Any], side: Side) -> Chat:
    """The prompt and one side."""
    given, tools = row[side], {"tools": row["tools"]} if row.get("tools") is not None else {}
    if isinstance(given, list | tuple) and not _begins_with_a_reply(given):
        return read_chat(f"{place}, {side}", {"messages": given, **tools})
    asked = next((name for name in PROMPTS if row.get(name) is not None), None)
    if asked is None:
        raise UserError(f"{place} has no 'prompt'; it has {_keys(row)}.{nearest('prompt', _others(row))}")
    return read_chat(f"{place}, {side}", {"prompt": row[asked], "completion": given, **tools})


def _begins_with_a_reply(messages: list[Any] | tuple[Any, ...]) -> bool:
    first = messages[0] if messages else None
    role = first.get("role", first.get("from")) if isinstance(first, Mapping) else None
    return role in ("assistant", "gpt")


def _keys(row: Mapping[str, Any]) -> str:
    return ", ".join(repr(str(key)) for key in row) or "no key at all"


def _others(row: Mapping[str, Any]) -> list[str]:
    return [str(key) for key in row if key not in (*_SIDES, *PROMPTS, "tools")]
