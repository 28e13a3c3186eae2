"""Who writes in a conversation world without a model: the world's own expert, a script, chance."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence

from ...envs.conversation.conversation_env import ConversationEnv
from ...envs.errors import UserError
from ...envs.seeding import generator
from ...envs.user_code import told
from ...envs.vocabulary import Message, Reply

Tools = Sequence[Mapping[str, object]]


class _Here:
    """Replies at once, and holds nothing open."""

    waits = False

    def close(self) -> None:
        """Nothing to close."""


class Oracle(_Here):
    """Says what the world's own expert would say. `UserError` if the world has none."""

    def reply(
        self, messages: Sequence[Message], tools: Tools, world: ConversationEnv, seed: int, *, greedy: bool
    ) -> Reply:
        """What it would say now."""
        reply = world.oracle()
        if reply is None:
            name = type(world).__name__
            raise UserError(f"{name} has no oracle, so it cannot give demonstrations; write its `oracle` method")
        return reply if isinstance(reply, Reply) else Reply(reply)


class Script(_Here):
    """Says what a function of the messages gives, a text or a `Reply`; a class has one object for all episodes.
    `UserError` from a reply where the function gives anything else."""

    def __init__(self, write: Callable[[Sequence[Message]], object]) -> None:
        module, name = getattr(write, "__module__", ""), getattr(write, "__qualname__", type(write).__qualname__)
        self._name = f"{module}:{name}"  # as a scenario names it, for messages
        if isinstance(write, type):
            with told(f"the script {self._name} cannot be made"):
                write = write()
        self._write = write

    def reply(
        self, messages: Sequence[Message], tools: Tools, world: ConversationEnv, seed: int, *, greedy: bool
    ) -> Reply:
        """What the function gives."""
        given = self._write(messages)
        if not isinstance(given, str | Reply):
            raise UserError(f"the script {self._name} gave {given!r:.80}; allowed are a text and a Reply")
        return given if isinstance(given, Reply) else Reply(given)


class Chance(_Here):
    """Says up to 32 printable characters."""

    def reply(
        self, messages: Sequence[Message], tools: Tools, world: ConversationEnv, seed: int, *, greedy: bool
    ) -> Reply:
        """As many as `seed` wants, and those."""
        rng = generator(seed)
        letters = rng.choice(list(string.printable[:95]), size=int(rng.integers(0, 33)))
        return Reply("".join(letters))
