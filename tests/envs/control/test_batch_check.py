"""A task whose rows depend on each other is found by a batch of two beside two that are alone."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import ClipReward, TimeLimit

from peripatos.envs.check import check_world
from peripatos.envs.check_play import Broken
from peripatos.envs.control.batch_check import checks_of_many, same_among_others
from peripatos.envs.control.mujoco_world import MujocoWorld
from peripatos.envs.worlds.robots.cartpole_swingup import CartpoleSwingup, SwingupTask
from peripatos.envs.worlds.robots.walker import Walker


class MeanReward(SwingupTask):
    def reward_terms(self, state, action, previous):
        terms = super().reward_terms(state, action, previous)
        return {**terms, "upright": terms["upright"] - terms["upright"].mean()}


class FirstRow(SwingupTask):
    def observe(self, state):
        return np.tile(super().observe(state)[:1], (len(state.qpos), 1))


class Sorted(SwingupTask):
    def observe(self, state):
        seen = super().observe(state)
        seen[:, 4] = np.sort(seen[:, 4])[::-1]
        return seen


class AnyFallen(SwingupTask):
    def terminated(self, state):
        return np.full(len(state.qpos), len(state.qpos) > 1)


class MeanMetric(SwingupTask):
    def metrics(self, state):
        return {"speed": np.full(len(state.qpos), state.qvel.mean())}


class Starts(SwingupTask):
    def sample_initial_state(self, model, chance):
        qpos, qvel = super().sample_initial_state(model, chance)
        return qpos - qpos.mean(axis=0), qvel


class Remembers(SwingupTask):
    calls = 0

    def observe(self, state):
        self.calls += 1
        return super().observe(state) + 0.1 * np.sin(self.calls)


class Weighs(SwingupTask):
    """A product of matrices, which is rounded by how many rows it has."""

    W = np.random.default_rng(0).normal(size=(5, 5))

    def observe(self, state):
        return super().observe(state) @ self.W


@pytest.mark.parametrize(
    ("task", "what"),
    [
        (MeanReward, "at step 1 the reward term 'upright' is"),
        (FirstRow, "at a reset the observation at 0 is"),
        (Sorted, "at step .* the observation at 4 is"),
        (AnyFallen, "at step 1 terminated is 0 in a world alone, and 1"),
        (MeanMetric, "at step 1 the metric 'speed' is"),
        (Starts, "at a reset the observation at 0 is"),
        (Remembers, "at a reset the observation at 0 is .*or on an earlier call"),
    ],
)
def test_rows_that_depend_on_each_other_are_found(task, what):
    with pytest.raises(Broken, match=what):
        same_among_others(MujocoWorld(task()), ())


@pytest.mark.parametrize(
    "make", [CartpoleSwingup, lambda: Walker(randomization=0.3, pushes=0.3), lambda: MujocoWorld(Weighs())]
)
def test_rows_that_are_each_by_itself_pass(make):
    assert same_among_others(make(), ()) == ""


def test_check_has_a_row_for_it_where_many_are_simulated_at_once():
    row = "a world is the same among others"
    found = {finding.check: finding for finding in check_world(TimeLimit(MujocoWorld(MeanReward()), 20))}
    assert not found[row].passed
    (test,) = checks_of_many(TimeLimit(CartpoleSwingup(), 20)).values()
    assert test(CartpoleSwingup()) == ""
    assert not checks_of_many(gym.make("CartPole-v1"))
    assert not checks_of_many(ClipReward(CartpoleSwingup(), 0, 1))


def test_what_is_stepped_one_by_one_says_so():
    class Own(CartpoleSwingup):
        def step(self, action):
            return super().step(action)

    (test,) = checks_of_many(Own()).values()
    assert test(Own()) == "its worlds are stepped one by one, for Own has its own step"
