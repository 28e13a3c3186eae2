"""A declared symmetry is an involution, and one of the physics."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete
from gymnasium.wrappers import FlattenObservation, TimeLimit

from peripatos.envs.control.mujoco_world import MujocoWorld
from peripatos.envs.control.symmetry import Mirror, Symmetry, declared_symmetry
from peripatos.envs.errors import UserError
from peripatos.envs.world_source import WorldSource
from peripatos.envs.worlds.robots.cartpole_swingup import CartpoleSwingup
from peripatos.envs.worlds.robots.walker import Walker

# By hand, in the terms of the physics and not of the observation: signs of qpos and qvel, and what changes places.
# The walker: y; a rotation about x or z turns the other way (w, x, y, z); joints of left and right.
_LEGS = [10, 11, 12, 7, 8, 9]
_WALKER = (
    ([0, 1, 2, 3, 4, 5, 6, *_LEGS], [1, -1, 1, 1, -1, 1, -1] + [1] * 6),
    ([0, 1, 2, 3, 4, 5, 9, 10, 11, 6, 7, 8], [1, -1, 1, -1, 1, -1] + [1] * 6),
)
_SWINGUP = (([0, 1], [-1, -1]), ([0, 1], [-1, -1]))
_WORLDS = {
    "walker": (Walker, _WALKER),
    "walker without damping": (lambda: Walker(world_damping=False), _WALKER),
    "swing-up": (CartpoleSwingup, _SWINGUP),
}


@pytest.mark.parametrize("name", _WORLDS)
@pytest.mark.parametrize("seed", range(4))
def test_a_mirrored_state_under_a_mirrored_action_gives_the_mirrored_next_state_and_the_same_reward(name, seed):
    make, ((order, signs), (velocity_order, velocity_signs)) = _WORLDS[name]
    world, image = make(), make()
    symmetry, rng = world.symmetry, np.random.default_rng(seed)
    seen, _ = world.reset(seed=seed)
    image.reset(seed=0)
    world.data.qvel[:] += rng.uniform(-0.2, 0.2, world.model.nv)
    image.data.qpos[:] = world.data.qpos[order] * signs
    image.data.qvel[:] = world.data.qvel[velocity_order] * velocity_signs
    for _ in range(25):
        action = rng.uniform(-1, 1, world.model.nu).astype(np.float32)
        seen, reward, terminated, _, _ = world.step(action)
        mirrored, same_reward, also, _, _ = image.step(symmetry.action(action))
        assert mirrored == pytest.approx(symmetry.observation(seen), abs=1e-4)
        assert same_reward == pytest.approx(reward, abs=1e-5)
        assert also == terminated
        if terminated:
            break


@pytest.mark.parametrize("make", [Walker, CartpoleSwingup])
def test_the_image_of_the_image_is_the_thing_itself_and_most_things_are_not_their_own_image(make):
    symmetry = make().symmetry
    rng = np.random.default_rng(0)
    for mirror in (symmetry.observation, symmetry.action):
        x = rng.normal(size=(3, 5, len(mirror.order))).astype(np.float32)
        assert np.array_equal(mirror(mirror(x)), x)
        assert not np.array_equal(mirror(x), x)
        assert mirror(x).dtype == x.dtype


def test_a_mirror_swaps_pairs_and_changes_signs():
    mirror = Mirror.of(4, swapped=[(0, 2)], negated=[1, 0, 2])
    assert mirror(np.array([1.0, 2.0, 3.0, 4.0])).tolist() == [-3.0, -2.0, -1.0, 4.0]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Mirror((0, 0), (1, 1)), r"\[0, 0\], which is no permutation of 0 to 1"),
        (lambda: Mirror((1, 2, 0), (1, 1, 1)), "number 0 is not itself"),
        (lambda: Mirror((1, 0), (1, -1)), "give both of a pair the same sign"),
        (lambda: Mirror((1, 0), (1, 2)), r"signs of a mirror are \[1, 2\]; allowed are 2 of 1 and -1"),
        (lambda: Mirror((1, 0), (1,)), r"signs of a mirror are \[1\]"),
        (lambda: Mirror.of(3, negated=[3]), "names number 3; there are 0 to 2"),
        (lambda: Mirror.of(3, swapped=[(-1, 0)]), "names number -1; there are 0 to 2"),
        (lambda: Mirror.of(3, swapped=[(0, 1), (1, 2)]), "no permutation"),
        (lambda: Mirror.of(2, swapped=[(0, 1)], negated=[0]), "the same sign"),
        (lambda: Mirror.of(2, swapped=[0, 1]), r"swapped \[0, 1\].*; allowed are .*pairs of them as in \[\(0, 1\)\]"),
        (lambda: Mirror.of(2, swapped=[(0, 1, 2)]), "allowed are"),
        (lambda: Mirror.of(2, negated=0), "negated 0; allowed are"),
        (lambda: Mirror.of(2, negated=[0.0]), "allowed are"),
        (lambda: Mirror.of("2"), "size '2'"),
        (lambda: Mirror(1, (1,)), "the order of a mirror is 1; allowed are whole numbers"),
        (lambda: Mirror((1, 0), ("+", "-")), r"the signs of a mirror is \('\+', '-'\); allowed"),
        (lambda: Symmetry([0, 1], Mirror.of(1)), r"the observation of a Symmetry is \[0, 1\]; give a Mirror, as"),
        (lambda: Symmetry(Mirror.of(2), np.array([-1])), "the action of a Symmetry is array"),
    ],
)
def test_what_is_no_mirror_is_refused(make, said):
    with pytest.raises(UserError, match=said):
        make()


@pytest.mark.parametrize("kind", [list, np.array])
def test_lists_and_arrays_make_the_same_mirror_as_tuples(kind):
    mirror = Mirror(kind([1, 0, 2]), kind([1, 1, -1]))
    assert mirror == Mirror.of(3, swapped=kind([(0, 1)]), negated=kind([2])) == Mirror((1, 0, 2), (1, 1, -1))
    assert hash(mirror) == hash(Mirror((1, 0, 2), (1, 1, -1)))


class Swings(gym.Wrapper):
    """Gymnasium's pendulum, whose mirror image swings the other way."""

    symmetry = Symmetry(Mirror.of(3, negated=[1, 2]), Mirror.of(1, negated=[0]))


class Balances(gym.Wrapper):
    """Gymnasium's cart and pole, in which left and right are choices."""

    symmetry = Symmetry(Mirror.of(4, negated=range(4)), Mirror.of(2, swapped=[(0, 1)]))


@pytest.mark.parametrize(("name", "wrapper"), [("Pendulum-v1", Swings), ("CartPole-v1", Balances)])
def test_a_wrapper_declares_the_symmetry_of_any_gymnasium_environment(name, wrapper):
    wrappers = [{"id": f"{__name__}:{wrapper.__name__}"}]
    with WorldSource(name, wrappers=wrappers) as source:
        assert source.facts.symmetry == wrapper.symmetry
    world, image = wrapper(gym.make(name)), wrapper(gym.make(name))
    world.reset(seed=1)
    image.reset(seed=2)
    image.unwrapped.state = -np.asarray(world.unwrapped.state)
    rng, mirror = np.random.default_rng(0), wrapper.symmetry.action
    world.action_space.seed(0)
    for _ in range(20):
        action = world.action_space.sample() if isinstance(world.action_space, Box) else int(rng.integers(2))
        other = mirror(action) if isinstance(world.action_space, Box) else mirror.order[action]
        seen, reward, over, *_ = world.step(action)
        mirrored, same, also, *_ = image.step(other)
        assert mirrored == pytest.approx(wrapper.symmetry.observation(seen), abs=1e-5)
        assert same == pytest.approx(reward, abs=1e-5)
        assert over == also


def test_a_wrapper_that_says_nothing_hides_the_symmetry_unless_it_is_one_of_gymnasiums_own():
    inside = Walker()
    assert declared_symmetry("w", TimeLimit(inside, 7)) is inside.symmetry
    assert declared_symmetry("w", FlattenObservation(CartpoleSwingup())) is None
    assert declared_symmetry("w", gym.make("Pendulum-v1")) is None
    assert Walker(terrain=0.01).symmetry is None
    with WorldSource("peripatos/WalkerHard-v0") as source:
        assert source.facts.symmetry == inside.symmetry


class Declares(gym.Env):
    """Two numbers are seen."""

    observation_space = Box(-1.0, 1.0, (2,), np.float32)
    action_space = Box(-1.0, 1.0, (2,), np.float32)

    def __init__(self, symmetry, action_space=None):
        self.symmetry = symmetry
        self.action_space = action_space or self.action_space


_TWO = Mirror.of(2, negated=[0])


@pytest.mark.parametrize(
    ("world", "said"),
    [
        (Declares(Symmetry(Mirror.of(3), _TWO)), "a symmetry of 3 numbers that are seen, and shows 2 numbers"),
        (Declares(Symmetry(_TWO, Mirror.of(1))), "a symmetry of 1 actions"),
        (Declares(Symmetry(_TWO, _TWO), Box(0.0, 1.0, (2,))), "whose images"),
        (Declares(Symmetry(_TWO, _TWO), Discrete(2)), "whose images"),
        (Declares(Symmetry(_TWO, _TWO), Discrete(3)), "a symmetry of 2 actions"),
        (Declares(Symmetry(_TWO, _TWO), Dict(a=Box(0.0, 1.0, (2,)))), "allowed are Box and Discrete"),
        (Declares("left and right"), "declares the symmetry 'left and right'"),
    ],
)
def test_a_symmetry_that_does_not_fit_the_spaces_is_refused(world, said):
    with pytest.raises(UserError, match=said):
        declared_symmetry("mine", world)


def test_a_task_hands_its_symmetry_on():
    assert MujocoWorld(Walker().task).symmetry is Walker().symmetry
