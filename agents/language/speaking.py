"""Who replies in conversations, as scheduling sees it: a future for each reply, whoever gives it.

an engine   draws tokens; all that is asked in one call is one admission
an author   writes text, which is tokenised. Its tokens share the log-probability that is noted of the reply evenly, and
            have zero (μ = 1) where none is. Authors write here and now, in the order of their worlds, or in threads
            where somebody waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Protocol

from ...envs.lost_threads import in_thread
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
    """Replies of an author: here and now, or with `threads` by so many for each call, which nobody has to wait for."""

    def __init__(self, author: Author, threads: int) -> None:
        self._author, self._threads = author, threads

    def ask(self, conversations: Sequence[Conversation], greedy: bool) -> list[Future[Completion]]:
        """Each of them written."""
        owed = [Future[Completion]() for _ in conversations]
        works = deque(
            (future, partial(self._write, one, greedy)) for future, one in zip(owed, conversations, strict=True)
        )
        for _ in range(min(self._threads, len(works))):
            in_thread(partial(_settle, works), "author")
        if not self._threads:
            _settle(works)
        return owed

    def release(self, conversations: Sequence[Conversation]) -> None:
        """Nothing is kept."""

    def _write(self, conversation: Conversation, greedy: bool) -> Completion:
        told = tuple(conversation.messages)
        reply = self._author.reply(told, conversation.tools, conversation.world, conversation.reply_seed, greedy=greedy)
        tokens = tuple(conversation.write(reply))
        if reply.stop_reason is StopReason.LENGTH and len(tokens) > 1:
            tokens = tokens[:-1]  # nobody has said the stop token
        each = (reply.logp or 0.0) / max(1, len(tokens))
        return Completion(tokens, (each,) * len(tokens), reply.stop_reason, conversation.version)


def _settle(works: deque[tuple[Future[Completion], Callable[[], Completion]]]) -> None:
    """Do what is there, but for what was cancelled."""
    while works:
        try:
            future, work = works.popleft()
        except IndexError:  # somebody else has taken the last one
            return
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(work())
            except Exception as problem:
                future.set_exception(problem)
