"""An engine that works in a thread of its own: everything about that thread, and nothing about models.

    submit, release, load ─▶ inbox ─▶ │ admit, forget, adopt;  step, step, … while it is busy │ ─▶ futures
                                      └─ the thread

Orders are carried out in the order in which they were given, between any two steps. The thread begins with the first
one, and ends with `close`, with the engine (when nobody holds it any more) or with the interpreter. If the work raises,
the engine has died: every owed future and every later order says so.
"""

from __future__ import annotations

import itertools
import threading
import traceback
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

import torch

from ....envs.errors import UserError
from ...protocols import Completion, EngineDied, Request, Sampling, Weights

Order = Callable[[], None]  # run in the engine's thread
Inbox = SimpleQueue[tuple["ThreadedEngine", Order] | None]  # None: the end


class ThreadedEngine(ABC):
    """An `Engine`, given what one does in a single thread: the abstract methods, all of which run in that thread.

    A ticket is the number under which a reply is owed.
    """

    def __init__(self, sampling: Sampling) -> None:
        self.sampling = sampling
        self._inbox: Inbox = SimpleQueue()
        self._tickets = itertools.count()
        self._lock = threading.Lock()  # over the next three
        self._owed: dict[int, Future[Any]] = {}
        self._end: EngineDied | None = None  # why nothing is answered any more
        self._stop: Callable[[], object] | None = None  # ends the thread, once there is one

    @abstractmethod
    def admit(self, requests: Sequence[tuple[int, Request]]) -> None:
        """Take what one call has brought, each with its ticket."""

    @property
    @abstractmethod
    def busy(self) -> bool:
        """Whether there is something to step."""

    @abstractmethod
    def step(self) -> list[tuple[int, Completion]]:
        """A small piece of work; the replies that it finished."""

    @abstractmethod
    def drop(self, tickets: Sequence[int]) -> None:
        """Nobody wants these replies any more."""

    @abstractmethod
    def forget(self, conversations: Sequence[int]) -> None:
        """These conversations are over."""

    @abstractmethod
    def adopt(self, weights: Weights) -> None:
        """Speak with these weights from now on; nothing is being answered. ValueError if they do not fit."""

    # --- in the caller's thread ---------------------------------------------------------------------------

    def submit(self, requests: Sequence[Request]) -> list[Future[Completion]]:
        """As `Engine.submit`."""
        owed = [self._owe() for _ in requests]
        taken = [(ticket, request) for (ticket, _), request in zip(owed, requests, strict=True)]
        if taken:
            self._send(lambda: self.admit(taken))
        return [future for _, future in owed]

    def release(self, conversations: Iterable[int]) -> None:
        """As `Engine.release`."""
        over = list(conversations)
        if over and self._stop is not None:
            self._send(lambda: self.forget(over))

    def load(self, weights: Weights) -> None:
        """As `Engine.load`."""
        ticket, loaded = self._owe()
        self._send(lambda: self._load(ticket, weights))
        loaded.result()

    def close(self) -> None:
        """As `Engine.close`; the thread has ended when this returns."""
        self._finish("the engine was closed")
        if self._stop is not None:
            self._stop()

    def _owe(self) -> tuple[int, Future[Any]]:
        """A new ticket and its future. `EngineDied` if nothing is answered any more."""
        with self._lock:
            if self._end is not None:
                raise again(self._end)
            ticket, future = next(self._tickets), Future[Any]()
            self._owed[ticket] = future
            return ticket, future

    def _send(self, order: Order) -> None:
        """Give the thread an order, with the caller's number of torch threads, which is another in each thread."""
        threads = torch.get_num_threads()

        def as_asked() -> None:
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
            order()

        with self._lock:
            if self._end is not None:
                return  # closed meanwhile, and what was owed has been told so
            if self._stop is None:
                thread = threading.Thread(target=_work, args=(self._inbox,), name="engine", daemon=True)
                thread.start()
                self._stop = weakref.finalize(self, _end_work, self._inbox, thread)
            self._inbox.put((self, as_asked))

    # --- in the thread ------------------------------------------------------------------------------------

    def serve(self, order: Order) -> None:
        """Carry out an order, and work until there is nothing more to do."""
        try:
            if self._end is None:
                order()
            while self.busy and self._end is None:
                self._advance()
                while not self._inbox.empty():  # nobody else takes from it
                    given = self._inbox.get()
                    if given is None:  # the interpreter ends
                        self._inbox.put(None)
                        return self._finish("the engine was closed")
                    given[1]()
        except UserError as mistake:
            self._finish(str(mistake), mistake)
        except BaseException as problem:  # nobody else would hear of it
            self._finish(f"the engine has died:\n{traceback.format_exc()}", problem)

    def unwanted(self, tickets: Sequence[int]) -> list[bool]:
        """Which of these replies nobody waits for any more: for work that takes long between two orders."""
        with self._lock:
            owed = [None if self._end is not None else self._owed.get(ticket) for ticket in tickets]
        return [future is None or future.cancelled() for future in owed]

    def _load(self, ticket: int, weights: Weights) -> None:
        while self.busy and self._end is None:
            self._advance()
        if self._end is not None:
            return
        try:
            self.adopt(weights)
        except ValueError as misfit:
            self._settle(ticket, misfit)
        else:
            self._settle(ticket, None)

    def _advance(self) -> None:
        """Forget what was cancelled, do a piece of work, and give the replies that it finished."""
        with self._lock:
            cancelled = [ticket for ticket, future in self._owed.items() if future.cancelled()]
        if cancelled:
            self.drop(cancelled)
            for ticket in cancelled:
                self._settle(ticket, None)
        if self.busy:
            for ticket, completion in self.step():
                self._settle(ticket, completion)

    def _settle(self, ticket: int, result: object) -> None:
        """Give the future of `ticket` its result, unless it was cancelled or the engine closed."""
        with self._lock:
            future = self._owed.pop(ticket, None)
        if future is not None and future.set_running_or_notify_cancel():
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _finish(self, why: str, problem: BaseException | None = None) -> None:
        """Answer nothing any more, and tell everybody who is owed something."""
        with self._lock:
            if self._end is not None:
                return
            self._end = EngineDied(why)
            self._end.__cause__ = problem
            owed, self._owed = list(self._owed.values()), {}
        for future in owed:
            if future.set_running_or_notify_cancel():
                future.set_exception(again(self._end))


def again(end: EngineDied) -> EngineDied:
    """The same for another thread: an exception that is raised in several collects the tracebacks of all."""
    copy = EngineDied(str(end))
    copy.__cause__ = end.__cause__
    return copy


def _work(inbox: Inbox) -> None:
    """The thread. It holds the engine only while there is work, so that one that nobody wants any more ends it."""
    with torch.no_grad():
        while (given := inbox.get()) is not None:
            given[0].serve(given[1])
            del given


def _end_work(inbox: Inbox, thread: threading.Thread) -> None:
    inbox.put(None)
    if thread is not threading.current_thread():
        thread.join()
