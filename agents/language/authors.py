"""Who writes in a conversation world without a model: the world's own expert, a script, chance.

An author stands where an engine stands, and so it gives token ids, because tokens are what is trained on: it writes
text and has it tokenised, with log-probability zero, which is right for demonstrations (nobody divides by it).
"""

from __future__ import annotations

import string
from collections.abc import Callable

from ...envs.errors import UserError
from ...envs.vocabulary import Reply, StopReason
from ..protocols import Completion, Request
from .chat_template import Renderer


class Author:
    """Writes text where an engine samples tokens: `write(request)` gives what it says."""

    def __init__(self, renderer: Renderer, write: Callable[[Request], str]) -> None:
        self._renderer, self._write = renderer, write
        self._queue: list[tuple[int, Request]] = []

    def submit(self, key: int, request: Request) -> None:
        """Take a request."""
        self._queue.append((key, request))

    def step(self, *, greedy: bool) -> list[tuple[int, Completion]]:
        """Every reply that is owed: its text, tokenised and closed with the stop token."""
        spoken = []
        for key, request in self._queue:
            tokens = tuple(self._renderer.encode_reply(self._write(request)))
            spoken.append((key, Completion(tokens, (0.0,) * len(tokens), StopReason.STOP)))
        self._queue.clear()
        return spoken

    @property
    def busy(self) -> bool:
        """Whether a reply is still owed."""
        return bool(self._queue)

    def release(self) -> None:
        """Nothing is kept."""

    def refresh(self, version: int) -> None:
        """There are no weights."""


def oracle_author(request: Request) -> str:
    """What the world's own expert would say. `UserError` if the world has none."""
    reply = request.world.oracle()
    if reply is None:
        name = type(request.world).__name__
        raise UserError(f"{name} has no oracle, so it cannot give demonstrations; write its `oracle` method")
    return reply.text if isinstance(reply, Reply) else reply


def random_author(request: Request) -> str:
    """Up to 32 printable characters."""
    letters = request.rng.choice(list(string.printable[:95]), size=int(request.rng.integers(0, 33)))
    return "".join(letters)
