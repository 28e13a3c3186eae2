"""A symmetry that is wrong but of the right size is found in a world's own steps; one that is right is believed."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box

from peripatos.envs.check import check_world
from peripatos.envs.check_play import Broken
from peripatos.envs.control.mujoco_world import MujocoWorld
from peripatos.envs.control.symmetry import Mirror, Symmetry
from peripatos.envs.control.symmetry_check import keeps_symmetry
from peripatos.envs.worlds.robots.cartpole_swingup import CartpoleSwingup, SwingupTask
from peripatos.envs.worlds.robots.walker import Walker

of = Mirror.of


class Declares(gym.Wrapper):
    def __init__(self, world, symmetry):
        super().__init__(world)
        self.symmetry = symmetry


WALKER = Walker().symmetry
RIGHT = {
    "Pendulum-v1": Symmetry(of(3, negated=[1, 2]), of(1, negated=[0])),
    "CartPole-v1": Symmetry(of(4, negated=range(4)), of(2, swapped=[(0, 1)])),
    "Acrobot-v1": Symmetry(of(6, negated=[1, 3, 4, 5]), of(3, swapped=[(0, 2)])),
}
WRONG = {
    "a cosine": ("Pendulum-v1", Symmetry(of(3, negated=[0]), of(1))),
    "no velocity": ("Pendulum-v1", Symmetry(of(3, negated=[1]), of(1, negated=[0]))),
    "a torque": ("Pendulum-v1", Symmetry(of(3, negated=[1, 2]), of(1))),
    "choices": ("CartPole-v1", Symmetry(of(4, negated=range(4)), of(2))),
    "other choices": ("Acrobot-v1", Symmetry(of(6, negated=[1, 3, 4, 5]), of(3))),
    "swapped": ("CartPole-v1", Symmetry(of(4, swapped=[(0, 2), (1, 3)]), of(2))),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_symmetry_of_the_physics_is_kept(name):
    assert "numbers of a step tell of it, and keep it" in keeps_symmetry(Declares(gym.make(name), RIGHT[name]))


@pytest.mark.parametrize("make", [CartpoleSwingup, lambda: Walker(randomization=0.3, pushes=0.3)])
def test_our_worlds_keep_theirs(make):
    said = keeps_symmetry(gym.wrappers.TimeLimit(make(), 300))
    assert said == "mirrored states lead to mirrored ones, in every number and for the same reward"


class Half(SwingupTask):
    """Shows no speeds, so that no image can be made of what is seen."""

    symmetry, observation_size = Symmetry(of(3, negated=[0, 2]), of(1, negated=[0])), 3

    def observe(self, state):
        return super().observe(state)[:, :3]


def test_where_what_is_not_seen_matters_no_state_is_set():
    world = MujocoWorld(Half())
    assert world.broken_numbers() is None
    assert "numbers of a step tell of it" in keeps_symmetry(gym.wrappers.TimeLimit(world, 100))


class Tosses(gym.Env):
    """Shows noise, and pays by a rule that is easy."""

    observation_space, action_space = Box(-1, 1, (5,), np.float32), Box(-1, 1, (1,), np.float32)
    symmetry = Symmetry(of(5, negated=[0]), of(1))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.age = 0
        return self._seen(), {}

    def _seen(self):
        return self.np_random.uniform(-1, 1, 5).astype(np.float32)

    def step(self, action):
        self.age += 1
        return self._seen(), float(action[0]), False, self.age == 500, {}


def test_what_tells_of_few_numbers_is_untested_and_not_passed():
    row = {finding.check: finding for finding in check_world(Tosses())}["a declared symmetry is kept"]
    assert (row.passed, row.tested) == (True, False)
    assert row.detail == "1 of the 6 numbers of a step tell of it, and keep it; the others are too hard to explain"


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_symmetry_of_the_right_size_is_found(name):
    world, symmetry = WRONG[name]
    with pytest.raises(Broken, match=r"does not lead to the mirrored next one: (number|the reward)"):
        keeps_symmetry(Declares(gym.make(world), symmetry))


def test_a_leg_that_is_not_swapped_is_found():
    with pytest.raises(Broken, match="mirrored next one: number 1"):
        keeps_symmetry(Declares(gym.wrappers.TimeLimit(Walker(), 300), Symmetry(WALKER.observation, of(6))))


class Pays(gym.Env):
    """Noise, and a reward for one side."""

    observation_space = action_space = Box(-1, 1, (1,), np.float32)
    symmetry = Symmetry(of(1, negated=[0]), of(1, negated=[0]))

    def __init__(self, side=1.0, length=500):
        self.side, self.length = side, length

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.age = 0
        return self._seen(), {}

    def _seen(self):
        return (self.side * self.np_random.uniform(0.1 if self.side < 1 else -1, 1, 1)).astype(np.float32)

    def step(self, action):
        self.age += 1
        return self._seen(), float(action[0]), False, self.age == self.length, {}


def test_a_reward_that_takes_sides_is_found_and_what_cannot_be_seen_is_said():
    with pytest.raises(Broken, match=r"the mirrored next one: the reward$"):
        keeps_symmetry(Pays())
    assert "so that it could not be tested" in keeps_symmetry(Pays(side=0.5))
    assert keeps_symmetry(gym.make("CartPole-v1")) == "it declares none"


def test_check_has_a_row_for_it():
    rows = {finding.check: finding for finding in check_world(Pays(length=20))}
    assert not rows["a declared symmetry is kept"].passed
