"""One simulation of a MuJoCo task, as a `gymnasium.Env`: the n = 1 case of `mujoco_batch`, bit for bit."""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled modules carry no type information)

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import headless  # noqa: F401

# isort: split
import gymnasium as gym
import mujoco
import numpy as np

from ..errors import UserError
from ..vocabulary import WorldFailure
from .mujoco_batch import MujocoBatch
from .mujoco_drawing import make_renderer, picture
from .mujoco_feet import feet_signals
from .mujoco_task import DIVERGED, MujocoTask, State, action_space, diverged, fits, not_finite, observation_space, total
from .symmetry_exact import broken_numbers
from .world_batch import WorldBatch, checked_action

if TYPE_CHECKING:
    from mujoco.viewer import Handle


_WAYS = ("reset", "step", "_state")  # methods in which a world may do what its task does not


class MujocoWorld(gym.Env[np.ndarray, np.ndarray]):
    """One simulation of a task, as a `gymnasium.Env`; `make_batch` gives many.

    `info` holds `reward_terms` and `metrics`, and `signals` where it renders. `WorldFailure` is raised where the
    simulation diverges.
    """

    metadata: dict[str, Any] = {"render_modes": ["human", "rgb_array"], "render_fps": 40}  # noqa: RUF012

    def __init__(self, task: MujocoTask, render_mode: str | None = None) -> None:
        self.task, self.symmetry = task, task.symmetry
        self.model = task.load_model()
        self.data = mujoco.MjData(self.model)
        seconds = task.frame_skip * self.model.opt.timestep
        self.metadata = {**self.metadata, "render_fps": round(1.0 / seconds, 9)}
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise UserError(f"render_mode is {render_mode!r}; allowed: human, rgb_array")
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
        if not fits(observation[None], np.asarray([reward]))[0]:
            raise WorldFailure(not_finite(int(self._age[0])))
        self._previous[:] = control
        self._age += 1
        if self.render_mode == "human":
            self.render()
        info = {"reward_terms": _first(terms), "metrics": _first(self.task.metrics(state))}
        if self.render_mode is not None:
            feet = feet_signals(self.model, self.data, self.task.feet)
            info["signals"] = {**feet, **_first(self.task.signals(state))}
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
        return MujocoBatch(self.task, n, threads=threads, max_episode_steps=max_episode_steps)

    def own_ways(self) -> tuple[str, ...]:
        """What a subclass changed besides the task, which is all that the pool knows; nothing where it makes its own
        batches."""
        kind = type(self)
        if kind.make_batch is not MujocoWorld.make_batch:
            return ()
        ways = [way for way in _WAYS if way in vars(self) or getattr(kind, way) is not getattr(MujocoWorld, way)]
        model = self.task.load_model()
        spaces = {"observation_space": observation_space(self.task), "action_space": action_space(model)}
        ways += [name for name, space in spaces.items() if getattr(self, name) != space]
        return (*ways, *(["model"] if not np.array_equal(_bytes(self.model), _bytes(model)) else []))

    def broken_numbers(self) -> np.ndarray | None:
        """Which numbers its symmetry does not keep (`symmetry_exact`); None where that cannot be told, or where it is
        not the task that says what a step is."""
        if self.symmetry is None or not {*self.own_ways()} <= {"model"}:  # which chance may have changed
            return None
        return broken_numbers(self.task, self.symmetry)

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


def _bytes(model: mujoco.MjModel) -> np.ndarray:
    """All that is in a compiled model."""
    buffer = np.zeros(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, buffer)
    return buffer


def _first(values: Mapping[str, np.ndarray]) -> dict[str, float]:
    return {name: float(array[0]) for name, array in values.items()}
