"""N control worlds in processes of their own, for bodies whose step takes longer than a message.

    world i is in process i mod W, whatever it does:        W = 2     0 2 4 │ 1 3 5

An episode is a function of its reset seed and its actions, so the same episodes come out of any number of processes. A
process that dies, or does not come back in time, costs the episode of the one world that was at work in it. The others
are begun again with their seeds in a new process and given their actions; where one does not do again what it did, its
episode has failed too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import Any, NamedTuple

import numpy as np

from ..contained import Contained, look
from ..cores import allowed_threads
from ..errors import UserError
from .world_batch import StepResult, action_layout, checked_action
from .world_process import Answer, Drawing, Order, Ready, Source
from .world_worker import Lost, WorldWorker, close_all

STEP_SECONDS = 60.0  # that a step may take
_SLOW = 1e-3  # seconds of a step from which processes are worth it
_TRIAL = 10  # steps
_GLANCE = 0.2  # seconds between looks at clocks
_SAME = 1e-6  # relative and absolute: how alike what is seen again has to be


@dataclass
class _Past:
    """The running episode of a world: enough to come to where it is."""

    seed: int
    split: str
    seen: np.ndarray
    actions: list[np.ndarray] = field(default_factory=list)
    lost: bool = False  # with its process


class WorkerWorlds:
    """A `WorldBatch` of `n` worlds of `source` in at most `workers` processes. `step_seconds` is the longest that a
    step, or a reset, may take.

    A process that dies as its worlds are made is lost, and begun again with the first order for them. `known` says what
    others of the source were, so that these are worlds even where all processes are lost at first.

    Raises:
        UserError: the worlds cannot be made in another process, and say why, or every process has died and nothing is
            known.
    """

    def __init__(
        self,
        source: Source,
        n: int,
        workers: int,
        *,
        step_seconds: float = STEP_SECONDS,
        known: Ready | None = None,
    ) -> None:
        self.n = n
        self._source, self._id, self._seconds = source, source.id, step_seconds
        self._past: dict[int, _Past] = {}
        self._broken: dict[int, str] = {}  # world id → why, until its next reset
        self._workers: list[WorldWorker] = []
        try:
            with Contained(self._id):
                for number in range(min(n, workers)):  # side by side
                    self._workers.append(WorldWorker(source, len(range(number, n, min(n, workers)))))
                made = [_ready_or_lost(worker) for worker in self._workers]
            first = next((one for one in made if isinstance(one, Ready)), known)
            if first is None:
                raise UserError(self._died(next(one for one in made if isinstance(one, Lost))))
        except BaseException:
            for worker in self._workers:
                worker.kill()
            raise
        self.observation_space, self.pixels, self.action_space = first

    def reset(self, ids: np.ndarray, seeds: Sequence[int], split: str = "train") -> np.ndarray:
        """As `WorldBatch.reset`."""
        orders = {}
        for i, seed in zip(map(int, ids), seeds, strict=True):
            self._broken.pop(i, None)
            self._past.pop(i, None)
            orders[i] = Order(i, (int(seed), split), ())
        answers = self._carry_out(orders)
        observation = np.zeros((len(ids), *self.observation_space.shape), self.observation_space.dtype)
        for row, i in enumerate(map(int, ids)):
            if i in answers:
                observation[row] = answers[i].observation
                self._past[i] = _Past(int(seeds[row]), split, answers[i].observation)
        return observation

    def step(self, ids: np.ndarray, action: np.ndarray) -> StepResult:
        """As `WorldBatch.step`."""
        checked_action(action, len(ids), self.action_space)
        given = dict(zip(map(int, ids), np.asarray(action), strict=True))
        answers = self._carry_out({i: Order(i, None, (one,)) for i, one in given.items() if i not in self._broken})
        results: dict[int, StepResult] = {}
        for i, answer in answers.items():
            assert answer.result is not None, "a step was asked for"
            results[i] = answer.result
            for why in answer.result.failure.values():
                self._broken[i] = why
                self._past.pop(i, None)
            if i in self._past:
                self._past[i].actions.append(given[i].copy())
                self._past[i].seen = answer.observation
        return self._together([int(i) for i in ids], results)

    def render(self, i: int) -> np.ndarray:
        """As `WorldBatch.render`."""
        worker = self._workers[self._place(i)[0]]
        worker.send(Drawing(self._place(i)[1]), self._seconds)
        try:
            return _next(worker)
        except Lost as problem:
            raise UserError(f"{self._id} gives no picture: {problem}") from problem

    def close(self) -> None:
        """Let the processes close their worlds, and end them; twice is harmless."""
        workers, self._workers = self._workers, []
        close_all(workers)

    # --- orders -----------------------------------------------------------------------------------------

    def _carry_out(self, orders: Mapping[int, Order]) -> dict[int, Answer]:
        """The answers of all worlds but those whose process is lost with it: `_broken` says why."""
        answers: dict[int, Answer] = {}
        queues: list[deque[Order]] = [deque() for _ in self._workers]
        for i, order in orders.items():
            queues[self._place(i)[0]].append(order)
        with Contained(self._id):
            try:
                for number, worker in enumerate(self._workers):
                    if worker.gone:
                        self._replace(number, queues[number])
                while any(queues):
                    self._hand_out(queues)
                    for number in self._heard():
                        self._take(number, queues[number], answers)
            except BaseException:
                for worker in self._workers:
                    if worker.busy:  # nobody waits for what it is about to say
                        worker.kill()
                raise
        return answers

    def _hand_out(self, queues: Sequence[deque[Order]]) -> None:
        """Each process that is idle begins the first order of its queue; before it, a world that was lost is brought to
        where it was."""
        for number, queue in enumerate(queues):
            if not queue or self._workers[number].busy:
                continue
            order = queue[0]
            past = self._past.get(order.world)
            if order.begin is None and past is not None and past.lost:
                order = Order(order.world, (past.seed, past.split), past.actions)
                queue.appendleft(order)
            steps = len(order.actions) + (order.begin is not None)
            local = order._replace(world=self._place(order.world)[1])
            self._workers[number].send(local, steps * self._seconds)

    def _heard(self) -> list[int]:
        """The processes that have answered, have ended, or have no more time."""
        look()
        now = {id(worker.channel): number for number, worker in enumerate(self._workers) if worker.busy}
        channels = wait([worker.channel for worker in self._workers if worker.busy], _GLANCE)
        answered = [now[id(channel)] for channel in channels]
        return answered + [n for n in now.values() if n not in answered and self._workers[n].late]

    def _take(self, number: int, queue: deque[Order], answers: dict[int, Answer]) -> None:
        """What has become of the first order of a queue."""
        order = queue.popleft()
        i = order.world
        try:
            answer: Answer = self._workers[number].receive()
        except Lost as problem:
            self._fail(i, f"{self._id} failed in {'step' if order.actions else 'reset'}: {problem}", queue)
            self._replace(number, queue)
            return
        past = self._past.get(i)
        if past is None or not past.lost or order.begin is None:
            answers[i] = answer
            return
        past.lost = False
        if not _is_there_again(answer, past):
            why = "another world has ended the process of both, and this one does not do again what it did"
            self._fail(i, f"{self._id}: {why}", queue)

    def _fail(self, i: int, why: str, queue: deque[Order]) -> None:
        self._broken[i] = why
        self._past.pop(i, None)
        if queue and queue[0].world == i:  # the step that was to follow
            queue.popleft()

    # --- processes --------------------------------------------------------------------------------------

    def _place(self, i: int) -> tuple[int, int]:
        """In which process world `i` is, and its number there."""
        return i % len(self._workers), i // len(self._workers)

    def _died(self, how: Lost) -> str:
        return f"{self._id!r} cannot be made in a process of its own: {how}"

    def _replace(self, number: int, queue: deque[Order]) -> None:
        """A new process in the place of one that is lost, with new worlds. Where these cannot be made, the episodes
        that are ordered in `queue` have failed, and the next orders try again."""
        for i, past in self._past.items():
            past.lost = past.lost or self._place(i)[0] == number
        count = len(range(number, self.n, len(self._workers)))
        self._workers[number] = WorldWorker(self._source, count)
        why = None
        try:
            _next(self._workers[number])
        except Lost as how:
            why = self._died(how)
        except UserError as problem:
            why = str(problem)
        while why is not None and queue:
            self._fail(queue[0].world, why, queue)

    # --- results ----------------------------------------------------------------------------------------

    def _together(self, ids: Sequence[int], results: Mapping[int, StepResult]) -> StepResult:
        """The results of single worlds as one; worlds without one have failed."""
        n = len(ids)
        observation = np.zeros((n, *self.observation_space.shape), self.observation_space.dtype)
        reward, success = np.zeros(n), np.full(n, np.nan)
        terminated, truncated = np.zeros(n, bool), np.zeros(n, bool)
        terms: dict[str, np.ndarray] = {}
        metrics: dict[str, np.ndarray] = {}
        failure = {i: self._broken[i] for i in ids if i not in results}
        left_out: dict[int, str] = {}
        for row, i in enumerate(ids):
            if (one := results.get(i)) is None:
                continue
            observation[row], reward[row] = one.observation[0], one.reward[0]
            terminated[row], truncated[row] = one.terminated[0], one.truncated[0]
            success[row] = np.nan if one.success is None else one.success[0]
            for into, values, nothing in ((terms, one.terms, 0.0), (metrics, one.metrics, np.nan)):
                for name, value in values.items():
                    into.setdefault(name, np.full(n, nothing))[row] = value[0]
            failure |= dict.fromkeys([i], *one.failure.values()) if one.failure else {}
            left_out |= dict.fromkeys([i], *one.left_out.values()) if one.left_out else {}
        misfit = next((one.misfit for one in results.values() if one.misfit is not None), None)
        return StepResult(
            observation, reward, terminated, truncated, terms, metrics, success, failure, left_out, misfit
        )


def _next(worker: WorldWorker) -> Any:
    """What a process says next, as soon as it is there."""
    while not worker.channel.poll(_GLANCE):
        look()
        if worker.late:
            break
    return worker.receive()


def _ready_or_lost(worker: WorldWorker) -> Ready | Lost:
    try:
        return _next(worker)
    except Lost as how:
        return how


def first_made(source: Source) -> Ready | None:
    """What a world says of itself that is made in a process of its own; None where it says why it cannot be made, which
    whoever makes one here will hear too. UserError where the process dies of it."""
    with Contained(source.id):
        worker = WorldWorker(source, 1)
        try:
            return _next(worker)
        except Lost as problem:
            raise UserError(f"world {source.id!r} cannot be made: {problem}") from problem
        except (UserError, RuntimeError):
            return None
        finally:
            worker.kill()


def _is_there_again(answer: Answer, past: _Past) -> bool:
    """Whether a world that was begun again has come to where it was."""
    last = answer.result
    if last is not None and (last.failure or last.terminated[0] or last.truncated[0]):
        return False
    return np.allclose(answer.observation, past.seen, rtol=_SAME, atol=_SAME, equal_nan=True)


class Fitting(NamedTuple):
    """How many processes worlds are worth, 0 where they are as well stepped in place, and why."""

    workers: int
    why: str


def fitting_workers(source: Source, *, step_seconds: float = STEP_SECONDS, known: Ready | None = None) -> Fitting:
    """A process for each core, where a step of the world takes long enough for that, or a process was lost. A world is
    tried in a process of its own. Errors as of `WorkerWorlds`."""
    trial = WorkerWorlds(source, 1, 1, step_seconds=step_seconds, known=known)
    shape, kind = action_layout(trial.action_space)
    step, seconds, over = Order(0, None, (np.zeros(shape, kind),)), [], True
    try:
        for seed in range(_TRIAL):
            if over:
                trial.reset(np.zeros(1, int), [seed])
            answer = None if trial._broken else trial._carry_out({0: step}).get(0)
            if answer is None or answer.result is None:
                return Fitting(allowed_threads(), f"in a trial {trial._broken[0]}")
            seconds.append(answer.seconds)
            over = bool(answer.result.terminated[0] or answer.result.truncated[0] or answer.result.failure)
    finally:
        trial.close()
    median = float(np.median(seconds))
    if median >= _SLOW:
        return Fitting(allowed_threads(), f"a step takes {1e3 * median:.1f} ms")
    return Fitting(0, f"a step takes {1e3 * median:.2g} ms, and a process is worth it from {1e3 * _SLOW:g} ms")
