"""A biped, 24 cm tall, that learns to walk: the robot of MathWorks' walking-robot example, in MuJoCo.

    r = v_x − 3 y² − 50 ẑ² + 25 Ts/Tf − 0.02 Σ u²_{t−1}        Ts = 0.025 s, Tf = 10 s, ẑ = z − 0.21 m

Observation (31): torso y, z; torso velocity x, y, z; roll, pitch, yaw; angular velocities; 6 joint angles; 6 joint
velocities (left hip, knee, ankle; right); the forces on 8 corners of the feet in multiples of body weight.
Action (6): torques in [−1, 1] × 3 N·m. The effort term uses the *previous* action, which is not observed.
The episode terminates when the torso is below 0.1 m, more than 1 m off the line, or turned by more than π/4.

Source: mathworks/msra-walking-robot (`robotParametersRL.m`, `walkerResetFcn.m`). Its balance aid, a damping of the
torso against the world, is kept; `world_damping=False` (WalkerHard) takes it away.

`terrain` makes the ground uneven: bumps and hollows about half a metre wide, level at the starting line x = 0. The
ground is the same in every episode; where along a starting line of 17.5 m the episode begins is drawn anew. z is still
measured from the level of the start: the robot is blind to the ground, and is paid for walking level over it. The
bumps end 14 m ahead, twice as far as a good walk of ten seconds; beyond them, and 2 m behind the start, the ground is
level and ends a kilometre away.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...control.mujoco_task import BOX, HEIGHT_FIELD, Model, MujocoTask, Spec, State
from ...control.mujoco_vector import MujocoVectorEnv
from ...control.mujoco_world import MujocoWorld
from ...control.symmetry import Mirror, Symmetry
from ...errors import UserError
from ...seeding import stream

_HEIGHT = 0.21  # of the torso's centre at rest, m
_LINK = 0.1  # thigh and shank, m
_HIP_ABOVE_ANKLE = 0.18
_DURATION, _STEP = 10.0, 0.025  # Tf, Ts
_PUSH_EVERY = 80  # steps
_RANDOMIZED = ("body_mass", "body_inertia", "geom_friction", "geom_pos")
# Uneven ground, in m: where it lies (x from −2 to 14, y ± 10), its grid, and how wide its bumps are.
_GROUND_BEGINS, _GROUND_LENGTH, _GROUND_WIDTH, _GRID, _BUMP = -2.0, 16.0, 20.0, 0.08, 0.15
_LEVEL, _ROUGH = 0.25, 0.75  # from the starting line, or an end: level up to here, at its full height from there on
_FAR = 1000.0  # how far the level ground goes on behind the bumps
_STRAY = 1.0  # off the line in y, where an episode terminates
# In a mirror that stands on the line y, roll, yaw and their velocities change sign, and left is right.
_LEFT_AND_RIGHT = Symmetry(
    observation=Mirror.of(
        31,
        swapped=[(i, i + 3) for i in (11, 12, 13, 17, 18, 19)] + [(i, i + 4) for i in range(23, 27)],
        negated=[0, 3, 5, 7, 8, 10],
    ),
    action=Mirror.of(6, swapped=[(0, 3), (1, 4), (2, 5)]),
)


class WalkerTask(MujocoTask):
    """The rules above. `pushes` is the largest kick to the torso's velocity, in m/s, every two seconds;
    `randomization` the largest relative change of each mass and of the floor's friction in an episode; `terrain`
    the largest height and depth of the ground, in m."""

    mjcf = Path(__file__).with_name("walker.xml")
    frame_skip = 5
    observation_size = 31
    feet = {"left": "left_foot", "right": "right_foot"}  # noqa: RUF012 (never written to)

    def __init__(
        self, world_damping: bool = True, pushes: float = 0.0, randomization: float = 0.0, terrain: float = 0.0
    ) -> None:
        if not 0.0 <= randomization < 1.0:
            raise UserError(f"randomization is {randomization}; allowed is a number from 0 to less than 1")
        if not 0.0 <= pushes < np.inf:
            raise UserError(f"pushes is {pushes}; allowed is 0 m/s or more")
        if not 0.0 <= terrain <= 0.05:
            raise UserError(f"terrain is {terrain}; allowed are 0 to 0.05 m")
        self._world_damping, self._pushes, self._randomization = world_damping, pushes, randomization
        self._terrain = terrain
        self.symmetry = None if terrain else _LEFT_AND_RIGHT  # of masses and pushes in distribution; bumps have none
        self._weight = 1.0  # newtons; `configure` knows
        self._masses = self._floor = 0
        self._nominal: dict[str, np.ndarray] = {}
        self.chance = 4

    def edit(self, spec: Spec) -> None:
        """Turn the plane of the floor into a height field, where there is terrain."""
        if self._terrain == 0.0:
            return
        heights = _bumps(round(_GROUND_WIDTH / _GRID) + 1, round(_GROUND_LENGTH / _GRID) + 1)
        size = [_GROUND_LENGTH / 2, _GROUND_WIDTH / 2, 2.0 * self._terrain, 0.1]
        rows, columns = heights.shape
        spec.add_hfield(name="ground", size=size, nrow=rows, ncol=columns, userdata=heights.ravel())
        floor = spec.geom("floor")
        floor.type, floor.hfieldname = HEIGHT_FIELD, "ground"
        # Off the origin, or the compiler takes the geom for one that never moves in its body.
        floor.pos = [_GROUND_BEGINS + _GROUND_LENGTH / 2, 0.0, -self._terrain]
        for name, edge, way in (("behind", _GROUND_BEGINS, -1.0), ("beyond", _GROUND_BEGINS + _GROUND_LENGTH, 1.0)):
            level = spec.worldbody.add_geom(name=name, type=BOX, size=[_FAR / 2, _GROUND_WIDTH / 2, 0.5])
            level.pos = [edge + way * _FAR / 2, 0.0, -0.5]
            level.material, level.rgba, level.friction = floor.material, floor.rgba, floor.friction
            level.contype, level.conaffinity = floor.contype, floor.conaffinity

    def configure(self, model: Model) -> None:
        """Damping of the torso against the world, in N/(m/s) and N·m/(rad/s)."""
        if self._world_damping:
            model.dof_damping[0:3], model.dof_damping[3:6] = 1e-3, 5e-2
        self._weight = float(model.body_mass.sum() * np.linalg.norm(model.opt.gravity))
        self._masses, self._floor = model.nbody - 1, model.geom("floor").id
        self._nominal = {name: getattr(model, name).copy() for name in _RANDOMIZED}
        self.chance = 6 + self._masses
        if self._terrain:
            self.chance += 1  # the last

    def observe(self, state: State) -> np.ndarray:
        """The 31 numbers, [n, 31]."""
        position, velocity = state.qpos, state.qvel
        seen = np.empty((len(position), 31))
        seen[:, 0:2] = position[:, 1:3]
        seen[:, 2:5] = velocity[:, 0:3]
        seen[:, 5:8] = state.roll_pitch_yaw
        seen[:, 8:11] = velocity[:, 3:6]
        seen[:, 11:17] = position[:, 7:13]
        seen[:, 17:23] = velocity[:, 6:12]
        seen[:, 23:31] = state.sensordata / self._weight
        return seen

    def reward_terms(self, state: State, action: np.ndarray, previous: np.ndarray) -> dict[str, np.ndarray]:
        """The five terms of r, weighted."""
        y, z = state.qpos[:, 1], state.qpos[:, 2]
        return {
            "forward": state.qvel[:, 0].copy(),
            "centre": -3.0 * y**2,
            "height": -50.0 * (z - _HEIGHT) ** 2,
            "alive": np.full(len(y), 25.0 * _STEP / _DURATION),
            "effort": -0.02 * (previous.astype(np.float64) ** 2).sum(axis=1),
        }

    def terminated(self, state: State) -> np.ndarray:
        """Fallen, astray or turned away."""
        y, z = state.qpos[:, 1], state.qpos[:, 2]
        turned = (np.abs(state.roll_pitch_yaw) > np.pi / 4).any(axis=1)
        return (z < 0.1) | (np.abs(y) > _STRAY) | turned

    def sample_initial_state(self, model: Model, chance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Half of the episodes begin at rest with the feet together, up to 1 cm off the line (MathWorks' begin on it:
        to an agent without chance they would be one episode); the others with one foot up to 5 cm ahead and the other
        as far behind, and half of those moving at up to 5 cm/s."""
        qpos, qvel = np.tile(model.qpos0, (len(chance), 1)), np.zeros((len(chance), model.nv))
        displaced, moving = chance[:, 0] >= 0.5, chance[:, 0] >= 0.75
        qpos[:, 1] = np.where(displaced, 0.0, 0.02 * chance[:, 1] - 0.01)
        ahead = np.where(displaced, 0.1 * chance[:, 1] - 0.05, 0.0)
        qpos[:, 7:10], qpos[:, 10:13] = _leg_angles(np.stack([ahead, -ahead]))
        qvel[:, 0] = np.where(moving, 0.1 * chance[:, 2] - 0.05, 0.0)
        qvel[:, 1] = np.where(moving, 0.05 * chance[:, 3] - 0.025, 0.0)
        return qpos, qvel

    def metrics(self, state: State) -> dict[str, np.ndarray]:
        """Metres walked along x."""
        return {"distance": state.qpos[:, 0].copy()}

    def signals(self, state: State) -> dict[str, np.ndarray]:
        """How high and how fast it walks."""
        return {
            "torso height (m)": state.qpos[:, 2].copy(),
            "forward speed (m/s)": state.qvel[:, 0].copy(),
        }

    def randomize(self, model: Model, chance: np.ndarray) -> dict[str, np.ndarray]:
        """Masses (with their inertia) and friction, each scaled by its own factor in 1 ± randomization; and the
        place of the ground, which moves along the starting line under the robot."""
        fields: dict[str, np.ndarray] = {}
        if self._terrain:
            reach = _GROUND_WIDTH / 2 - _STRAY - 0.25  # a leg stretched out sideways stays on it
            fields["geom_pos"] = np.tile(self._nominal["geom_pos"], (len(chance), 1, 1))
            fields["geom_pos"][:, self._floor, 1] = reach * (2.0 * chance[:, -1] - 1.0)
        if self._randomization == 0.0:
            return fields
        scale = 1.0 + self._randomization * (2.0 * chance[:, 4 : 5 + self._masses] - 1.0)
        mass, friction = np.ones((len(chance), model.nbody)), scale[:, self._masses, None, None]
        mass[:, 1:] = scale[:, : self._masses]
        return fields | {
            "body_mass": self._nominal["body_mass"] * mass,
            "body_inertia": self._nominal["body_inertia"] * mass[:, :, None],
            "geom_friction": self._nominal["geom_friction"] * friction,
        }

    def push(self, age: np.ndarray, chance: np.ndarray) -> np.ndarray | None:
        """Every two seconds a kick along x and y, uniform up to ± pushes, for as long as an episode lasts."""
        if self._pushes == 0.0:
            return None
        change = np.zeros((len(age), 12))
        for row in np.flatnonzero((age % _PUSH_EVERY == 0) & (age > 0)):
            # One number of an episode's chance names a stream, for nobody knows how many kicks there will be.
            episode = int(chance[row, 5 + self._masses] * 2.0**53)
            drawn = stream(episode, "push", int(age[row]) // _PUSH_EVERY).random(2)
            change[row, 0:2] = self._pushes * (2.0 * drawn - 1.0)
        return change


class Walker(MujocoWorld):
    """A biped that learns to walk (MuJoCo; 31 observations, 6 torques)."""

    def __init__(
        self,
        world_damping: bool = True,
        pushes: float = 0.0,
        randomization: float = 0.0,
        terrain: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(WalkerTask(world_damping, pushes, randomization, terrain), render_mode)


def make_vec_walker(
    num_envs: int,
    max_episode_steps: int = 400,
    world_damping: bool = True,
    pushes: float = 0.0,
    randomization: float = 0.0,
    terrain: float = 0.0,
    threads: int | None = None,
) -> MujocoVectorEnv:
    """What `gymnasium.make_vec("peripatos/Walker-v0", num_envs, "vector_entry_point")` gives."""
    task = WalkerTask(world_damping, pushes, randomization, terrain)
    return MujocoVectorEnv(task, num_envs, threads=threads, max_episode_steps=max_episode_steps)


def _bumps(rows: int, columns: int) -> np.ndarray:
    """Heights [rows (y), columns (x)] of the ground: smoothed noise, always the same, level at the starting line
    and at both ends. It is clipped, so that it reaches −1 and 1: a compiled height field is stretched to its full
    range."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(stream(0, "terrain").standard_normal((rows, columns)), _BUMP / _GRID, mode="wrap")
    along = _GRID * np.arange(columns)
    ends = np.minimum(along, _GROUND_LENGTH - along)
    rough = np.clip((np.minimum(np.abs(_GROUND_BEGINS + along), ends) - _LEVEL) / (_ROUGH - _LEVEL), 0.0, 1.0)
    return np.clip(noise / (1.5 * noise.std()), -1.0, 1.0) * rough**2 * (3.0 - 2.0 * rough)


def _leg_angles(ahead: np.ndarray) -> np.ndarray:
    """Hip, knee and ankle [..., 3] that put a flat foot `ahead` of the hip [...], by the cosine rule; knees bend
    forward. A positive angle swings what hangs below the joint back."""
    reach = np.hypot(ahead, _HIP_ABOVE_ANKLE)
    half_bend = np.arccos(reach / (2.0 * _LINK))
    hip = -np.arctan2(ahead, _HIP_ABOVE_ANKLE) - half_bend
    knee = 2.0 * half_bend
    return np.stack([hip, knee, -hip - knee], axis=-1)
