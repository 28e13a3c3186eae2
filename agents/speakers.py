"""Who speaks in a conversation world: a model that samples, or somebody who needs no model.

A speaker takes requests and answers each when it is done. It gives token ids, because tokens are what is trained on;
the ones here write text and have it tokenised, with log-probability zero, which is right for demonstrations (nobody
divides by it).
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..envs.conversation.conversation_env import ConversationEnv
from ..envs.errors import UserError
from ..envs.vocabulary import Message, Reply, StopReason
from .rendering import Renderer


@dataclass(frozen=True)
class Request:
    """One episode that waits for a reply."""

    prompt: tuple[int, ...]  # every token so far
    messages: tuple[Message, ...]  # the same as text
    world: ConversationEnv
    rng: np.random.Generator  # this turn's own stream


@dataclass(frozen=True)
class Spoken:
    """One reply as tokens, at least one. ValueError if they and their log-probabilities do not match."""

    tokens: tuple[int, ...]  # with the stop token, where it was sampled
    logp: tuple[float, ...]  # of each token under the distribution that it was sampled from
    stop_reason: StopReason

    def __post_init__(self) -> None:
        if not 0 < len(self.tokens) == len(self.logp):
            raise ValueError(f"a reply of {len(self.tokens)} tokens with {len(self.logp)} log-probabilities")


class Speaker(Protocol):
    """Takes requests at any time and gives each reply when it is done."""

    def admit(self, key: int, request: Request) -> None:
        """Take a request, to be answered under `key`."""
        ...

    def step(self, *, greedy: bool) -> list[tuple[int, Spoken]]:
        """Do a piece of work; the replies that it finished."""
        ...

    @property
    def busy(self) -> bool:
        """Whether a reply is still owed."""
        ...

    def forget(self) -> None:
        """Every conversation is over; what was kept to go on with them is of no more use."""
        ...

    def refresh(self, version: int) -> None:
        """Speak with the current weights from now on."""
        ...


class TextSpeaker:
    """A speaker that writes text: `write(request)` gives what it says."""

    def __init__(self, renderer: Renderer, write: Callable[[Request], str]) -> None:
        self._renderer, self._write = renderer, write
        self._queue: list[tuple[int, Request]] = []

    def admit(self, key: int, request: Request) -> None:
        """Take a request."""
        self._queue.append((key, request))

    def step(self, *, greedy: bool) -> list[tuple[int, Spoken]]:
        """Every reply that is owed: its text, tokenised and closed with the stop token."""
        spoken = []
        for key, request in self._queue:
            tokens = tuple(self._renderer.encode_reply(self._write(request)))
            spoken.append((key, Spoken(tokens, (0.0,) * len(tokens), StopReason.STOP)))
        self._queue.clear()
        return spoken

    @property
    def busy(self) -> bool:
        """Whether a reply is still owed."""
        return bool(self._queue)

    def forget(self) -> None:
        """Nothing is kept."""

    def refresh(self, version: int) -> None:
        """There are no weights."""


def oracle_text(request: Request) -> str:
    """What the world's own expert would say. `UserError` if the world has none."""
    reply = request.world.oracle()
    if reply is None:
        name = type(request.world).__name__
        raise UserError(f"{name} has no oracle, so it cannot give demonstrations; write its `oracle` method")
    return reply.text if isinstance(reply, Reply) else reply


def random_text(request: Request) -> str:
    """Up to 32 printable characters."""
    letters = request.rng.choice(list(string.printable[:95]), size=int(request.rng.integers(0, 33)))
    return "".join(letters)
