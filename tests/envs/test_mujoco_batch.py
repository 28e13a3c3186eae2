"""Many simulations give, bit for bit, what one simulation gives."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from peripatos.envs.cartpole_swingup import CartpoleSwingup, SwingupTask
from peripatos.envs.errors import UserError
from peripatos.envs.mujoco_batch import MujocoBatch, MujocoVectorEnv
from peripatos.envs.mujoco_task import MujocoWorld
from peripatos.envs.vocabulary import WorldFailure
from peripatos.envs.walker import Walker, WalkerTask
from peripatos.envs.world_batch import make_world_batch


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """MuJoCo writes its warnings to a file in the current directory."""
    monkeypatch.chdir(tmp_path)


def _rollout(task, n, threads, steps=60, seed=0):
    worlds = MujocoBatch(task, n, threads=threads, max_episode_steps=400)
    ids = np.arange(n)
    seen = [worlds.reset(ids, [100 + i for i in ids])]
    rng = [np.random.default_rng((seed, i)) for i in ids]
    for _ in range(steps):
        action = np.stack([r.uniform(-1, 1, worlds.action_space.shape) for r in rng])
        result = worlds.step(ids, action)
        seen += [np.column_stack([result.observation, result.reward, result.terminated])]
    return seen


def _same(a, b):
    """Nested infos of Gymnasium's form, compared without tolerance."""
    if isinstance(a, dict):
        return set(a) == set(b) and all(_same(a[k], b[k]) for k in a)
    if a.dtype == object:
        return all((x is None and y is None) or np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    return np.array_equal(a, b)


@pytest.mark.parametrize("options", [{}, {"pushes": 0.4, "randomization": 0.3}])
def test_the_vector_world_equals_gymnasiums_sync_vector_env_bit_for_bit_with_infos(options):
    n = 5
    ours = gym.make_vec(
        "peripatos/Walker-v0", num_envs=n, vectorization_mode="vector_entry_point", max_episode_steps=110, **options
    )
    peer = SyncVectorEnv(
        [lambda: gym.make("peripatos/Walker-v0", max_episode_steps=110, **options)] * n,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    (seen, info), (peer_seen, peer_info) = ours.reset(seed=3), peer.reset(seed=3)
    assert np.array_equal(seen, peer_seen)
    assert _same(info, peer_info)
    rng, terminations, truncations = np.random.default_rng(0), 0, 0
    for t in range(240):
        action = rng.uniform(-1, 1, (n, 6)).astype(np.float32) * (t < 100)
        mine, theirs = ours.step(action), peer.step(action)
        for k in range(4):
            assert np.array_equal(mine[k], theirs[k]), (t, k)
        assert _same(mine[4], theirs[4]), t
        terminations, truncations = terminations + mine[2].sum(), truncations + mine[3].sum()
    assert terminations > 0
    assert truncations > 0
    ours.close()
    peer.close()


@pytest.mark.parametrize("task", [WalkerTask(pushes=0.3, randomization=0.2), SwingupTask()])
def test_results_depend_neither_on_the_number_of_worlds_nor_of_threads(task):
    one, many, threads = _rollout(task, 1, 1), _rollout(task, 37, 1), _rollout(task, 37, 2)
    assert all(np.array_equal(a, b) for a, b in zip(many, threads, strict=True))
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(one, many, strict=True))


def test_only_the_worlds_that_are_asked_for_move():
    worlds = MujocoBatch(WalkerTask(), 4, threads=2)
    every = np.arange(4)
    worlds.reset(every, [7] * 4)
    some = np.array([2, 0])
    for _ in range(5):
        result = worlds.step(some, np.full((2, 6), 0.1))
    assert np.array_equal(result.observation[0], result.observation[1])
    late = [worlds.step(np.array([3, 1]), np.full((2, 6), 0.1)) for _ in range(5)][-1]
    assert np.array_equal(late.observation[0], result.observation[0])


def test_worlds_that_are_reset_with_one_seed_start_alike():
    worlds = MujocoBatch(WalkerTask(randomization=0.3), 6)
    worlds.reset(np.arange(6), range(6))
    seen = worlds.reset(np.array([5, 1, 3]), [42, 42, 43])
    assert np.array_equal(seen[0], seen[1])
    action = np.full((3, 6), 0.2)
    for _ in range(3):
        seen = worlds.step(np.array([5, 1, 3]), action).observation
    assert np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], seen[2])


def test_what_was_returned_is_never_written_again():
    worlds = MujocoBatch(WalkerTask(), 3)
    ids = np.arange(3)
    first = worlds.reset(ids, range(3))
    kept = [first, first.copy()]
    result = worlds.step(ids, np.zeros((3, 6)))
    held = [result.observation, result.reward, *result.terms.values(), *result.metrics.values()]
    copies = [array.copy() for array in held]
    for _ in range(3):
        worlds.step(ids, np.ones((3, 6)))
    worlds.reset(ids, range(3))
    assert np.array_equal(*kept)
    assert all(np.array_equal(a, b) for a, b in zip(held, copies, strict=True))


def test_float64_float32_fortran_and_strided_actions_give_one_result_and_wrong_ones_an_error():
    action = np.random.default_rng(1).uniform(-2, 2, (3, 6)).astype(np.float32)
    wide = np.zeros((3, 12), np.float32)
    wide[:, ::2] = action
    forms = [action, action.astype(np.float64), np.asfortranarray(action), wide[:, ::2], action.clip(-1, 1)]
    seen = []
    for form in forms:
        worlds = MujocoBatch(WalkerTask(), 3)
        worlds.reset(np.arange(3), range(3))
        seen.append(worlds.step(np.arange(3), form).observation)
    assert all(np.array_equal(seen[0], other) for other in seen[1:])
    for bad, match in [(action[:, :5], "shape"), (action[:2], "shape"), (np.full((3, 6), np.inf), "not finite")]:
        with pytest.raises(ValueError, match=match):
            worlds.step(np.arange(3), bad)


def test_a_diverged_simulation_fails_alone():
    worlds, peer = MujocoBatch(WalkerTask(), 3), MujocoBatch(WalkerTask(), 3)
    ids = np.arange(3)
    worlds.reset(ids, range(3))
    peer.reset(ids, range(3))
    worlds._qvel[1, 0] = 1e30
    result, healthy = worlds.step(ids, np.zeros((3, 6))), peer.step(ids, np.zeros((3, 6)))
    assert list(result.failure) == [1]
    assert "diverged" in result.failure[1]
    assert not result.terminated[1]
    assert not result.truncated[1]
    assert np.array_equal(result.observation[1], np.zeros(31))
    assert np.array_equal(result.observation[[0, 2]], healthy.observation[[0, 2]])
    worlds.reset(np.array([1]), [1])
    peer.reset(np.array([1]), [1])
    result, healthy = worlds.step(ids, np.zeros((3, 6))), peer.step(ids, np.zeros((3, 6)))
    assert not result.failure
    assert np.array_equal(result.observation, healthy.observation)


def test_the_single_world_and_the_vector_world_say_that_a_simulation_diverged():
    world = Walker()
    world.reset(seed=0)
    world.data.qvel[0] = 1e30
    with pytest.raises(WorldFailure, match="diverged"):
        world.step(np.zeros(6))
    vector = MujocoVectorEnv(WalkerTask(), 2)
    vector.reset(seed=0)
    vector.worlds._qvel[1, 0] = 1e30
    seen, reward, terminated, truncated, infos = vector.step(np.zeros((2, 6)))
    assert terminated.tolist() == [False, False]
    assert truncated.tolist() == [False, True]
    assert infos["final_info"]["failed"].tolist() == [False, True]
    assert reward[1] == 0.0
    assert np.isfinite(seen).all()


def test_a_step_that_is_both_terminated_and_at_the_limit_is_terminated():
    worlds = MujocoBatch(WalkerTask(), 2, max_episode_steps=1)
    worlds.reset(np.arange(2), [0, 0])
    worlds._qpos[0, 1] = 1.5
    result = worlds.step(np.arange(2), np.zeros((2, 6)))
    assert result.terminated.tolist() == [True, False]
    assert result.truncated.tolist() == [False, True]


def test_impossible_numbers_of_worlds_and_threads_are_refused_and_too_many_threads_clamped():
    for n, threads in ((0, 1), (-1, None), (2, 0)):
        with pytest.raises(UserError, match="at least 1"):
            MujocoBatch(SwingupTask(), n, threads=threads)
    assert MujocoBatch(SwingupTask(), 2, threads=10_000)._batch.nthread <= 10_000 // 2


def test_malformed_mjcf_and_a_task_that_lies_about_its_size_are_explained(tmp_path: Path):
    class Lying(SwingupTask):
        observation_size = 6

    with pytest.raises(UserError, match=r"Lying observes \(1, 5\); its observation_size says 6"):
        MujocoWorld(Lying())

    class Malformed(SwingupTask):
        mjcf = tmp_path / "broken.xml"

    Malformed.mjcf.write_text("<mujoco><worldbody><body></worldbody></mujoco>")
    with pytest.raises(UserError, match=r"broken\.xml is no valid MJCF"):
        MujocoWorld(Malformed())


def test_the_time_limit_of_the_registered_world_reaches_the_batch():
    worlds = make_world_batch("peripatos/Walker-v0", 2)
    assert isinstance(worlds, MujocoBatch)
    assert worlds._limit == 400
    assert make_world_batch("peripatos/Walker-v0", 1, options={"max_episode_steps": 7})._limit == 7
    hard = make_world_batch("peripatos/WalkerHard-v0", 1)
    assert hard.model.dof_damping[0] == 0.0


def test_the_second_robot_can_swing_up_and_hangs_when_left_alone():
    world = CartpoleSwingup()
    world.reset(seed=0)
    total = sum(float(world.step(np.zeros(1))[1]) for _ in range(200))
    assert total < 0.2
    world.data.qpos[:], world.data.qvel[:] = 0.0, 0.0
    assert world.step(np.zeros(1))[1] == pytest.approx(0.02, abs=1e-6)
