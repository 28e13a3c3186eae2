"""Many simulations of one task on a pool of threads (`mujoco.batch`), with NumPy for everything that is not physics.

It is our `WorldBatch`: only the worlds asked for are stepped, and nothing resets by itself. Gymnasium's own form of
many worlds, in which what ends begins again in the same step, lies on top of it (`mujoco_vector`).

No result depends on the number of simulations or threads: each world has its own random stream and every function
is elementwise over worlds. The arrays that are returned are copies; the pool's live buffers never leave this file.
"""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled modules carry no type information)

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from . import headless  # noqa: F401

# isort: split
import mujoco
import mujoco.batch
import numpy as np
from gymnasium.utils.seeding import np_random

from ..contained import Contained, is_ours
from ..cores import allowed_threads, usable_cores
from ..errors import UserError
from ..reported import explained
from .flat_spaces import StoredActions
from .mujoco_drawing import make_renderer, picture
from .mujoco_task import DIVERGED, MujocoTask, State, action_space, diverged, fits, not_finite, observation_space, total
from .world_batch import StepResult, checked_action


class MujocoBatch:
    """A `WorldBatch` of `n` simulations. `threads` is clamped to the cores there are (None: all of them, or what
    OMP_NUM_THREADS says); `max_episode_steps` truncates. `UserError` for n < 1 or threads < 1."""

    def __init__(
        self, task: MujocoTask, n: int, *, threads: int | None = None, max_episode_steps: int | None = None
    ) -> None:
        if n < 1 or (threads is not None and threads < 1):
            raise UserError(f"{n} worlds on {threads} threads: at least 1 of each is needed")
        self.n, self.task = n, task
        self.model = task.load_model()
        self.observation_space, self.pixels = observation_space(task), 0
        self.action_space: StoredActions = action_space(self.model)
        self._batch = mujoco.batch.Batch(self.model, n, min(threads or allowed_threads(), usable_cores()))
        # Episodes begin on the caller's thread: a few of them are less work than waking the pool for them.
        self._starter = mujoco.batch.Batch(self.model, n, 1)
        self._starter.reset(stage=mujoco.mjtStage.mjSTAGE_NONE.value)
        self._blank = self._starter.state[0].copy()
        self._now, self._fresh = _bound(self._batch), _bound(self._starter)  # live, not to be given away
        self._ctrl = self._batch.bind("ctrl")
        self._previous = np.zeros((n, self.model.nu), np.float32)
        self._chance = np.zeros((n, task.chance))
        self._age, self._numbers = np.zeros(n, np.int64), np.arange(n)
        self._broken: dict[int, str] = {}  # world → why its episode could not begin, until a step reports it
        # What `prepare` leaves for `start`, beside the starter's state; `_varied` are the fields of `randomize`.
        self._next_chance, self._next_broken = np.zeros((n, task.chance)), dict[int, str]()
        self._next_observation, self._varied = np.zeros((n, task.observation_size), np.float32), tuple[str, ...]()
        self._limit = max_episode_steps
        self._renderer: mujoco.Renderer | None = None

    def reset(self, ids: np.ndarray, seeds: Sequence[int], split: str = "train") -> np.ndarray:
        """As `WorldBatch.reset`; the same episode as `MujocoWorld.reset(seed=…)`."""
        try:
            with Contained(type(self.task).__name__):
                return self.begin(ids, [np_random(int(seed))[0] for seed in seeds])
        except BaseException as error:  # the task's own code broke, for all of them alike
            if is_ours(error):
                raise
            self._broken |= dict.fromkeys(map(int, ids), explained(error, type(self.task).__name__))
            return np.zeros((len(ids), self.task.observation_size), np.float32)

    def begin(self, ids: np.ndarray, streams: Sequence[np.random.Generator]) -> np.ndarray:
        """New episodes in `ids`, each drawn from its own stream: observations [len(ids), D]."""
        self.prepare(ids, streams)
        return self.start(ids)

    def prepare(self, ids: np.ndarray, streams: Sequence[np.random.Generator]) -> None:
        """Draw the next episode of each of `ids` from its own stream, for `start`; the running ones do not notice.
        Many at once cost little more than one."""
        ids = np.asarray(ids)
        if not len(ids):
            return
        chance, starter = np.stack([stream.random(self.task.chance) for stream in streams]), self._starter
        fields, in_order = self.task.randomize(self.model, chance), np.sort(ids)  # the pool wants sorted numbers
        broken: dict[int, str] = {}
        for name, values in fields.items():
            starter.expand(name)[ids] = values
        if fields:
            broken |= _raised(starter, partial(starter.set_const, in_order))
        starter.state[ids] = self._blank  # what mj_resetData leaves, clock and warm start included
        self._fresh.qpos[ids], self._fresh.qvel[ids] = self.task.sample_initial_state(self.model, chance)
        broken |= _raised(starter, partial(starter.forward, in_order))
        self._next_chance[ids], self._varied = chance, tuple(fields)
        observation = _float32(self.task.observe(_rows(self._fresh, ids)))
        for i in ids[~np.isfinite(observation).all(axis=1)]:
            broken.setdefault(int(i), not_finite(0))
        self._next_observation[ids] = observation
        self._next_broken = {i: why for i, why in self._next_broken.items() if i not in ids} | broken

    def start(self, ids: np.ndarray) -> np.ndarray:
        """The episodes that were prepared for `ids` begin: observations [len(ids), D]."""
        ids = np.asarray(ids)
        broken = {i: self._next_broken.pop(i) for i in map(int, ids) if i in self._next_broken}
        for name in self._varied:
            self._batch.expand(name)[ids] = self._starter.expand(name)[ids]
        if self._varied and len(ids):
            broken |= _raised(self._batch, partial(self._batch.set_const, np.sort(ids)))
        self._batch.state[ids] = self._starter.state[ids]
        self._batch.warning[ids] = 0
        self._chance[ids], self._previous[ids], self._age[ids] = self._next_chance[ids], 0.0, 0
        observation = self._next_observation[ids]
        if broken or self._broken:
            observation[np.isin(ids, list(broken))] = 0.0
            self._broken = {i: why for i, why in self._broken.items() if i not in ids} | broken
        return observation

    def step(self, ids: np.ndarray, action: np.ndarray) -> StepResult:
        """As `WorldBatch.step`. A simulation that diverges, or in which MuJoCo raises, fails alone."""
        ids = np.asarray(ids)
        control = checked_action(action, len(ids), self.action_space)
        kick = self.task.push(self._age[ids], self._chance[ids])
        if kick is not None:
            self._now.qvel[ids] += kick
        self._ctrl[ids] = control
        stepped = None if self._is_all(ids) else np.sort(ids)
        failure = _raised(self._batch, partial(self._batch.step, stepped, self.task.frame_skip))
        failure |= {i: why for i, why in self._broken.items() if i in ids}
        state = _rows(self._now, slice(None) if stepped is None else ids)
        try:
            with Contained(type(self.task).__name__):
                observation = _float32(self.task.observe(state))
                terms = dict(self.task.reward_terms(state, control, self._previous[ids]))
                reward, terminated = total(terms), self.task.terminated(state)
                metrics = self.task.metrics(state)
        except BaseException as error:  # the task's own code broke, for all of them alike
            if is_ours(error):
                raise
            return self._all_failed(ids, failure, explained(error, type(self.task).__name__))
        for i in ids[self._batch.warning[:, DIVERGED, 1].any(axis=1)[ids]]:
            failure.setdefault(int(i), diverged(int(self._age[i])))
        for i in ids[~fits(observation, reward)]:
            failure.setdefault(int(i), not_finite(int(self._age[i])))
        self._previous[ids] = control
        self._age[ids] += 1
        truncated = np.zeros(len(ids), bool) if self._limit is None else (self._age[ids] >= self._limit) & ~terminated
        if failure:
            failed = np.isin(ids, list(failure))
            observation[failed], reward[failed] = 0.0, 0.0
            terminated[failed], truncated[failed] = False, False
            terms = {name: np.where(failed, 0.0, values) for name, values in terms.items()}
        return StepResult(observation, reward, terminated, truncated, terms, metrics, None, failure)

    def _is_all(self, ids: np.ndarray) -> bool:
        """Whether these are all worlds in their own order, so that nothing has to be picked."""
        return len(ids) == self.n and bool((ids == self._numbers).all())

    def _all_failed(self, ids: np.ndarray, failure: dict[int, str], why: str) -> StepResult:
        """A step in which nothing can be said of any of `ids`, some of which had failed before."""
        nothing = np.zeros((len(ids), *self.observation_space.shape), np.float32)
        over = np.zeros(len(ids), bool)
        everywhere = dict.fromkeys(map(int, ids), why) | failure
        return StepResult(nothing, np.zeros(len(ids)), over, over.copy(), {}, {}, None, everywhere)

    def first_metrics(self, ids: np.ndarray) -> dict[str, np.ndarray]:
        """What the task reported of the worlds `ids` when their episodes began."""
        return self.task.metrics(_rows(self._fresh, ids))

    def render(self, i: int) -> np.ndarray:
        """A picture [480, 640, 3] uint8 of simulation `i`."""
        model, data = self._batch.get_model(i), self._batch.get_data(i)
        mujoco.mj_forward(model, data)
        if self._renderer is None:
            self._renderer = make_renderer(model)
        return picture(self._renderer, model, data)

    def close(self) -> None:
        """Close what draws; the pool goes with the object."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None


def _bound(pool: mujoco.batch.Batch) -> State:
    """The pool's own buffers."""
    return State(pool.bind("qpos"), pool.bind("qvel"), pool.bind("sensordata"))


def _float32(observation: np.ndarray) -> np.ndarray:
    """What does not fit is infinite, and found there."""
    with np.errstate(over="ignore"):
        return observation.astype(np.float32)


def _rows(live: State, ids: np.ndarray | slice) -> State:
    """Copies of the rows `ids`."""
    if isinstance(ids, slice):  # which picks a view
        return State(live.qpos[ids].copy(), live.qvel[ids].copy(), live.sensordata[ids].copy())
    return State(live.qpos[ids], live.qvel[ids], live.sensordata[ids])


def _raised(pool: mujoco.batch.Batch, call: Callable[[], None]) -> dict[int, str]:
    """Make a call of the pool's: the simulations in which MuJoCo raised, and what it said. The others went on."""
    try:
        call()
    except mujoco.batch.SimulationError as error:
        return {int(i): f"MuJoCo raised: {pool.error(int(i))}" for i in error.ids}
    return {}
