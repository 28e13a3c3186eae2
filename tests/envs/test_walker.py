"""The walker is the robot that it says it is, and its physics do not depend on the time step."""

import gymnasium as gym
import numpy as np
import pytest

from peripatos.envs.errors import UserError
from peripatos.envs.walker import Walker, WalkerTask, _leg_angles


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


@pytest.mark.parametrize("bad", [np.full(6, np.nan), np.zeros(5), np.zeros((6, 1)), None, "left"])
def test_an_action_that_does_not_fit_is_refused_and_the_episode_goes_on(bad):
    world = Walker()
    world.reset(seed=0)
    before = world.data.qpos.copy()
    with pytest.raises((ValueError, TypeError)):
        world.step(bad)
    assert np.array_equal(before, world.data.qpos)


def test_options_out_of_range_and_unknown_render_modes_are_the_users_mistake():
    with pytest.raises(UserError, match=r"randomization is 1\.5"):
        Walker(randomization=1.5)
    with pytest.raises(UserError, match=r"pushes is -1"):
        Walker(pushes=-1)
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
