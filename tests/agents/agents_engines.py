"""Guests at the door of engines: one that says what it is told, one that answers in disorder, two that die."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future

import numpy as np

from peripatos.agents.language.engines.threaded import ThreadedEngine
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.protocols import Completion, Distribution, Engine, EngineDied, Request, Sampling, Weights
from peripatos.envs.vocabulary import StopReason


class Told(ThreadedEngine):
    """Says given token ids, with log-probability −1: `say(turn)` for the turn-th reply of a conversation."""

    def __init__(self, say: Callable[[int], Sequence[int]], stop_id: int) -> None:
        super().__init__(Sampling(Distribution(), frozenset([stop_id])))
        self._say, self._turns, self._version = say, Counter[int](), 0
        self._queue: list[tuple[int, Request]] = []
        self.seen: list[tuple[int, ...]] = []

    def admit(self, requests: Sequence[tuple[int, Request]]) -> None:
        self._queue += requests
        self.seen += [request.prompt for _, request in requests]

    @property
    def busy(self) -> bool:
        return bool(self._queue)

    def step(self) -> list[tuple[int, Completion]]:
        spoken = []
        for ticket, request in self._queue:
            ids = tuple(self._say(self._turns[request.conversation]))[: request.limit]
            self._turns[request.conversation] += 1
            reason = StopReason.STOP if ids[-1] in self.sampling.stop_ids else StopReason.LENGTH
            spoken.append((ticket, Completion(ids, (-1.0,) * len(ids), reason, self._version)))
        self._queue.clear()
        return spoken

    def drop(self, tickets: Sequence[int]) -> None:
        self._queue = [(ticket, request) for ticket, request in self._queue if ticket not in tickets]

    def forget(self, conversations: Sequence[int]) -> None:
        for conversation in conversations:
            self._turns.pop(conversation, None)

    def adopt(self, weights: Weights) -> None:
        self._version = weights.version


class Disordered:
    """Another engine, asked one by one after random delays, so that its answers come in any order."""

    def __init__(self, inner: Engine, seed: int, *, longest: float = 0.03) -> None:
        self._inner, self._rng, self._longest = inner, np.random.default_rng(seed), longest
        self.sampling = inner.sampling
        self._lock, self._closed = threading.Lock(), False
        self._waiting: dict[threading.Timer, Future[Completion]] = {}
        self._timers: list[threading.Timer] = []  # those too whose work is done and whose thread is about to end

    def submit(self, requests: Sequence[Request]) -> list[Future[Completion]]:
        futures = []
        for request in requests:
            future = Future[Completion]()
            timer = threading.Timer(self._longest * self._rng.random(), self._ask, (request, future))
            with self._lock:
                if self._closed:
                    raise EngineDied("closed")
                self._waiting[timer] = future
                self._timers.append(timer)
                timer.start()
            futures.append(future)
        return futures

    def _ask(self, request: Request, future: Future[Completion]) -> None:
        with self._lock:
            self._waiting = {timer: owed for timer, owed in self._waiting.items() if owed is not future}
        if future.set_running_or_notify_cancel():
            try:
                answer = self._inner.submit([request])[0]
            except EngineDied as death:
                future.set_exception(death)
            else:
                answer.add_done_callback(lambda answer: pass_on(answer, future))

    def release(self, conversations: Iterable[int]) -> None:
        self._inner.release(conversations)

    def load(self, weights: Weights) -> None:
        self._inner.load(weights)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for timer in self._timers:
            timer.cancel()
            timer.join()
        for future in self._waiting.values():  # the others were passed on
            if future.set_running_or_notify_cancel():
                future.set_exception(EngineDied("closed"))
        self._inner.close()


class Mortal(Disordered):
    """Another engine of which so many answers get lost, each with the death of whoever gave it."""

    def __init__(self, inner: Engine, seed: int, share: float) -> None:
        super().__init__(inner, seed, longest=0.005)
        self._share = share

    def submit(self, requests: Sequence[Request]) -> list[Future[Completion]]:
        futures = super().submit(requests)
        lost = self._rng.random(len(futures)) < self._share
        return [self._lost(future) if gone else future for future, gone in zip(futures, lost, strict=True)]

    @staticmethod
    def _lost(future: Future[Completion]) -> Future[Completion]:
        instead = Future[Completion]()
        future.add_done_callback(lambda _: instead.set_exception(EngineDied("the server went away")))
        return instead


class Doomed(TransformersEngine):
    """Breaks at its so-manieth step, for good."""

    steps_left = 3

    def step(self) -> list[tuple[int, Completion]]:
        self.steps_left -= 1
        if self.steps_left < 0:
            raise MemoryError("no room for keys and values")
        return super().step()


def pass_on(answer: Future[Completion], future: Future[Completion]) -> None:
    """Settle `future` as `answer` was."""
    if (problem := answer.exception()) is not None:
        future.set_exception(problem)
    else:
        future.set_result(answer.result())
