"""A MuJoCo world in two parts: an MJCF file, and a task that says what is seen, earned and lost in it.

A task is a handful of NumPy functions over *many* simulations at once (`qpos` is [n, nq]); it owns no physics.
The single environment below is their n = 1 case on one `MjData`; `mujoco_batch` runs the very same functions over
a pool, bit for bit.

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
from typing import TYPE_CHECKING, Any, TypeAlias

from . import headless  # noqa: F401

# isort: split
import gymnasium as gym
import mujoco
import numpy as np
from gymnasium.spaces import Box

from ..errors import UserError
from ..vocabulary import WorldFailure
from .world_batch import WorldBatch, checked_action

if TYPE_CHECKING:
    from mujoco.viewer import Handle

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
HEIGHT_FIELD = mujoco.mjtGeom.mjGEOM_HFIELD


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

    mjcf: Path
    frame_skip: int  # mj_steps in one step of the world
    observation_size: int
    chance: int = 0  # uniforms in [0, 1) that one reset consumes

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
        """Numbers to draw over time beside a film [n], asked for only while a single world renders: the force on
        a foot in multiples of body weight as `contact/NAME`, anything else by a name that says its unit."""
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
            raise UserError(f"{self.mjcf.name} is no valid MJCF: {error}") from error
        self.configure(model)
        self._check_sizes(model)
        return model

    def _check_sizes(self, model: Model) -> None:
        """Try the functions on two simulations; `UserError` where one of them does not map rows to rows."""
        state = State(np.tile(model.qpos0, (2, 1)), np.zeros((2, model.nv)), np.zeros((2, model.nsensordata)))
        control, name = np.zeros((2, model.nu), np.float32), type(self).__name__
        shape = np.shape(self.observe(state))
        if shape != (2, self.observation_size):
            raise UserError(
                f"{name} observes {shape} in 2 simulations; its observation_size is {self.observation_size}"
            )
        per_world = {f"reward term {term!r}": v for term, v in self.reward_terms(state, control, control).items()}
        for what, value in {**per_world, "terminated": self.terminated(state)}.items():
            if np.shape(value) != (2,):
                raise UserError(f"{name}: {what} has shape {np.shape(value)} in 2 simulations; (2,) is needed")


def diverged(step: int) -> str:
    """How the failure is called in which MuJoCo found a state or an acceleration out of all bounds."""
    return f"the simulation diverged at step {step}"


def not_finite(step: int) -> str:
    """How the failure is called in which MuJoCo found nothing, but the task's numbers are no numbers."""
    return f"an observation or the reward is not finite at step {step}"


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


class MujocoWorld(gym.Env[np.ndarray, np.ndarray]):
    """One simulation of a task, as a `gymnasium.Env`; `make_batch` gives many.

    `info` holds `reward_terms` and `metrics`, and `signals` where it renders. `WorldFailure` is raised where the
    simulation diverges.
    """

    metadata: dict[str, Any] = {"render_modes": ["human", "rgb_array"], "render_fps": 40}  # noqa: RUF012

    def __init__(self, task: MujocoTask, render_mode: str | None = None) -> None:
        self.task = task
        self.model = task.load_model()
        self.data = mujoco.MjData(self.model)
        seconds = task.frame_skip * self.model.opt.timestep
        self.metadata = {**self.metadata, "render_fps": round(1.0 / seconds)}
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise UserError(f"render_mode {render_mode!r}: allowed are 'human' and 'rgb_array'")
        self.render_mode = render_mode
        self.observation_space = observation_space(task)
        self.action_space = self._controls = action_space(self.model)
        self._previous = np.zeros((1, self.model.nu), np.float32)
        self._chance = np.zeros((1, task.chance))
        self._age = np.zeros(1, np.int64)
        self._renderer: mujoco.Renderer | None = None
        self._viewer: Handle | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """A new episode, drawn from `self.np_random`."""
        super().reset(seed=seed)
        self._chance = self.np_random.random((1, self.task.chance))
        fields = self.task.randomize(self.model, self._chance)
        for name, values in fields.items():
            getattr(self.model, name)[:] = values[0]
        if fields:
            mujoco.mj_setConst(self.model, self.data)
        mujoco.mj_resetData(self.model, self.data)
        qpos, qvel = self.task.sample_initial_state(self.model, self._chance)
        self.data.qpos[:], self.data.qvel[:] = qpos[0], qvel[0]
        mujoco.mj_forward(self.model, self.data)
        self._previous[:] = 0.0
        self._age[:] = 0
        state = self._state()
        if self.render_mode == "human":
            self.render()
        return self.task.observe(state).astype(np.float32)[0], {"metrics": _first(self.task.metrics(state))}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """`frame_skip` substeps with the controls `action` [nu], clipped to their ranges."""
        control = checked_action(np.asarray(action)[None], 1, self._controls)
        kick = self.task.push(self._age, self._chance)
        if kick is not None:
            self.data.qvel[:] += kick[0]
        self.data.ctrl[:] = control[0]
        try:
            mujoco.mj_step(self.model, self.data, self.task.frame_skip)
        except mujoco.FatalError as error:
            raise WorldFailure(f"MuJoCo raised: {error}") from error
        if any(self.data.warning[kind].number for kind in DIVERGED):
            raise WorldFailure(diverged(int(self._age[0])))
        state = self._state()
        observation = self.task.observe(state).astype(np.float32)[0]
        terms = self.task.reward_terms(state, control, self._previous)
        reward = float(total(terms)[0])
        if not (np.isfinite(observation).all() and np.isfinite(reward)):
            raise WorldFailure(not_finite(int(self._age[0])))
        self._previous[:] = control
        self._age += 1
        if self.render_mode == "human":
            self.render()
        info = {"reward_terms": _first(terms), "metrics": _first(self.task.metrics(state))}
        if self.render_mode is not None:
            info["signals"] = _first(self.task.signals(state))
        return observation, reward, bool(self.task.terminated(state)[0]), False, info

    def render(self) -> np.ndarray | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A picture [480, 640, 3] uint8 for "rgb_array"; for "human" the viewer is brought up to date."""
        if self.render_mode == "human":
            if self._viewer is None:
                from mujoco import viewer

                self._viewer = viewer.launch_passive(self.model, self.data)
            self._viewer.sync()
            return None
        if self.render_mode is None:
            raise UserError('this world was made to run blind: make it with render_mode="rgb_array"')
        if self._renderer is None:
            self._renderer = make_renderer(self.model)
        return picture(self._renderer, self.model, self.data)

    def make_batch(self, n: int, *, threads: int | None, max_episode_steps: int | None) -> WorldBatch:
        """`n` simulations of the same task on a pool."""
        from .mujoco_batch import MujocoBatch

        return MujocoBatch(self.task, n, threads=threads, max_episode_steps=max_episode_steps)

    def close(self) -> None:
        """Close what draws."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
        if self._viewer is not None:
            self._viewer.close()
            self._viewer = None

    def _state(self) -> State:
        return State(self.data.qpos[None], self.data.qvel[None], self.data.sensordata[None])


def make_renderer(model: Model) -> mujoco.Renderer:
    """Something that draws 640 × 480 without a window. `UserError` says what is missing."""
    try:
        return mujoco.Renderer(model, 480, 640)
    except (ImportError, AttributeError, RuntimeError, mujoco.FatalError) as error:
        raise UserError(
            f"MuJoCo cannot draw here ({error}); on Linux without a display install libegl1 (MUJOCO_GL=egl) or "
            "libosmesa6 (MUJOCO_GL=osmesa)"
        ) from error


def picture(renderer: mujoco.Renderer, model: Model, data: mujoco.MjData) -> np.ndarray:
    """What the model's first camera sees, or a free camera where it has none; an array of the caller's own."""
    renderer.update_scene(data, camera=0 if model.ncam else -1)
    return renderer.render().copy()


def _first(values: Mapping[str, np.ndarray]) -> dict[str, float]:
    return {name: float(array[0]) for name, array in values.items()}
