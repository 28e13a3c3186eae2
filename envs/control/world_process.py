"""Inside a process that holds worlds: it carries out orders, one after the other, until nobody is there any more.

    python -c "… main(DESCRIPTOR, PARENT)"  ◀─ Setup, Order, Order, …  ─▶  Ready, Answer, Answer, … or Refused

What the worlds print goes to stderr. The process ends with its parent: the kernel sees to it on Linux, also where a
world does not come back; elsewhere a read of the channel does, once the world is back.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import NamedTuple, Protocol

import numpy as np
from gymnasium.spaces import Box

from ..contained import no_exit
from ..errors import UserError
from ..plugins import import_plugins
from .flat_spaces import StoredActions
from .world_batch import StepResult, WorldBatch

_SET_PDEATHSIG = 1  # of prctl(2)


class Source(Protocol):
    """Where worlds come from, in any process: a `WorldSource` that steps them where it is."""

    id: str

    def make_batch(self, n: int) -> WorldBatch: ...


class Setup(NamedTuple):
    """Which worlds, and how many."""

    source: Source
    n: int


class Ready(NamedTuple):
    """The worlds are made; the spaces are those of a `WorldBatch`."""

    observation_space: Box
    pixels: int
    action_space: StoredActions


class Order(NamedTuple):
    """An episode of `world` is begun, where `begin` is given, and goes on by these actions, as a batch takes them."""

    world: int
    begin: tuple[int, str] | None  # seed, split
    actions: Sequence[np.ndarray]


class Drawing(NamedTuple):
    """A picture of `world` is asked for."""

    world: int


class Answer(NamedTuple):
    """What came of an order: the last observation [D], and what the last step brought, of one world."""

    observation: np.ndarray
    result: StepResult | None  # None: there was no step
    seconds: float = 0.0  # that the last step took, here


class Refused(NamedTuple):
    """It cannot be done: whether the user can mend it, and why."""

    mendable: bool
    why: str


def main(descriptor: int, parent: int) -> None:
    """Work for whoever is at the other end of `descriptor`, which `parent` is."""
    end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever hears it ends this process
    os.dup2(2, 1)
    channel = Connection(descriptor)  # closed by the end of the process, unless a world has done it
    with no_exit(), suppress(OSError):
        try:
            _work(channel)
        except EOFError:  # nobody is there any more
            return
        except UserError as problem:
            channel.send(Refused(True, str(problem)))
        except Exception:
            channel.send(Refused(False, traceback.format_exc()))


def _work(channel: Connection) -> None:
    setup: Setup = channel.recv()
    import_plugins()
    worlds = setup.source.make_batch(setup.n)
    try:
        channel.send(Ready(worlds.observation_space, worlds.pixels, worlds.action_space))
        while True:
            order: Order | Drawing = channel.recv()
            channel.send(worlds.render(order.world) if isinstance(order, Drawing) else _carry_out(worlds, order))
    finally:
        worlds.close()


def _carry_out(worlds: WorldBatch, order: Order) -> Answer:
    """As long as the world does not fail, end, or come to the end of the actions."""
    one, seen, result, seconds = np.array([order.world]), None, None, 0.0
    if order.begin is not None:
        seed, split = order.begin
        seen = worlds.reset(one, [seed], split)[0]
    for action in order.actions:
        begun = time.perf_counter()
        result = worlds.step(one, action[None])
        seconds = time.perf_counter() - begun
        seen = result.observation[0]
        if result.failure or result.terminated[0] or result.truncated[0]:
            break
    assert seen is not None, "an order begins an episode, or goes on with it"
    return Answer(seen, result, seconds)


def end_with(parent: int) -> None:
    """This process is killed when whoever started it has died, or has already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
