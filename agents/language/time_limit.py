"""A limit of time for what has none of its own, such as an answer that comes byte by byte."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, do: Callable[[], T]) -> T:
    """What `do` gives, or raises; `TimeoutError` where it takes longer, and then nobody waits for it any more."""
    said: Future[T] = Future()

    def work() -> None:
        try:
            said.set_result(do())
        except BaseException as problem:  # for whoever waits
            said.set_exception(problem)

    threading.Thread(target=work, name="request", daemon=True).start()
    return said.result(seconds)
