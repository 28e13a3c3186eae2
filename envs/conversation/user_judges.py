"""Functions of a user's that judge replies: called one after the other, or side by side where they wait.

A function that computes is called in place. One that is `async`, or is seen to wait (for a server, another process),
or has a deadline, is called for many replies at once: coroutines in one event loop of the process, others in threads.
What it returns is the same, and so is the run, bit for bit; it must only bear to be called from several threads.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from ..contained import is_ours
from ..errors import UserError
from ..lost_threads import in_thread
from ..user_code import described
from ..vocabulary import WorldFailure

AT_ONCE = 64
DEADLINE = 60.0  # seconds
_WAITED = 0.2  # seconds of a call in which nothing was computed,
_IDLE = 0.95  # and which were nearly all of it: what computes is interrupted too, where others use the same cores


class UserJudge:
    """How a function that judges is called; shared by all worlds that call the same.

    Args:
        name: of the function, for messages.
        at_once: most replies that it judges at once; 1: always one after the other, in place. None: `AT_ONCE`, as soon
            as it is seen to wait.
        deadline: seconds for one judgement; None: `DEADLINE`, where it waits.

    Raises:
        UserError: a number outside of what is allowed; a deadline for what is called in place.
    """

    def __init__(self, name: str, *, at_once: int | None = None, deadline: float | None = None) -> None:
        if at_once is not None and (isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1):
            raise UserError(f"at_once is {at_once!r:.80}; allowed is a whole number, 1 or greater")
        if deadline is not None and (isinstance(deadline, bool) or not isinstance(deadline, int | float)):
            raise UserError(f"deadline is {deadline!r:.80}; allowed is a number of seconds")
        if deadline is not None and not 0 < deadline <= 1e6:
            raise UserError(f"deadline is {deadline!r:.80}; allowed are seconds above 0")
        self._name, self._at_once, self._deadline = name, at_once, deadline
        self._waits = deadline is not None

    @property
    def side_by_side(self) -> int:
        """How many replies are judged at once, as far as is known."""
        return (self._at_once or AT_ONCE) if self._waits else 1

    def expect(self, function: Callable[..., object]) -> None:
        """Take note of a function that says by its form that it waits."""
        called = getattr(type(function), "__call__", None)  # noqa: B004 (an object may be called too)
        self._waits = self._waits or inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)

    def call(self, function: Callable[..., Any], *given: object) -> Any:
        """What the function says, or what it raises of the kind `Exception`. `WorldFailure` where it does not answer in
        time, or raises what would end the program."""
        try:
            return self._called(function, *given)
        except BaseException as error:  # it would take the run with it, which would not say a word
            if isinstance(error, Exception) or is_ours(error):
                raise
            raise self._left(error) from error

    def _called(self, function: Callable[..., Any], *given: object) -> Any:
        if self._deadline is not None or (self._waits and self._at_once != 1):
            said = self._within(in_thread(partial(function, *given), "judge"))
        else:
            wall, computed = time.perf_counter(), time.thread_time()
            said = function(*given)
            wall, computed = time.perf_counter() - wall, time.thread_time() - computed
            self._waits = self._waits or (self._at_once != 1 and wall - computed > max(_WAITED, _IDLE * wall))
        if not inspect.isawaitable(said):
            return said
        self._waits = True
        owed = asyncio.run_coroutine_threadsafe(self._awaited(said), _loop())
        try:
            return self._within(owed)
        finally:
            owed.cancel()  # of no effect on what has answered

    async def _awaited(self, said: Awaitable[Any]) -> Any:
        try:
            return await said
        except SystemExit as leaving:  # it would end the loop of all the others
            raise self._left(leaving) from leaving

    def _left(self, error: BaseException) -> WorldFailure:
        return WorldFailure(f"{self._name}: {described(error)}")

    def _within(self, owed: Future[Any]) -> Any:
        seconds = self._deadline or DEADLINE
        try:
            return owed.result(seconds)
        except TimeoutError:
            if owed.done():  # it is the function's own
                raise
            raise WorldFailure(f"{self._name} did not answer within {seconds:g} seconds") from None


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """The event loop of all coroutines that judge, in a thread that ends with the process: what one call opened, a
    connection for one, the next may use."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="judges", daemon=True).start()
    return loop
