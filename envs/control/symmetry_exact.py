"""Whether a declared symmetry is one of a task's physics: an exact test, for the state of a simulation can be set.

Of a state s that random actions came to, the image s' is looked for that is observed as M o(s), by Gauss and Newton:

    δ = J⁺ (M o(s) − o(s')),  J = ∂o/∂(q, v)          the shortest step; what is not observed stays as it is

Then one step from both, under a and Ma, has to lead to mirrored observations and the same reward. What is not observed
must not matter for that, or nothing can be said: it is moved, and neither may change. All of it is done with the model
as it was compiled, without pushes, for chance may be kicks to one side.
"""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled modules carry no type information)

from __future__ import annotations

from typing import NamedTuple

from . import headless  # noqa: F401

# isort: split
import mujoco
import numpy as np

from .mujoco_task import MujocoTask, State, action_space, total
from .symmetry import Symmetry

_STATES, _WALKED, _LEAST = 16, 8, 8  # looked at; steps to each, at most; fewer images than these tell nothing
_NEWTON, _FOUND, _LONGEST = 40, 1e-7, 0.5  # iterations; how near an image has to come; the longest step to it
_MOVED, _RANK = 1e-6, 1e-5  # of a difference quotient; singular values below this share are none
_SHARE, _OFTEN = 0.02, 0.25  # of a number's spread that may be the solver's; of states in which it is more


class _Rows(NamedTuple):
    """What a step of one simulation leads to."""

    observation: np.ndarray  # [D]
    reward: float


class _Physics:
    """One simulation of a task, set to any state of positions and velocities."""

    def __init__(self, task: MujocoTask) -> None:
        self.task, self.model = task, task.load_model()
        self.data = mujoco.MjData(self.model)
        self.actions = action_space(self.model)

    def set(self, qpos: np.ndarray, qvel: np.ndarray) -> None:
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:], self.data.qvel[:] = qpos, qvel

    def seen(self, qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
        """o(s) [D]."""
        self.set(qpos, qvel)
        mujoco.mj_forward(self.model, self.data)
        return np.asarray(self.task.observe(self._state()), np.float64)[0]

    def step(self, qpos: np.ndarray, qvel: np.ndarray, previous: np.ndarray, action: np.ndarray) -> _Rows:
        self.set(qpos, qvel)
        self.data.ctrl[:] = action
        mujoco.mj_step(self.model, self.data, self.task.frame_skip)
        state = self._state()
        earned = total(self.task.reward_terms(state, action[None], previous[None]))
        return _Rows(np.asarray(self.task.observe(state), np.float64)[0].copy(), float(earned[0]))

    def moved(self, qpos: np.ndarray, qvel: np.ndarray, by: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The state that is `by` [2·nv] away."""
        at, nv = qpos.copy(), self.model.nv
        mujoco.mj_integratePos(self.model, at, by[:nv], 1.0)
        return at, qvel + by[nv:]

    def slopes(self, qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
        """J [D, 2·nv]."""
        moves = _MOVED * np.eye(2 * self.model.nv)
        columns = [self.seen(*self.moved(qpos, qvel, d)) - self.seen(*self.moved(qpos, qvel, -d)) for d in moves]
        return np.stack(columns, axis=1) / (2.0 * _MOVED)

    def _state(self) -> State:
        return State(self.data.qpos[None], self.data.qvel[None], self.data.sensordata[None])


def broken_numbers(task: MujocoTask, symmetry: Symmetry) -> np.ndarray | None:
    """The numbers that a mirrored step does not keep, the last of D + 1 for the reward; None where that cannot be told,
    for no images are found, or more than what is observed matters."""
    physics, rng = _Physics(task), np.random.default_rng(0)
    apart, told = [], []
    for _ in range(_STATES):
        qpos, qvel, previous = _walked(physics, rng)
        image = _image(physics, symmetry, qpos, qvel)
        if image is None:
            continue
        action = _drawn(physics, rng)
        after = physics.step(qpos, qvel, previous, action)
        if _unseen_matters(physics, qpos, qvel, previous, action, after):
            return None
        same = physics.step(*image, symmetry.action(previous), symmetry.action(action))
        wanted = symmetry.observation(after.observation)
        apart.append(np.append(np.abs(same.observation - wanted), abs(same.reward - after.reward)))
        told.append(np.append(after.observation, after.reward))
    if len(apart) < _LEAST:
        return None
    spread = np.std(told, axis=0)
    wrong = ~(np.asarray(apart) <= _SHARE * spread + 1e-6)  # NaN is wrong too
    return np.flatnonzero(wrong.mean(axis=0) > _OFTEN)


def _drawn(physics: _Physics, rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(physics.actions.low, physics.actions.high).astype(np.float32)


def _walked(physics: _Physics, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A state that random actions lead to, and the last of them."""
    task, previous = physics.task, np.zeros(physics.model.nu, np.float32)
    qpos, qvel = (one[0] for one in task.sample_initial_state(physics.model, rng.random((1, task.chance))))
    for _ in range(int(rng.integers(1, _WALKED))):
        previous = _drawn(physics, rng)
        physics.step(qpos, qvel, previous, previous)
        qpos, qvel = physics.data.qpos.copy(), physics.data.qvel.copy()
    return qpos, qvel, previous


def _image(
    physics: _Physics, symmetry: Symmetry, qpos: np.ndarray, qvel: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """A state that is observed as the mirror image; None if none is found."""
    wanted = symmetry.observation(physics.seen(qpos, qvel))
    for _ in range(_NEWTON):
        missing = wanted - physics.seen(qpos, qvel)
        if np.abs(missing).max() < _FOUND:
            return qpos, qvel
        slopes = physics.slopes(qpos, qvel)
        if not (np.isfinite(missing).all() and np.isfinite(slopes).all()):
            return None
        by, *_ = np.linalg.lstsq(slopes, missing, rcond=_RANK)
        turned = by[: physics.model.nv]
        turned *= min(1.0, _LONGEST / max(float(np.abs(turned).max()), 1e-12))
        qpos, qvel = physics.moved(qpos, qvel, by)
    return None


def _unseen_matters(
    physics: _Physics, qpos: np.ndarray, qvel: np.ndarray, previous: np.ndarray, action: np.ndarray, after: _Rows
) -> bool:
    """Whether another state that is observed as this one leads to something else."""
    _, values, directions = np.linalg.svd(physics.slopes(qpos, qvel))
    rank = int((values > _RANK * values[0]).sum())
    for unseen in directions[rank:]:
        other = physics.step(*physics.moved(qpos, qvel, 0.1 * unseen), previous, action)
        if not np.allclose(other.observation, after.observation, atol=1e-5) or abs(other.reward - after.reward) > 1e-5:
            return True
    return False
