"""Who replies in conversations, as scheduling sees it: a future for each reply, whoever gives it.

an engine   draws tokens; all that is asked in one call is one admission
an author   writes text, which is tokenised with log-probability zero: right for demonstrations, since nobody
            divides by it. Authors write here and now, in the order of their worlds, or in threads where worlds wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Protocol

from ...envs.vocabulary import StopReason
from ..protocols import Author, Completion, Engine, Request
from .running_conversation import Conversation


class Speaker(Protocol):
    """Who replies."""

    def ask(self, conversations: Sequence[Conversation], greedy: bool) -> list[Future[Completion]]:
        """The next reply of each, in order; there is room for at least one token."""
        ...

    def release(self, conversations: Sequence[Conversation]) -> None:
        """They are over."""
        ...


class Drawn:
    """Replies of an engine, of at most `max_tokens` and as far as the context goes."""

    def __init__(self, engine: Engine, *, context: int, max_tokens: int | None) -> None:
        self._engine, self._context, self._max_tokens = engine, context, max_tokens

    def ask(self, conversations: Sequence[Conversation], greedy: bool) -> list[Future[Completion]]:
        """One call of the engine."""
        return self._engine.submit([self._request(conversation, greedy) for conversation in conversations])

    def release(self, conversations: Sequence[Conversation]) -> None:
        """What the engine remembers of them is of no more use."""
        self._engine.release([conversation.number for conversation in conversations])

    def _request(self, conversation: Conversation, greedy: bool) -> Request:
        prompt = tuple(conversation.tokens)
        room = self._context - len(prompt)
        limit = room if self._max_tokens is None else min(room, self._max_tokens)
        return Request(conversation.number, prompt, limit, conversation.reply_seed, greedy)


class Written:
    """Replies of an author; in the threads of `executor`, if there is one."""

    def __init__(self, author: Author, executor: Executor | None) -> None:
        self._author, self._executor = author, executor

    def ask(self, conversations: Sequence[Conversation], greedy: bool) -> list[Future[Completion]]:
        """Each of them written."""
        if self._executor is not None:
            return [self._executor.submit(self._write, conversation) for conversation in conversations]
        return [_done(self._write, conversation) for conversation in conversations]

    def release(self, conversations: Sequence[Conversation]) -> None:
        """Nothing is kept."""

    def _write(self, conversation: Conversation) -> Completion:
        told = tuple(conversation.messages)
        reply = self._author.reply(told, conversation.tools, conversation.world, conversation.reply_seed)
        tokens = tuple(conversation.write(reply))
        return Completion(tokens, (0.0,) * len(tokens), StopReason.STOP, conversation.version)


def _done(write: Callable[[Conversation], Completion], conversation: Conversation) -> Future[Completion]:
    """A future that is settled already."""
    future = Future[Completion]()
    try:
        future.set_result(write(conversation))
    except Exception as problem:
        future.set_exception(problem)
    return future
