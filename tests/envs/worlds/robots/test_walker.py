"""The walker is the robot that it says it is, and its physics do not depend on the time step."""

import gymnasium as gym
import numpy as np
import pytest

from peripatos.agents.control.control_actor import ControlActor
from peripatos.agents.control.scripted import ScriptedAgent
from peripatos.envs.errors import UserError
from peripatos.envs.world_source import WorldSource
from peripatos.envs.worlds.robots.walker import Walker, WalkerTask, _leg_angles


def _play(world, seed, actions):
    world.reset(seed=seed)
    steps = []
    for action in actions:
        steps.append(world.step(action))
        if steps[-1][2] or steps[-1][3]:
            break
    return steps


def test_the_robot_weighs_what_its_parts_weigh():
    legs = 4 * 500 * np.pi * 0.0075**2 * 0.1
    expected = 500 * 0.05 * 0.08 * 0.08 + legs + 2 * 1000 * 0.05 * 0.04 * 0.01
    assert Walker().model.body_mass.sum() == pytest.approx(expected, rel=1e-6)


def test_standing_still_the_feet_carry_exactly_the_weight():
    world = Walker()
    steps = _play(world, 1, np.zeros((20, 6), np.float32))
    assert steps[-1][0][23:31].sum() == pytest.approx(1.0, abs=0.01)


def test_a_zero_action_stands_for_ten_seconds_and_scores_about_22():
    world = gym.make("peripatos/Walker-v0")
    world.reset(seed=0)
    rewards, truncated = [], False
    while not truncated:
        _, reward, terminated, truncated, _ = world.step(np.zeros(6, np.float32))
        rewards.append(reward)
        assert not terminated
    assert len(rewards) == 400
    assert 20.0 < sum(rewards) < 26.0


def test_the_reward_is_the_formula_applied_to_the_state_by_hand():
    world = Walker()
    rng = np.random.default_rng(5)
    world.reset(seed=5)
    previous = np.zeros(6)
    for _ in range(10):
        action = rng.uniform(-1, 1, 6).astype(np.float32)
        _, reward, _, _, info = world.step(action)
        y, z, vx = world.data.qpos[1], world.data.qpos[2], world.data.qvel[0]
        by_hand = vx - 3 * y**2 - 50 * (z - 0.21) ** 2 + 25 * 0.025 / 10 - 0.02 * np.sum(previous**2)
        assert reward == pytest.approx(by_hand, abs=1e-12)
        assert sum(info["reward_terms"].values()) == pytest.approx(reward, abs=1e-12)
        assert info["metrics"]["distance"] == world.data.qpos[0]
        previous = action.astype(np.float64)


def test_the_observation_lists_the_state_in_the_documented_order():
    import mujoco  # not before the walker, which chooses how to draw

    world = Walker()
    world.reset(seed=2)
    for _ in range(5):
        seen, *_ = world.step(np.array([1, -0.5, 0.3, -1, 0.5, 1], np.float32))
    d = world.data
    assert seen[0:2] == pytest.approx(d.qpos[1:3], rel=1e-6)
    assert seen[2:5] == pytest.approx(d.qvel[0:3], rel=1e-6)
    mujoco.mj_kinematics(world.model, d)
    r = d.body("torso").xmat.reshape(3, 3)
    angles = [np.arctan2(r[2, 1], r[2, 2]), -np.arcsin(r[2, 0]), np.arctan2(r[1, 0], r[0, 0])]
    assert seen[5:8] == pytest.approx(angles, abs=1e-6)
    assert np.abs(seen[5:8]).max() > 0.02
    assert seen[8:11] == pytest.approx(d.qvel[3:6], rel=1e-6)
    names = [f"{side}_{joint}" for side in ("left", "right") for joint in ("hip", "knee", "ankle")]
    assert seen[11:17] == pytest.approx([d.joint(name).qpos[0] for name in names], rel=1e-6)
    assert seen[17:23] == pytest.approx([d.joint(name).qvel[0] for name in names], rel=1e-6)


@pytest.mark.parametrize(
    ("index", "value", "over"),
    [(2, 0.099, True), (2, 0.101, False), (1, 1.01, True), (1, -1.01, True), (1, 0.99, False)],
)
def test_an_episode_terminates_below_ten_centimetres_or_a_metre_astray(index, value, over):
    world = Walker()
    world.reset(seed=0)
    world.data.qpos[index] = value
    assert bool(world.task.terminated(world._state())[0]) is over


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("angle", "over"), [(0.8, True), (-0.8, True), (0.77, False)])
def test_an_episode_terminates_when_the_torso_turns_by_45_degrees(axis, angle, over):
    world = Walker()
    world.reset(seed=0)
    world.data.qpos[3:7] = [np.cos(angle / 2), *(np.sin(angle / 2) * np.eye(3)[axis])]
    assert bool(world.task.terminated(world._state())[0]) is over


@pytest.mark.parametrize("ahead", [-0.05, 0.0, 0.03, 0.05])
def test_inverse_kinematics_put_a_flat_foot_where_it_was_asked(ahead):
    hip, knee, ankle = _leg_angles(np.array([ahead]))[0]
    x = -0.1 * np.sin(hip) - 0.1 * np.sin(hip + knee)
    z = -0.1 * np.cos(hip) - 0.1 * np.cos(hip + knee)
    assert (x, z) == pytest.approx((ahead, -0.18))
    assert hip + knee + ankle == pytest.approx(0.0)
    assert abs(hip) < np.pi / 4
    assert abs(ankle) < np.pi / 4
    assert 0 < knee < np.pi


def test_half_of_the_episodes_begin_at_rest_and_a_quarter_begin_moving():
    task = WalkerTask()
    model = task.load_model()
    _, qvel = task.sample_initial_state(model, np.random.default_rng(0).random((4000, task.chance)))
    qpos, _ = task.sample_initial_state(model, np.random.default_rng(0).random((4000, task.chance)))
    displaced = qpos[:, 7] != qpos[:, 10]
    assert displaced.mean() == pytest.approx(0.5, abs=0.03)
    assert (qvel[:, 0] != 0).mean() == pytest.approx(0.25, abs=0.03)
    assert np.abs(qvel[:, 0]).max() <= 0.05
    assert np.abs(qvel[:, 1]).max() <= 0.025


def test_a_five_times_smaller_time_step_does_not_change_how_high_or_fast_the_robot_gets():
    """The trap: with too little armature the constraint solver and the implicit damping disagree, and it flies."""

    def extremes(factor):
        height, speed = 0.0, 0.0
        for seed in range(6):
            world = Walker()
            world.model.opt.timestep /= factor
            world.task.frame_skip *= factor
            rng = np.random.default_rng(seed)
            world.reset(seed=seed)
            for _ in range(80):
                _, _, terminated, _, _ = world.step(rng.uniform(-1, 1, 6).astype(np.float32))
                height = max(height, world.data.qpos[2])
                speed = max(speed, abs(world.data.qvel[0]))
                if terminated:
                    break
        return height, speed

    (height, speed), (fine_height, fine_speed) = extremes(1), extremes(5)
    assert height < 0.26
    assert speed < 0.9
    assert height == pytest.approx(fine_height, abs=0.02)
    assert speed == pytest.approx(fine_speed, abs=0.2)


def test_without_the_balance_aid_the_torso_is_undamped():
    assert Walker(world_damping=False).model.dof_damping[:6].tolist() == [0.0] * 6
    assert Walker().model.dof_damping[:6].tolist() == [1e-3] * 3 + [5e-2] * 3
    hard = gym.make("peripatos/WalkerHard-v0").unwrapped
    assert isinstance(hard, Walker)
    assert hard.model.dof_damping[:6].tolist() == [0.0] * 6


def test_pushes_kick_every_two_seconds_and_are_reproduced_by_the_seed():
    world, calm = Walker(pushes=0.5), Walker()
    actions = np.zeros((90, 6), np.float32)
    pushed, again, still = _play(world, 3, actions), _play(world, 3, actions), _play(calm, 3, actions)
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(pushed, again, strict=True))
    same = [np.array_equal(a[0], b[0]) for a, b in zip(pushed, still, strict=False)]
    assert same[:80] == [True] * 80
    assert not same[80]


def test_pushes_last_as_long_as_the_episode_and_no_two_are_alike():
    task = WalkerTask(pushes=0.5)
    task.load_model()
    chance = np.random.default_rng(0).random((2, task.chance))
    pushed = [task.push(np.full(2, age), chance) for age in range(80 * 400)]
    kicks = np.stack([change[:, :2] for change in pushed if change.any()])  # [kicks, worlds, 2]
    assert len(kicks) == 399  # none before the first step
    assert all(not change[:, 2:].any() for change in pushed)
    assert len(np.unique(kicks)) == kicks.size
    assert np.abs(kicks).max() <= 0.5
    # Uniform in ±½: mean 0, standard deviation ½/√3; and one kick says nothing of the next.
    assert kicks.mean() == pytest.approx(0.0, abs=0.03)
    assert kicks.std() == pytest.approx(0.5 / np.sqrt(3.0), abs=0.02)
    assert abs(np.corrcoef(kicks[:-1].ravel(), kicks[1:].ravel())[0, 1]) < 0.1


def test_a_long_episode_is_kicked_every_two_seconds_to_its_end():
    world, calm = (gym.make("peripatos/Walker-v0", pushes=pushes, max_episode_steps=800) for pushes in (1e-6, 0.0))
    still = np.zeros(6, np.float32)
    first = [one.reset(seed=1)[0] for one in (world, calm)]
    assert np.array_equal(*first)
    differs = np.array([(world.step(still)[0] - calm.step(still)[0])[2] for _ in range(800)])
    jumps = np.abs(np.diff(differs))
    kicked = [step for step in range(80, 800, 80) if jumps[step - 1] > 10 * np.median(jumps)]
    assert len(kicked) >= 8  # a kick that is nearly nothing may be missed; beyond 10 s there used to be one for all
    assert len(np.unique(differs[range(80, 800, 80)])) == 9


def test_no_two_held_out_episodes_begin_alike():
    source = WorldSource("peripatos/Walker-v0")
    agent = ScriptedAgent(lambda seen: np.zeros(6), Walker().action_space)
    episodes = ControlActor(agent, source, mode="episodes", horizon=20).evaluate(64, seed=5, version=0)
    assert len({episode.reward for episode in episodes}) == 64
    task = WalkerTask()
    model = task.load_model()
    qpos, qvel = task.sample_initial_state(model, np.random.default_rng(0).random((4000, task.chance)))
    assert len(np.unique(np.hstack([qpos, qvel]), axis=0)) == 4000
    assert np.abs(qpos[:, 1]).max() <= 0.01


def test_randomised_masses_stay_in_range_and_change_between_episodes_without_drifting():
    world = Walker(randomization=0.3)
    nominal = Walker().model
    seen = []
    for seed in range(20):
        world.reset(seed=seed)
        ratio = world.model.body_mass[1:] / nominal.body_mass[1:]
        assert np.all((ratio > 0.7) & (ratio < 1.3))
        assert world.model.body_inertia[1:] / nominal.body_inertia[1:] == pytest.approx(
            np.repeat(ratio[:, None], 3, axis=1)
        )
        seen.append(ratio)
    assert np.std(seen) > 0.1


def _ground(world, x, y):
    """Height of the ground, by a ray from above."""
    import mujoco

    floor = world.model.geom("floor").id
    top = np.array([x, y, 1.0])
    return 1.0 - mujoco.mj_rayHfield(world.model, world.data, floor, top, np.array([0.0, 0.0, -1.0]))


def test_without_terrain_the_floor_is_a_plane_and_nothing_of_the_model_is_drawn():
    world = Walker()
    assert world.model.nhfield == 0
    assert world.task.chance == 4 + 7 + 1 + 1
    assert world.task.randomize(world.model, np.zeros((1, world.task.chance))) == {}


@pytest.mark.parametrize("terrain", [0.01, 0.04])
def test_uneven_ground_is_level_at_the_start_and_rough_up_to_its_amplitude_ahead(terrain):
    world = Walker(terrain=terrain)
    near, far = [], []
    for seed in range(8):
        world.reset(seed=seed)
        near += [_ground(world, x, y) for x in (-0.2, 0.0, 0.2) for y in (-1.0, 0.0, 1.0)]
        far += [_ground(world, x, y) for x in np.arange(1.0, 13.9, 0.5) for y in (-1.2, 0.0, 1.2)]
    assert np.abs(near).max() < 1e-6
    assert np.abs(far).max() <= terrain + 1e-6
    assert max(far) == pytest.approx(terrain, rel=0.05)
    assert min(far) == pytest.approx(-terrain, rel=0.05)
    assert 0.4 < np.std(far) / terrain < 0.8


@pytest.mark.parametrize("x", [13.9, 14.0, 15.0, 60.0, 900.0, -1.9, -2.0, -3.0, -60.0])
def test_the_ground_lasts_as_long_as_the_episode(x):
    world = Walker(terrain=0.05)
    for seed in range(3):
        world.reset(seed=seed)
        world.data.qpos[0] += x
        for _ in range(40):
            _, _, terminated, _, _ = world.step(np.zeros(6))
            assert not terminated
        assert world.data.qpos[2] == pytest.approx(0.21, abs=0.01)


def test_the_ground_is_the_seeds_and_another_in_another_episode():
    world = Walker(terrain=0.03)

    def profile(seed):
        world.reset(seed=seed)
        return [_ground(world, x, 0.0) for x in np.arange(1.0, 6.0, 0.2)]

    assert profile(1) == profile(1)
    assert abs(np.corrcoef(profile(1), profile(2))[0, 1]) < 0.9


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_robot_far_from_the_start_stands_on_the_ground_that_is_there(seed):
    """The ground moves under the robot when an episode begins; whatever finds contacts has to know."""
    import mujoco

    world = Walker(terrain=0.03)
    world.reset(seed=seed)
    world.data.qpos[0] += 4.0
    world.data.qpos[2] += 0.04
    for _ in range(30):
        world.step(np.zeros(6))
    mujoco.mj_kinematics(world.model, world.data)
    corners = [geom for geom in range(world.model.ngeom) if world.model.geom_size[geom, 0] == 0.002]
    gaps = [world.data.geom_xpos[g][2] - 0.002 - _ground(world, *world.data.geom_xpos[g][:2]) for g in corners]
    assert len(gaps) == 8
    assert min(gaps) == pytest.approx(0.0, abs=0.002)
    assert sorted(gaps)[2] < 0.004  # three corners at least carry it


def test_ground_that_was_moved_is_ground_that_was_compiled_there():
    import mujoco

    moved = Walker(terrain=0.05)
    moved.reset(seed=3)

    class Compiled(WalkerTask):
        def edit(self, spec):
            super().edit(spec)
            spec.geom("floor").pos = moved.model.geom("floor").pos.tolist()

    model = Compiled(terrain=0.05).load_model()
    seen = []
    for physics in (moved.model, model):
        data = mujoco.MjData(physics)
        data.qpos[:] = physics.qpos0
        data.qpos[0], data.qpos[2] = 2.0, 0.26
        mujoco.mj_step(physics, data, 100)
        assert data.ncon > 0
        seen.append(data.qpos.copy())
    assert np.array_equal(*seen)


def test_random_actions_on_uneven_ground_do_not_throw_the_robot_up():
    world, height = Walker(terrain=0.05), 0.0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        world.reset(seed=seed)
        world.data.qpos[0] += 3.0
        world.data.qpos[2] += 0.05
        for _ in range(80):
            _, _, terminated, _, _ = world.step(rng.uniform(-1, 1, 6))
            height = max(height, world.data.qpos[2])
            if terminated:
                break
    assert height < 0.31


@pytest.mark.parametrize("bad", [np.full(6, np.nan), np.zeros(5), np.zeros((6, 1)), None, "left"])
def test_an_action_that_does_not_fit_is_refused_and_the_episode_goes_on(bad):
    world = Walker()
    world.reset(seed=0)
    before = world.data.qpos.copy()
    with pytest.raises((ValueError, TypeError)):
        world.step(bad)
    assert np.array_equal(before, world.data.qpos)


def test_the_type_and_layout_of_an_action_do_not_matter():
    action = np.random.default_rng(0).uniform(-2, 2, 6).astype(np.float32)
    strided = np.zeros(12, np.float32)
    strided[::2] = action
    forms = [action, action.astype(np.float64), strided[::2], action.tolist(), action.clip(-1, 1)]
    world, seen = Walker(), []
    for form in forms:
        world.reset(seed=0)
        seen.append(world.step(form)[0])
    assert all(np.array_equal(seen[0], other) for other in seen[1:])


def test_options_out_of_range_and_unknown_render_modes_are_the_users_mistake():
    with pytest.raises(UserError, match=r"randomization is 1\.5"):
        Walker(randomization=1.5)
    with pytest.raises(UserError, match=r"pushes is -1"):
        Walker(pushes=-1)
    for terrain in (-0.01, 0.06, np.nan):
        with pytest.raises(UserError, match=f"terrain is {terrain}"):
            Walker(terrain=terrain)
    with pytest.raises(UserError, match="pushes is nan"):
        Walker(pushes=np.nan)
    with pytest.raises(UserError, match="'ascii'"):
        Walker(render_mode="ascii")


def test_a_picture_shows_something():
    world = Walker(render_mode="rgb_array")
    world.reset(seed=0)
    try:
        frame = world.render()
    except UserError as error:
        pytest.skip(str(error))
    assert frame is not None
    assert frame.shape == (480, 640, 3)
    assert frame.std() > 10
    world.close()
    world.close()
