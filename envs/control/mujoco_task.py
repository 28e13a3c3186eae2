"""A MuJoCo world in two parts: an MJCF file, and a task that says what is seen, earned and lost in it.

A task is a handful of NumPy functions over *many* simulations at once (`qpos` is [n, nq]); it owns no physics.
A single environment is their n = 1 case on one `MjData` (`mujoco_world`); `mujoco_batch` runs the very same functions
over a pool, bit for bit.

    u_t  →  frame_skip × mj_step  →  state  →  observe, reward terms, terminated

Sensors describe the state before the last substep, as always after `mj_step`; at a reset they are current.
Left out: tasks that read anything but qpos, qvel and sensordata (add a sensor to the MJCF instead).
"""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled modules carry no type information)

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from pathlib import Path
from typing import TypeAlias

from . import headless

# isort: split
import mujoco
import numpy as np
from gymnasium.spaces import Box

from ..errors import UserError
from ..reported import LARGEST
from .mujoco_feet import check_feet
from .symmetry import Symmetry

headless.leave_no_log()

DIVERGED = [
    int(kind)
    for kind in (
        mujoco.mjtWarning.mjWARN_BADQPOS,
        mujoco.mjtWarning.mjWARN_BADQVEL,
        mujoco.mjtWarning.mjWARN_BADQACC,
    )
]

Model: TypeAlias = mujoco.MjModel  # by these names tasks are told about the physics, without importing it
Spec: TypeAlias = mujoco.MjSpec
BOX, HEIGHT_FIELD = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_HFIELD


@dataclass(frozen=True)
class State:
    """What a task may look at, for n simulations. The arrays may be live: a task reads them and keeps nothing."""

    qpos: np.ndarray  # [n, nq]
    qvel: np.ndarray  # [n, nv]
    sensordata: np.ndarray  # [n, nsensordata]

    @cached_property
    def roll_pitch_yaw(self) -> np.ndarray:
        """Angles [n, 3] of a robot whose first joint is free: turned about z, then y, then x. Worked out once."""
        w, x, y, z = self.qpos[:, 3], self.qpos[:, 4], self.qpos[:, 5], self.qpos[:, 6]
        angles = np.empty((len(self.qpos), 3))
        angles[:, 0] = np.arctan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y))
        angles[:, 1] = np.arcsin(np.clip(2.0 * (w * y - z * x), -1.0, 1.0))
        angles[:, 2] = np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
        return angles


class MujocoTask(ABC):
    """The rules of a world. Every function maps n rows to n rows, and no row depends on another."""

    mjcf: Path | str
    frame_skip: int  # mj_steps in one step of the world
    observation_size: int
    chance: int = 0  # uniforms in [0, 1) that one reset consumes
    symmetry: Symmetry | None = None  # that rules and physics keep
    feet: Mapping[str, str] = {}  # bodies by the names of feet, of whose contacts a film tells (`mujoco_feet`)

    @abstractmethod
    def observe(self, state: State) -> np.ndarray:
        """Observations [n, observation_size]."""

    @abstractmethod
    def reward_terms(self, state: State, action: np.ndarray, previous: np.ndarray) -> dict[str, np.ndarray]:
        """The weighted terms [n] of the reward, which is their sum. `action` [n, nu] led to `state`; `previous`
        is the one before (zeros at the first step)."""

    @abstractmethod
    def terminated(self, state: State) -> np.ndarray:
        """Where the episode is over [n] bool."""

    @abstractmethod
    def sample_initial_state(self, model: Model, chance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`qpos` [n, nq] and `qvel` [n, nv] of new episodes, as a function of `chance` [n, self.chance]."""

    def metrics(self, state: State) -> dict[str, np.ndarray]:
        """Numbers to report that are no reward [n]."""
        return {}

    def signals(self, state: State) -> dict[str, np.ndarray]:
        """Numbers to draw over time beside a film [n], asked for only while a single world renders, by names that say
        their units."""
        return {}

    def edit(self, spec: Spec) -> None:  # noqa: B027 (as `configure`)
        """Change what the MJCF says before it is compiled, once."""

    def configure(self, model: Model) -> None:  # noqa: B027 (most tasks have nothing to change)
        """Change the compiled model, once."""

    def randomize(self, model: Model, chance: np.ndarray) -> dict[str, np.ndarray]:
        """Fields of the model that differ between episodes, [n, …] each; always the same names."""
        return {}

    def push(self, age: np.ndarray, chance: np.ndarray) -> np.ndarray | None:
        """What is added to `qvel` [n, nv] before the step number `age` [n] of each episode; None: never anything."""
        return None

    def load_model(self) -> Model:
        """The compiled model. `UserError` where the MJCF is malformed or the task lies about its sizes."""
        try:
            spec = Spec.from_file(str(self.mjcf))
            self.edit(spec)
            model = spec.compile()
        except ValueError as error:
            raise UserError(f"{Path(self.mjcf).name} is no MJCF: {error}") from error
        self.configure(model)
        check_feet(model, self.feet)
        self._check_sizes(model)
        return model

    def _check_sizes(self, model: Model) -> None:
        """Try the functions on two simulations; `UserError` where one of them does not map rows to rows of numbers."""
        state = State(np.tile(model.qpos0, (2, 1)), np.zeros((2, model.nv)), np.zeros((2, model.nsensordata)))
        control, name = np.zeros((2, model.nu), np.float32), type(self).__name__
        seen = np.asarray(self.observe(state))
        if seen.shape != (2, self.observation_size):
            raise UserError(
                f"{name} observes {seen.shape} in 2 simulations; its observation_size is {self.observation_size}"
            )
        terms, terminated = self.reward_terms(state, control, control), np.asarray(self.terminated(state))
        per_world = {f"reward term {term!r}": np.asarray(v) for term, v in terms.items()}
        per_world |= {f"metric {metric!r}": np.asarray(v) for metric, v in self.metrics(state).items()}
        for what, value in {**per_world, "terminated": terminated}.items():
            if value.shape != (2,):
                raise UserError(f"{name}: {what} has shape {value.shape} in 2 simulations; (2,) is needed")
        for what, value in {**per_world, "the observation": seen}.items():
            if value.dtype.kind not in "biuf":
                raise UserError(f"{name}: {what} is of type {value.dtype}; numbers are needed")
        if terminated.dtype != bool:
            raise UserError(f"{name}: terminated is of type {terminated.dtype}; bool is needed")


def diverged(step: int) -> str:
    """How the failure is called in which MuJoCo found a state or an acceleration out of all bounds."""
    return f"the simulation diverged at step {step}"


def not_finite(step: int) -> str:
    """How the failure is called in which MuJoCo found nothing, but the task's numbers are no numbers."""
    return f"an observation or the reward is not finite, or does not fit into float32, at step {step}"


def fits(observation: np.ndarray, reward: np.ndarray) -> np.ndarray:
    """Where float32 holds what is seen and earned [n]."""
    return np.isfinite(observation).all(axis=1) & (np.abs(reward) <= LARGEST)


def action_space(model: Model) -> Box:
    """Controls within their ranges; ±1 where an actuator has none."""
    limited = model.actuator_ctrllimited.astype(bool)
    low = np.where(limited, model.actuator_ctrlrange[:, 0], -1.0).astype(np.float32)
    high = np.where(limited, model.actuator_ctrlrange[:, 1], 1.0).astype(np.float32)
    return Box(low, high, dtype=np.float32)


def observation_space(task: MujocoTask) -> Box:
    """Unbounded: what bounds a robot's senses is physics, not a declaration."""
    return Box(-np.inf, np.inf, (task.observation_size,), np.float32)


def total(terms: Mapping[str, np.ndarray]) -> np.ndarray:
    """The reward [n]: the terms added in their order."""
    return reduce(np.add, terms.values())
