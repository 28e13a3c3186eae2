"""A second robot, to show what a MuJoCo world costs to write: swing up a pole on a cart and keep it there.

    r = Ts · [ (1 + cos θ)/2 · (1 − x²/8) − 0.01 u² ]        Ts = 0.02 s, ten seconds: at most 10

Observation (5): position of the cart, cos θ, sin θ, velocity of the cart, angular velocity. Action (1): the force
in [−1, 1] × 10 N. Nothing terminates an episode.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...control.mujoco_task import Model, MujocoTask, State
from ...control.mujoco_vector import MujocoVectorEnv
from ...control.mujoco_world import MujocoWorld
from ...control.symmetry import Mirror, Symmetry


class SwingupTask(MujocoTask):
    """The rules above."""

    mjcf = Path(__file__).with_name("cartpole_swingup.xml")
    frame_skip = 2
    observation_size = 5
    chance = 2
    symmetry = Symmetry(Mirror.of(5, negated=[0, 2, 3, 4]), Mirror.of(1, negated=[0]))

    def observe(self, state: State) -> np.ndarray:
        """The five numbers, [n, 5]."""
        x, angle = state.qpos[:, 0], state.qpos[:, 1]
        return np.stack([x, np.cos(angle), np.sin(angle), state.qvel[:, 0], state.qvel[:, 1]], axis=1)

    def reward_terms(self, state: State, action: np.ndarray, previous: np.ndarray) -> dict[str, np.ndarray]:
        """Upright and near the middle, with little force."""
        x, angle = state.qpos[:, 0], state.qpos[:, 1]
        upright = 0.5 * (1.0 + np.cos(angle)) * (1.0 - x**2 / 8.0)
        return {"upright": 0.02 * upright, "effort": -0.0002 * action[:, 0].astype(np.float64) ** 2}

    def terminated(self, state: State) -> np.ndarray:
        """Never."""
        return np.zeros(len(state.qpos), bool)

    def sample_initial_state(self, model: Model, chance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hanging, within 0.1 rad, somewhere in the middle metre."""
        offset = np.stack([chance[:, 0] - 0.5, np.pi + 0.2 * (chance[:, 1] - 0.5)], axis=1)
        return offset, np.zeros((len(chance), model.nv))


class CartpoleSwingup(MujocoWorld):
    """Swing up a pole on a cart and keep it there (MuJoCo; 5 observations, 1 force)."""

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(SwingupTask(), render_mode)


def make_vec_swingup(num_envs: int, max_episode_steps: int = 500, threads: int | None = None) -> MujocoVectorEnv:
    """What `gymnasium.make_vec("peripatos/CartpoleSwingup-v0", num_envs, "vector_entry_point")` gives."""
    return MujocoVectorEnv(SwingupTask(), num_envs, threads=threads, max_episode_steps=max_episode_steps)
