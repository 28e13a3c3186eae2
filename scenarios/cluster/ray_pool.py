"""A pool of worker processes, each with actors of its own, held by Ray.

    submit:  an order for each worker  ─▶  wait  ─▶  answers, joined in the order of (group, index)
                     ▲                       │ a worker is lost: another takes its order, from the state before it
                     └───────────────────────┘

What lives here is the policy that learns, the evaluations and the state of all rows. A lost worker is replaced by hand:
Ray would restart it with the weights that it began with, and call that a success.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ...agents.protocols import Policy, Weights
from ...envs.vocabulary import Collection, Episode
from ..assembly.worlds import WorldSources
from ..config.schema import Scenario
from ..run.disk import RunFailed
from .pool import LocalPool
from .ray_instance import RayInstance, ray, ship_tensors_as_arrays
from .rollout import Answer, Order, Rollout, pack_weights
from .shares import shares

TRIES = 3  # of the same groups
_GLANCE = 1.0  # seconds between looks at the clock


class RayPool:
    """A `Pool` of `cluster.rollout.workers` processes; what they collect is bit for bit what one process would, at an
    equal `collect.tile`. `say` is told of lost workers.

    Raises, from the futures of `submit`:
        RunFailed: the same groups were lost three times.
        UserError, RuntimeError, …: what a worker raised; it would raise it again.
    """

    def __init__(self, scenario: Scenario, policy: Policy, sources: WorldSources, say: Callable[[str], None]) -> None:
        assert scenario.cluster is not None, "a run without a cluster has a LocalPool"
        self._scenario, self._how, self._policy, self._say = scenario, scenario.cluster.rollout, policy, say
        self._here = LocalPool(scenario, policy, sources)  # evaluates
        say(f"starting {self._how.workers} workers")
        self._ray = RayInstance(self._how.workers * self._how.cpus)
        self._workers = [self._new_worker() for _ in range(self._how.workers)]
        self._new = set(range(self._how.workers))  # workers that do not know yet where the stage stands
        self._stage, self._state, self._shipment = 0, dict[str, Tensor](), None
        self._thread, self._closing = ThreadPoolExecutor(1, "pool"), threading.Event()

    def enter(self, index: int) -> None:
        """As `Pool.enter`."""
        self._here.enter(index)
        self._stage, self._state = index, {}
        self._new = set(range(len(self._workers)))

    @property
    def segments(self) -> bool:
        """As `Pool.segments`."""
        return self._here.segments

    def load(self, weights: Weights) -> None:
        """As `Pool.load`: one copy in Ray's store, from where workers read it with each order."""
        self._here.load(weights)
        self._shipment = ray.put(pack_weights(self._policy, weights))

    def submit(self, groups: Sequence[int], group_size: int, *, seed: int, version: int) -> Future[Collection]:
        """As `Pool.submit`."""
        collect = self._scenario.stages[self._stage].collect
        assert collect is not None, "the schema asks for it"
        assert collect.tile is not None, "the scenario is resolved"
        parts = shares(groups, collect.tile, len(self._workers))
        threads = torch.get_num_threads()  # of whoever asks, for sums are rounded by it
        orders = [Order(self._stage, part, group_size, seed, version, threads=threads) for part in parts]
        return self._thread.submit(self._collect, orders)

    def evaluate(
        self, tasks: int, *, seed: int, version: int, greedy: bool = True, split: str = "test", each: int = 1
    ) -> list[Episode]:
        """As `Pool.evaluate`, in this process."""
        return self._here.evaluate(tasks, seed=seed, version=version, greedy=greedy, split=split, each=each)

    def state(self) -> dict[str, Tensor]:
        """As `Pool.state`."""
        return dict(self._state)

    def load_state(self, state: Mapping[str, Tensor]) -> int:
        """As `Pool.load_state`."""
        self._state = dict(state)
        self._new = set(range(len(self._workers)))
        return 0  # the workers replay when their first order comes

    def close(self) -> None:
        """Free the actors here, and stop the workers and Ray."""
        self._here.close()
        self._closing.set()
        self._thread.shutdown()
        self._ray.close()

    # --- issue, wait, re-issue --------------------------------------------------------------------------

    def _collect(self, orders: Sequence[Order]) -> Collection:
        """All orders, each carried out once."""
        answers: dict[int, Answer] = {}
        lost = Counter[int]()
        asked = {self._ask(number, order): (number, time.monotonic()) for number, order in enumerate(orders)}
        while asked:
            done, _ = ray.wait(list(asked), timeout=_GLANCE)
            if self._closing.is_set():
                raise RunFailed("the pool was closed while it collected")
            late = [ref for ref, (_, since) in asked.items() if time.monotonic() - since > self._how.seconds]
            for ref in dict.fromkeys((*done, *late)):
                number, _ = asked.pop(ref)
                try:
                    answers[number] = ray.get(ref, timeout=_GLANCE)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause or error from error
                except ray.exceptions.RayError as error:
                    lost[number] += 1
                    self._replace(number, orders[number], lost[number], error)
                    asked[self._ask(number, orders[number])] = (number, time.monotonic())
        return self._accept(orders, [answers[number] for number in range(len(orders))])

    def _ask(self, number: int, order: Order) -> Any:
        """Give worker `number` its order; from the state of its rows, where it does not have it."""
        if number in self._new:
            own = {name: x for name, x in self._state.items() if int(name.partition("/")[0]) in order.groups}
            order = replace(order, state=own)
        return self._workers[number].collect.remote(order, self._shipment)

    def _accept(self, orders: Sequence[Order], answers: Sequence[Answer]) -> Collection:
        """Everybody has answered: the state moves on, unless the stage was left meanwhile."""
        for order, answer in zip(orders, answers, strict=True):
            versions = set() if answer.collection.batch is None else set(answer.collection.batch.version_B.tolist())
            if versions - {order.version}:
                raise RuntimeError(f"version {order.version} was asked for, and {sorted(versions)} came")
        if all(order.stage == self._stage for order in orders):
            for answer in answers:
                self._state |= answer.state
            self._new.clear()
        whole = Collection.join([answer.collection for answer in answers])
        return replace(whole, seconds={name: x / len(answers) for name, x in whole.seconds.items()})

    # --- workers ----------------------------------------------------------------------------------------

    def _new_worker(self) -> Any:
        scenario = self._scenario.model_dump(mode="json")
        remote = ray.remote(num_cpus=self._how.cpus, max_restarts=0, max_task_retries=0)(RayRollout)
        return remote.remote(scenario, threads=torch.get_num_threads())

    def _replace(self, number: int, order: Order, times: int, loss: Exception) -> None:
        """Another worker in the place of a lost one. RunFailed where that does not help."""
        groups, why = f"groups {order.groups[0]} to {order.groups[-1]}", _reason(loss, self._how.seconds)
        if times == TRIES:
            raise RunFailed(f"{groups} were given to {TRIES} workers, and each was lost with them; the last {why}")
        self._say(f"worker {number} {why}; another collects {groups} again")
        ray.kill(self._workers[number])
        self._workers[number] = self._new_worker()
        self._new.add(number)


class RayRollout(Rollout):
    """A worker in Ray's hands."""

    def __init__(self, scenario: Mapping[str, Any], *, threads: int) -> None:
        ship_tensors_as_arrays()
        super().__init__(scenario, threads=threads)


def _reason(loss: Exception, seconds: float) -> str:
    if isinstance(loss, ray.exceptions.GetTimeoutError):
        return f"did not answer within {seconds:g} s (cluster.rollout.seconds)"
    lines = [line.strip() for line in str(loss).splitlines() if line.strip()]
    return f"died: {lines[-1] if lines else type(loss).__name__}"
