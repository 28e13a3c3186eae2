"""Collecting ahead: the next batches are collected while one is learned from (`collect.staleness`).

With a staleness of s, batch k is collected by version max(0, k − s), always, however long anything takes:

    s = 1     actor      batch 0 by v0 │ batch 1 by v0 │ batch 2 by v1 │ batch 3 by v2 │
              learner                  │ 0:  v0 ─▶ v1  │ 1:  v1 ─▶ v2  │ 2:  v2 ─▶ v3  │

The order is fixed, so a run repeats bit for bit, and no group is skipped, doubled or preferred because its episodes are
short. One thread does everything that touches worlds, one thing after the other:

    submit batch k:   load the weights of version max(0, k − s)  ─▶  collect  ─▶  (collection, state behind it)
    evaluate:         load the newest weights                    ─▶  evaluate           behind what was submitted before

- **Weights.** Who acts is a twin of the policy (`LocalPool`), or a process (`RayPool`). It is given copies, statistics
  of observations among them, so that no step of the optimiser moves what acts. Copies of s + 1 versions are kept.
- **Rows** have the log-probabilities of the version that chose their units, and its number in `version_B`; the learner
  refuses older ones than s. New weights come between collections and never within one.
- **A checkpoint** waits for nothing. A collection is a function of its groups, the seed, the weights and the state
  before it; so the checkpoint holds the weights of the s versions before (`ahead/NNNNNN.safetensors`) and the state
  before the oldest batch that nobody has learned from, and a resume collects those batches again, with equal bits.
- **An evaluation** waits until the batches in flight are there, for worlds and actors are shared.
- **Mistakes** of a collection come out of `take`, when its batch's turn has come. At the end of a stage what is in
  flight is dropped: the thread leaves at its next step.
- **Threads.** torch has the same number of them in both, half of what it had (one, where bodies move), for MKL has one
  number in a process, and sums are rounded by it. The simulation leaves one core of three or more to the learner. Both
  threads want the interpreter for a moment between operations, so it changes hands more often than Python's default.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor

from ...agents.protocols import Policy, Weights
from ...agents.threads import torch_threads
from ...agents.weights import kept_weights, moving_tensors
from ...envs.contained import look
from ...envs.errors import UserError
from ...envs.vocabulary import Collection, Episode
from ..cluster.pool import Pool
from ..config.schema import Scenario
from .one_thread import OneThread

T = TypeVar("T")
FOLDER = "ahead"  # in a checkpoint
_PATIENCE = 10.0  # seconds for the thread to leave what nobody wants any more
_SWITCH = 1e-4  # seconds that a thread may keep the interpreter: with Python's 5e-3 each small operation waits so long
_GLANCE = 0.2  # seconds between looks at whether anybody still waits


class Ahead:
    """Lets `pool` collect ahead of a learner; a context that holds the thread, and torch's number of threads.

    Args:
        groups: those of batch k.
        staleness: s of the module's docstring, at least 1.
        batches: how many are ever wanted; None: nobody knows.
        threads: of torch, here and there.
    """

    def __init__(
        self,
        pool: Pool,
        policy: Policy,
        groups: Callable[[int], Sequence[int]],
        *,
        group_size: int,
        seed: int,
        staleness: int,
        batches: int | None,
        threads: int,
    ) -> None:
        self._pool, self._policy, self._groups = pool, policy, groups
        self._group_size, self._seed, self._staleness, self._batches = group_size, seed, staleness, batches
        self._weights: dict[int, Weights] = {}  # by version; the newest is what the policy is now
        self._asked: dict[int, Future[tuple[Collection, dict[str, Tensor]]]] = {}  # by batch
        self._state: dict[str, Tensor] = {}  # of the pool, before the oldest batch that nobody has learned from
        self._after: dict[str, Tensor] = {}  # and after the one that was taken last
        self._threads, self._thread = threads, OneThread("ahead")
        self._held = ExitStack()

    def __enter__(self) -> Self:
        self._held.enter_context(torch_threads(self._threads))
        self._held.callback(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(_SWITCH)
        self._streams = sys.stdout, sys.stderr
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The thread has ended, unless a world does not come back from its step."""
        self._thread.close(_PATIENCE)
        self._held.close()

    def load(self, weights: Weights) -> None:
        """The policy is this version now, which has learned from what was taken; a copy is taken of it. What no batch
        needs any more is forgotten."""
        self._state = self._after
        self._weights[weights.version] = kept_weights(self._policy, weights.version)
        oldest = self._version(weights.version)
        self._weights = {version: kept for version, kept in self._weights.items() if version >= oldest}

    def take(self, batch: int) -> Collection:
        """The collection of `batch`, as soon as it is there; the s after it are collected from here on, of groups that
        are asked for now.

        Whatever the collecting raised comes out here.
        """
        for one in range(batch, batch + self._staleness + 1):
            wanted = self._batches is None or one < self._batches
            if wanted and one not in self._asked:
                weights = self._weights[self._version(one)]
                self._asked[one] = self._thread.submit(partial(self._collect, self._groups(one), weights))
        collection, self._after = _awaited(self._asked[batch])
        del self._asked[batch]
        return collection

    def drop(self) -> None:
        """What is in flight is not wanted any more."""
        self._asked = {}
        self._thread.drop()

    def evaluate(self, tasks: int, *, seed: int, version: int, split: str) -> list[Episode]:
        """As `Pool.evaluate`, by the newest weights, when what is in flight is there."""
        return self._thread.submit(partial(self._evaluate, tasks, seed, version, split)).result()

    # --- checkpoints ------------------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """As `Pool.state`, before the oldest batch that nobody has learned from."""
        return self._state

    def load_state(self, state: Mapping[str, Tensor]) -> int:
        """As `Pool.load_state`."""
        parted = self._thread.submit(partial(self._pool.load_state, state)).result()
        self._state = self._after = dict(state)
        return parted

    def behind(self) -> dict[str, dict[str, Tensor]]:
        """The weights of the versions before the newest that are still to act, by the names of their files."""
        older = sorted(self._weights.items())[:-1]
        return {_name(version): dict(kept.tensors()) for version, kept in older if kept.tensors is not None}

    def load_behind(self, checkpoint: Path, version: int) -> None:
        """Read what `behind` gave, when `version` was the newest. UserError for weights of another policy."""
        mine = {name: tensor.shape for name, tensor in moving_tensors(self._policy).items()}
        for older in range(self._version(version), version):
            found = load_file(checkpoint / _name(older))
            if {name: tensor.shape for name, tensor in found.items()} != mine:
                raise UserError(
                    f"{checkpoint / _name(older)} has other weights than the agent: the scenario, or the world, is not "
                    "the one of this run"
                )
            self._weights[older] = Weights(older, tensors=found.items)

    # --- in the thread ----------------------------------------------------------------------------------

    def _collect(self, groups: Sequence[int], weights: Weights) -> tuple[Collection, dict[str, Tensor]]:
        with self._playing():
            self._pool.load(weights)
            collected = self._pool.submit(groups, self._group_size, seed=self._seed, version=weights.version)
            return _awaited(collected), self._pool.state()

    def _evaluate(self, tasks: int, seed: int, version: int, split: str) -> list[Episode]:
        with self._playing():
            self._pool.load(self._weights[version])
            return self._pool.evaluate(tasks, seed=seed, version=version, split=split)

    @contextmanager
    def _playing(self) -> Iterator[None]:
        """Standard streams are afterwards what they were: `contained` leaves them alone in any thread but the main one,
        and here nobody but a world has changed them."""
        torch.set_num_threads(self._threads)  # of this thread
        try:
            yield
        finally:
            out, err = self._streams
            sys.stdout = sys.stdout if getattr(out, "closed", True) else out
            sys.stderr = sys.stderr if getattr(err, "closed", True) else err

    def _version(self, batch: int) -> int:
        """Which version collects `batch`."""
        return max(0, batch - self._staleness)


def make_ahead(
    scenario: Scenario,
    index: int,
    pool: Pool,
    policy: Policy | None,
    groups: Callable[[int], Sequence[int]],
    seed: int,
) -> Ahead | None:
    """Who collects `groups` while the learner learns, where stage `index` asks for it. `pool` has entered that
    stage."""
    stage = scenario.stages[index]
    if policy is None or stage.collect is None or stage.budget is None or not stage.collect.staleness:
        return None
    return Ahead(
        pool,
        policy,
        groups,
        group_size=stage.collect.group_size,
        seed=seed,
        staleness=stage.collect.staleness,
        batches=stage.budget.updates,
        threads=max(1, torch.get_num_threads() // 2) if scenario.speaks else 1,
    )


def _awaited(future: Future[T]) -> T:
    """Its result. TimeIsUp where a budget in seconds is over, or nobody wants any more what this thread does."""
    while wait([future], timeout=_GLANCE).not_done:
        look()
    return future.result()


def _name(version: int) -> str:
    return f"{FOLDER}/{version:06d}.safetensors"
