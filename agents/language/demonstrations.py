"""Where a demonstration stands in a conversation: before it, as if somebody had just been through the same."""

from __future__ import annotations

from collections.abc import Sequence

from ...envs.vocabulary import Message


def shown(demonstration: Sequence[Message], messages: Sequence[Message]) -> list[Message]:
    """A conversation in which `messages` come once more, after somebody has shown how it is done: `demonstration` is a
    whole episode that opened alike. What the world says last is left out, unless a tool answers; so is what the system
    says a second time."""
    before = list(demonstration)
    while before and before[-1]["role"] not in ("assistant", "tool"):
        before.pop()
    return [*before, *(message for message in messages if message["role"] != "system" or not before)]
