"""Many simulations give, bit for bit, what one simulation gives."""

import os
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from peripatos.agents.control.control_actor import ControlActor
from peripatos.agents.control.mlp import ActorCritic
from peripatos.algorithms.learner import Learner
from peripatos.algorithms.methods import METHODS
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.envs.control.headless import leave_no_log
from peripatos.envs.control.mujoco_batch import MujocoBatch
from peripatos.envs.control.mujoco_vector import MujocoVectorEnv
from peripatos.envs.control.mujoco_world import MujocoWorld
from peripatos.envs.errors import UserError
from peripatos.envs.vocabulary import WorldFailure
from peripatos.envs.world_source import WorldSource
from peripatos.envs.worlds.robots.cartpole_swingup import CartpoleSwingup, SwingupTask
from peripatos.envs.worlds.robots.walker import Walker, WalkerTask
from peripatos.scenarios.run.episode_statistics import describe_collection

# isort: split
import mujoco  # behind what chooses how it draws


@pytest.fixture(autouse=True)
def _no_file_is_left(tmp_path, monkeypatch):
    """MuJoCo's habit is to write its warnings to a file in the current directory."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "MUJOCO_LOG.TXT").exists()


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


@pytest.mark.parametrize("options", [{}, {"pushes": 0.4, "randomization": 0.3}, {"terrain": 0.03, "pushes": 0.4}])
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


@pytest.mark.parametrize("task", [WalkerTask(pushes=0.3, randomization=0.2, terrain=0.05), SwingupTask()])
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
    worlds._now.qvel[1, 0] = 1e30
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


@pytest.mark.parametrize("force", [1e20, np.nan])
def test_an_absurd_torque_makes_one_world_fail_and_a_reset_heals_it(force):
    worlds, peer = MujocoBatch(WalkerTask(), 3), MujocoBatch(WalkerTask(), 3)
    ids = np.arange(3)
    for batch in (worlds, peer):
        batch.reset(ids, range(3))
    worlds._batch.bind("qfrc_applied")[1] = force
    result, healthy = worlds.step(ids, np.zeros((3, 6))), peer.step(ids, np.zeros((3, 6)))
    assert list(result.failure) == [1]
    assert [values[1] for values in result.terms.values()] == [0.0] * 5
    assert np.array_equal(result.observation[[0, 2]], healthy.observation[[0, 2]])
    for batch in (worlds, peer):
        batch.reset(np.array([1]), [7])
    result, healthy = worlds.step(ids, np.zeros((3, 6))), peer.step(ids, np.zeros((3, 6)))
    assert not result.failure
    assert np.array_equal(result.observation, healthy.observation)


def test_an_error_inside_of_mujoco_fails_one_world_and_leaves_the_others():
    worlds, peer = MujocoBatch(WalkerTask(), 3), MujocoBatch(WalkerTask(), 3)
    ids = np.arange(3)
    for batch in (worlds, peer):
        batch.reset(ids, range(3))
    worlds._batch.expand("opt.integrator")[1] = 99
    result, healthy = worlds.step(ids, np.zeros((3, 6))), peer.step(ids, np.zeros((3, 6)))
    assert list(result.failure) == [1]
    assert "invalid integrator" in result.failure[1]
    assert np.array_equal(result.observation[[0, 2]], healthy.observation[[0, 2]])
    assert result.reward[1] == 0.0
    assert not result.observation[1].any()
    world = Walker()
    world.reset(seed=0)
    world.model.opt.integrator = 99
    with pytest.raises(WorldFailure, match="invalid integrator"):
        world.step(np.zeros(6))


def test_a_world_that_cannot_begin_gives_zeros_and_reports_it_at_its_next_step():
    worlds = MujocoBatch(WalkerTask(), 3)
    joints = worlds._starter.expand("jnt_type")
    joints[1] = 99
    seen = worlds.reset(np.array([2, 1]), [5, 5])
    assert seen[0].any()
    assert not seen[1].any()
    result = worlds.step(np.array([1, 2]), np.zeros((2, 6)))
    assert list(result.failure) == [1]
    assert "unknown joint type" in result.failure[1]
    joints[1] = worlds.model.jnt_type
    worlds.reset(np.array([1]), [5])
    assert not worlds.step(np.array([1]), np.zeros((1, 6))).failure


def test_numbers_of_the_task_that_are_not_finite_fail_the_world_and_never_leave_it():
    class Divides(SwingupTask):
        def reward_terms(self, state, action, previous):
            return {"broken": np.where(action[:, 0] > 0.5, np.nan, 1.0)}

    worlds = MujocoBatch(Divides(), 2)
    worlds.reset(np.arange(2), [0, 1])
    result = worlds.step(np.arange(2), np.array([[0.0], [1.0]]))
    assert result.reward.tolist() == [1.0, 0.0]
    assert result.terms["broken"].tolist() == [1.0, 0.0]
    assert list(result.failure) == [1]
    assert "not finite" in result.failure[1]
    world = MujocoWorld(Divides())
    world.reset(seed=0)
    with pytest.raises(WorldFailure, match="not finite"):
        world.step(np.ones(1))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_diverged_walker_reaches_neither_the_batch_nor_the_normalisers(seed):
    def learn(poison):
        torch.set_num_threads(1)
        policy = ActorCritic(31, Box(-1.0, 1.0, (6,), np.float32), hidden=(8,), seed=seed)
        learner = Learner(policy, METHODS["ppo"], OptimizerSettings(lr=1e-3), seed=seed)
        actor = ControlActor(policy, WorldSource("peripatos/Walker-v0"), mode="segments", horizon=8)
        collections = [actor.collect(range(4), 1, seed=seed, version=0)]
        if poison:
            actor._pools["train"]._batch.bind("qpos")[2, 1] = np.nan
        collections.append(actor.collect(range(4), 1, seed=seed, version=0))
        batch = collections[-1].batch
        assert batch is not None
        learner.update(batch)
        return policy, collections[-1], batch

    policy, collection, batch = learn(poison=True)
    _, _, healthy = learn(poison=False)
    failed = [episode for episode in collection.episodes if episode.failure]
    assert [(episode.group, episode.reward) for episode in failed] == [(2, None)]
    assert "diverged" in (failed[0].failure or "")
    assert not failed[0].truncated
    assert describe_collection(collection.episodes)["episodes/failed"] == 1.0
    assert batch.mask_B_T[2].tolist() == [False] + [True] * 7  # the row goes on with a new episode
    for name in ("reward_B_T", "bootstrap_B_T", "value_B_T", "behavior_logp_B_T"):
        assert getattr(batch, name).isfinite().all()
    others = torch.tensor([0, 1, 3])
    assert torch.equal(batch.inputs["observation_B_T_D"][others], healthy.inputs["observation_B_T_D"][others])
    assert torch.equal(batch.reward_B_T[others], healthy.reward_B_T[others])
    taught = batch.inputs["observation_B_T_D"][batch.mask_B_T].double()
    assert policy.observations.mean.numpy() == pytest.approx(taught.mean(0).numpy(), abs=1e-12)
    assert all(tensor.isfinite().all() for tensor in policy.state_dict().values())


def test_the_single_world_and_the_vector_world_say_that_a_simulation_diverged():
    world = Walker()
    world.reset(seed=0)
    world.data.qvel[0] = 1e30
    with pytest.raises(WorldFailure, match="diverged"):
        world.step(np.zeros(6))
    vector = MujocoVectorEnv(WalkerTask(), 2)
    vector.reset(seed=0)
    vector.worlds._now.qvel[1, 0] = 1e30
    seen, reward, terminated, truncated, infos = vector.step(np.zeros((2, 6)))
    assert terminated.tolist() == [False, False]
    assert truncated.tolist() == [False, True]
    assert infos["final_info"]["failed"].tolist() == [False, True]
    assert reward[1] == 0.0
    assert np.isfinite(seen).all()


def test_a_step_that_is_both_terminated_and_at_the_limit_is_terminated():
    worlds = MujocoBatch(WalkerTask(), 2, max_episode_steps=1)
    worlds.reset(np.arange(2), [0, 0])
    worlds._now.qpos[0, 1] = 1.5
    result = worlds.step(np.arange(2), np.zeros((2, 6)))
    assert result.terminated.tolist() == [True, False]
    assert result.truncated.tolist() == [False, True]


def test_impossible_numbers_of_worlds_and_threads_are_refused():
    for n, threads in ((0, 1), (-1, None), (2, 0)):
        with pytest.raises(UserError, match="at least 1"):
            MujocoBatch(SwingupTask(), n, threads=threads)
    with pytest.raises(UserError, match="0 worlds"):
        gym.make_vec("peripatos/Walker-v0", num_envs=0, vectorization_mode="vector_entry_point")


def test_more_threads_than_cores_are_clamped_and_change_nothing():
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    assert MujocoBatch(SwingupTask(), 2, threads=10_000)._batch.nthread <= (cores or 1)
    many, one = _rollout(SwingupTask(), 5, 10_000, steps=10), _rollout(SwingupTask(), 5, 1, steps=10)
    assert all(np.array_equal(a, b) for a, b in zip(many, one, strict=True))


@pytest.mark.parametrize(
    "text",
    ["<mujoco><worldbody><body></worldbody></mujoco>", "<mujoco><worldbody><leg/></worldbody></mujoco>", "", None],
)
def test_a_malformed_or_missing_mjcf_is_explained(text, tmp_path: Path):
    class Malformed(SwingupTask):
        mjcf = tmp_path / "broken.xml"

    class AsText(Malformed):
        mjcf = str(tmp_path / "broken.xml")

    if text is not None:
        Malformed.mjcf.write_text(text)
    for task in (Malformed, AsText):
        for make in (MujocoWorld, lambda task: MujocoBatch(task, 2)):
            with pytest.raises(UserError, match=r"broken\.xml is no MJCF"):
                make(task())


class _LiesAboutItsSize(SwingupTask):
    observation_size = 6


class _ObservesOnlyTheFirst(SwingupTask):
    def observe(self, state):
        return super().observe(state)[:1]


class _RewardsColumns(SwingupTask):
    def reward_terms(self, state, action, previous):
        return {"upright": state.qpos[:, :1], "effort": -(action[:, 0] ** 2)}


class _TerminatesAsOne(SwingupTask):
    def terminated(self, state):
        return (np.abs(state.qpos) > 9).any()


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (_LiesAboutItsSize, r"_LiesAboutItsSize observes \(2, 5\) in 2 simulations; its observation_size is 6"),
        (_ObservesOnlyTheFirst, r"observes \(1, 5\) in 2 simulations"),
        (_RewardsColumns, r"reward term 'upright' has shape \(2, 1\) in 2 simulations; \(2,\) is needed"),
        (_TerminatesAsOne, r"terminated has shape \(\) in 2 simulations"),
    ],
)
def test_a_task_that_lies_about_its_sizes_is_found_out_before_it_runs(task, message):
    for make in (MujocoWorld, lambda task: MujocoBatch(task, 2)):
        with pytest.raises(UserError, match=message):
            make(task())


@pytest.mark.parametrize("name", ["peripatos/Walker-v0", "peripatos/WalkerHard-v0", "peripatos/CartpoleSwingup-v0"])
def test_gymnasiums_vector_entry_point_gives_the_pool_with_the_registered_options(name):
    worlds = gym.make_vec(name, num_envs=3, vectorization_mode="vector_entry_point")
    assert isinstance(worlds, MujocoVectorEnv)
    assert worlds.num_envs == 3
    assert worlds.worlds._limit == gym.spec(name).max_episode_steps
    single = gym.make(name).unwrapped
    assert isinstance(single, MujocoWorld)
    assert np.array_equal(worlds.worlds.model.dof_damping, single.model.dof_damping)
    worlds.close()


def test_the_time_limit_of_the_registered_world_reaches_the_batch():
    worlds = WorldSource("peripatos/Walker-v0").make_batch(2)
    assert isinstance(worlds, MujocoBatch)
    assert worlds._limit == 400
    assert WorldSource("peripatos/Walker-v0", {"max_episode_steps": 7}).make_batch(1)._limit == 7
    hard = WorldSource("peripatos/WalkerHard-v0").make_batch(1)
    assert hard.model.dof_damping[0] == 0.0


def test_the_second_robot_can_swing_up_and_hangs_when_left_alone():
    world = CartpoleSwingup()
    world.reset(seed=0)
    total = sum(float(world.step(np.zeros(1))[1]) for _ in range(200))
    assert total < 0.2
    world.data.qpos[:], world.data.qvel[:] = 0.0, 0.0
    assert world.step(np.zeros(1))[1] == pytest.approx(0.02, abs=1e-6)


@pytest.mark.parametrize(
    "diverge",
    [
        "world = make_world('peripatos/Walker-v0').unwrapped; world.reset(seed=0); world.data.qvel[0] = 1e30",
        "world = make_world('HalfCheetah-v5').unwrapped; world.reset(seed=0); world.data.qvel[0] = 1e30",
    ],
)
def test_a_simulation_that_diverges_leaves_no_file_whoever_made_it(diverge, tmp_path):
    code = f"""
from peripatos.envs.registry import make_world
{diverge}
try:
    world.step(world.action_space.sample())
except Exception:
    pass
assert any(one.number for one in world.data.warning), "it did not diverge"
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_a_handler_of_somebody_elses_hears_what_mujoco_warns_of():
    heard, before = [], mujoco.get_mju_user_warning()
    try:
        mujoco.set_mju_user_warning(heard.append)
        leave_no_log()
        world = Walker()
        world.reset(seed=0)
        world.data.qvel[0] = 1e30
        with pytest.raises(WorldFailure, match="diverged"):
            world.step(np.zeros(6))
    finally:
        mujoco.set_mju_user_warning(before)
    assert heard


@pytest.mark.parametrize("options", [{}, {"terrain": 0.03, "randomization": 0.2, "pushes": 0.3}])
def test_an_episode_that_was_drawn_early_is_the_one_that_its_stream_gives_and_a_new_seed_replaces_it(options):
    worlds = MujocoVectorEnv(WalkerTask(**options), 6)
    worlds.reset(seed=3)
    rng, over = np.random.default_rng(0), np.zeros(6, bool)
    while not over.any():  # those that go on have their next episode drawn beside that of the one that ended
        _, _, terminated, truncated, _ = worlds.step(rng.uniform(-1, 1, (6, 6)))
        over = terminated | truncated
    mask = ~over
    assert mask.any()
    seen, _ = worlds.reset(seed=[50 + i for i in range(6)], options={"reset_mask": mask})
    anew, _ = MujocoVectorEnv(WalkerTask(**options), 6).reset(seed=50)
    assert np.array_equal(seen[mask], anew[mask])
    assert not (seen[over] == anew[over]).all(axis=1).any()
    single = MujocoWorld(WalkerTask(**options))
    for i in np.flatnonzero(mask):
        single.reset(seed=int(50 + i))
        again, _ = single.reset()
        stream_goes_on, _ = worlds.reset(options={"reset_mask": np.arange(6) == i})
        assert np.array_equal(stream_goes_on[i], again)
