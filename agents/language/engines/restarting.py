"""An engine that is replaced when it dies: another one is made, given the version of the weights, and asked again.

    submit ─▶ engine ─▶ future ─▶ outer future
                 ╳ death ─▶ a new engine, its weights, all that is owed ─▶ outer futures

A request holds its whole prompt and its seed, so a conversation goes on where it was. Policies that are not finite are
no fault of an engine's, and an engine that dies `TRIES` times without one reply between is dead for good.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future

from ....envs.errors import UserError
from ...protocols import Completion, Engine, EngineDied, PolicyNotFinite, Request, Weights
from .threaded import again

TRIES = 3
_Owed = tuple[Request, Future[Completion]]


class RestartingEngine:
    """An `Engine` that asks the latest of those that `make` makes. They share their weights' module with whoever loads:
    what was loaded is there when another one is made, and its number is all that this one is told.

    `say` is told of each death.
    """

    def __init__(self, make: Callable[[], Engine], say: Callable[[str], object]) -> None:
        self._make, self._say = make, say
        self._engine = make()
        self.sampling = self._engine.sampling
        self._weights = Weights(0)
        self._lock = threading.Lock()  # over the next four, and which engine it is
        self._lost: list[_Owed] = []
        self._reviving: threading.Thread | None = None
        self._deaths = 0  # since the last reply
        self._end: EngineDied | None = None

    def submit(self, requests: Sequence[Request]) -> list[Future[Completion]]:
        """As `Engine.submit`; it waits while an engine is being made."""
        while True:
            engine = self._current()
            try:
                answers = engine.submit(requests)
            except EngineDied as death:
                self._died(engine, death)
            else:
                owed = [(request, Future[Completion]()) for request in requests]
                for one, answer in zip(owed, answers, strict=True):
                    self._pass_on(engine, one, answer)
                return [future for _, future in owed]

    def release(self, conversations: Iterable[int]) -> None:
        """As `Engine.release`."""
        self._engine.release(conversations)

    def load(self, weights: Weights) -> None:
        """As `Engine.load`; where an engine dies of it, the next one has them."""
        while True:
            engine = self._current()
            try:
                engine.load(weights)
            except EngineDied as death:
                self._died(engine, death)
            else:
                self._weights = Weights(weights.version)
                return

    def close(self) -> None:
        """As `Engine.close`."""
        with self._lock:
            self._end = self._end or EngineDied("the engine was closed")
            reviving = self._reviving
        self._engine.close()
        if reviving is not None:
            reviving.join()
            self._engine.close()
        self._ask_again()

    def _current(self) -> Engine:
        """The engine, if need be when it is there. `EngineDied` where none will be."""
        with self._lock:
            reviving = self._reviving
        if reviving is not None:
            reviving.join()
        with self._lock:
            if self._end is not None:
                raise again(self._end)
            return self._engine

    def _pass_on(self, engine: Engine, owed: _Owed, answer: Future[Completion]) -> None:
        """The outer future becomes what the inner one does, or is owed anew; cancelled, it cancels the inner one."""
        outer = owed[1]

        def heard(answer: Future[Completion]) -> None:
            if answer.cancelled():
                return
            problem = answer.exception()
            if isinstance(problem, EngineDied):
                with self._lock:
                    self._lost.append(owed)
                self._died(engine, problem)
                self._ask_again()
            elif outer.set_running_or_notify_cancel():
                if problem is not None:
                    outer.set_exception(problem)
                else:
                    self._deaths = 0
                    outer.set_result(answer.result())

        outer.add_done_callback(lambda outer: answer.cancel() if outer.cancelled() else None)
        answer.add_done_callback(heard)

    def _died(self, engine: Engine, death: EngineDied) -> None:
        """Have another one made in the place of `engine`, unless somebody has seen to it."""
        with self._lock:
            if self._end is not None or self._reviving is not None or engine is not self._engine:
                return
            self._deaths += 1
            if isinstance(death.__cause__, PolicyNotFinite | UserError) or self._deaths >= TRIES:
                self._end = death
                return
            self._reviving = threading.Thread(target=self._revive, args=(death,), name="revival", daemon=True)
            self._reviving.start()

    def _revive(self, death: EngineDied) -> None:
        """In a thread of its own: the dead one may still be telling its futures in its own."""
        self._say(f"an engine has died, and another is made: {str(death).strip().splitlines()[-1]}")
        self._engine.close()
        try:
            engine = self._make()
            engine.load(self._weights)
        except Exception as problem:  # whatever it takes to make one
            with self._lock:
                self._end = self._end or (problem if isinstance(problem, EngineDied) else EngineDied(str(problem)))
        else:
            with self._lock:
                self._engine = engine
        with self._lock:
            self._reviving = None
        self._ask_again()

    def _ask_again(self) -> None:
        """Ask the engine for what got lost, or say that nothing will come; nothing, while an engine is being made."""
        with self._lock:
            if self._reviving is not None:
                return None
            (lost, self._lost), engine, end = (self._lost, []), self._engine, self._end
        lost = [one for one in lost if not one[1].cancelled()]
        if end is None and lost:
            try:
                answers = engine.submit([request for request, _ in lost])
            except EngineDied as death:
                with self._lock:
                    self._lost += lost
                self._died(engine, death)
                return self._ask_again()
            for one, answer in zip(lost, answers, strict=True):
                self._pass_on(engine, one, answer)
        elif end is not None:
            for _, outer in lost:
                if outer.set_running_or_notify_cancel():
                    outer.set_exception(again(end))
        return None
