"""One thread beside the main one, which carries out what it is given, in order, and can be told to let go of it.

Its current folder is its own (see `own_folder`): a world that steps into another one moves nobody who writes meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

from ...envs.contained import give_up
from ...envs.lost_threads import own_folder
from .disk import RunFailed

_PATIENCE = 60.0  # seconds for a world to come back from the step in which it is
T = TypeVar("T")


class OneThread:
    """What the work raises, whatever it is, comes out of its future. The interpreter does not wait for the thread."""

    def __init__(self, name: str) -> None:
        self._orders: SimpleQueue[tuple[Future[object], Callable[[], object]] | None] = SimpleQueue()
        self._given: list[Future[object]] = []  # what may not be done yet
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        """Begin with what was given."""
        self._thread.start()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """What `work` gives, in the future."""
        future: Future[T] = Future()
        self._given = [one for one in self._given if not one.done()] + [future]  # type: ignore[list-item]  # of any T
        self._orders.put((future, work))  # type: ignore[arg-type]
        return future

    def drop(self) -> None:
        """Nothing of what was given is wanted any more: returns when none of it runs. RunFailed where a world does not
        come back from its step."""
        number = self._thread.ident
        assert number is not None, "it was started"
        waiting, self._given = [one for one in self._given if not one.cancel()], []
        give_up(number)
        idle = threading.Event()
        self._orders.put((Future(), idle.set))
        came_back = idle.wait(_PATIENCE)
        give_up(number, on=False)
        if not came_back and not all(one.done() for one in waiting):
            raise RunFailed(f"a world has not come back from a step for {_PATIENCE:.0f} s")

    def close(self, seconds: float) -> bool:
        """Drop everything and end; whether that has happened within so many seconds."""
        number = self._thread.ident
        assert number is not None, "it was started"
        for one in self._given:
            one.cancel()
        give_up(number)
        self._orders.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        own_folder()
        try:
            self._carry_out()
        finally:
            give_up(threading.get_ident(), on=False)  # another thread may be given the same number

    def _carry_out(self) -> None:
        while (order := self._orders.get()) is not None:
            future, work = order
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except BaseException as problem:
                future.set_exception(problem)
            del future, work, order
