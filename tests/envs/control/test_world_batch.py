"""A list of any Gymnasium worlds: what breaks breaks alone."""

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Text

from peripatos.envs.control.world_batch import ListOfWorlds, checked_action
from peripatos.envs.errors import UserError
from peripatos.envs.registry import make_world
from peripatos.envs.world_source import WorldSource


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """MuJoCo writes its warnings to a file in the current directory."""
    monkeypatch.chdir(tmp_path)


class Fragile(gym.Env[np.ndarray, np.ndarray]):
    """Observes its step count and its seed's last digit; the action says what goes wrong."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float32)
    action_space = Discrete(7, start=1)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.count, self.digit = 0, (seed or 0) % 10
        if self.digit == 9:
            raise RuntimeError("no world for nine")
        return np.array([0, self.digit], np.float32), {}

    def step(self, action):
        self.count += 1
        seen: Any = np.array([self.count, self.digit], np.float32)
        if action == 2:
            raise RuntimeError("stumbled")
        if action == 3:
            seen = np.full(2, np.nan, np.float32)
        if action == 4:
            seen = np.zeros(3, np.float32)
        reward = np.nan if action == 5 else 1.0
        info = {"success": True, "metrics": {"count": self.count}} if self.count > 1 else {}
        return seen, reward, action in (6, 7), action == 7, info


class Held(gym.Env[np.ndarray, np.ndarray]):
    """Something that must be closed. It breaks where its options say so, and empties the list that it was given."""

    observation_space, action_space = Box(-1.0, 9.0, (1,), np.float32), Discrete(2)
    open: ClassVar[list["Held"]] = []
    made = 0

    def __init__(self, breaks: str = "", goals: list[int] | None = None):
        Held.made += 1
        if breaks == "third" and Held.made == 4:  # the first was the example
            raise RuntimeError("no licence for a third")
        self.breaks, self.goals = breaks, goals
        Held.open.append(self)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        if self.breaks == "reset":
            raise RuntimeError("no port")
        return np.array([self.goals.pop(0) if self.goals else 0], np.float32), {}

    def step(self, action):
        if self.breaks == "step":
            raise SystemExit("the simulator has gone away")
        seen = np.array([np.nan if self.breaks == "nan" else 0], np.float32)
        return seen, 1.0, False, False, {}

    def close(self):
        Held.open.remove(self)  # a second close raises, as some do


@pytest.fixture
def held():
    Held.open.clear()
    Held.made = 0
    return f"{__name__}:Held"


ONE = [Held(), Held()]


def hands_out_one():
    return ONE[0]


def hands_out_one_in_wrappers():
    return gym.wrappers.TimeLimit(ONE[0], 5)


def hands_out_two_by_turns():
    ONE.reverse()
    return ONE[0]


COMING: list[Held] = []


def hands_out_what_comes():
    return COMING.pop(0)


class Nested(gym.Env[Any, Any]):
    observation_space = Dict({"a": Text(3)})
    action_space = Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}


_NAME = f"{__name__}:Fragile"


@pytest.mark.parametrize(
    ("action", "says"), [(1, "stumbled"), (2, "not finite"), (3, "observed shape"), (4, "the reward is nan")]
)
def test_a_world_that_breaks_fails_in_a_sentence_with_its_own_lines_and_the_others_go_on(action, says):
    worlds = ListOfWorlds(_NAME, 3, lambda: make_world(_NAME))
    ids = np.arange(3)
    worlds.reset(ids, [1, 2, 3])
    result = worlds.step(ids, np.array([0, action, 0]))
    assert list(result.failure) == [1]
    assert says in result.failure[1]
    assert ("failed in step (" in result.failure[1]) == (action == 1), "the world's code broke, or its contract"
    assert "Traceback" not in result.failure[1]
    assert "world_batch.py, line" not in result.failure[1].replace("test_world_batch.py", "")
    assert result.reward.tolist() == [1.0, 0.0, 1.0]
    assert result.observation.tolist() == [[1, 1], [0, 0], [1, 3]]
    assert not (result.terminated | result.truncated).any()
    worlds.reset(np.array([1]), [5])
    result = worlds.step(ids, np.zeros(3, np.int64))
    assert not result.failure
    assert result.observation.tolist() == [[2, 1], [1, 5], [2, 3]]


def test_a_world_that_cannot_be_reset_says_so_at_its_next_step():
    worlds = ListOfWorlds(_NAME, 2, lambda: make_world(_NAME))
    assert worlds.reset(np.arange(2), [9, 4]).tolist() == [[0, 0], [0, 4]]
    result = worlds.step(np.arange(2), np.zeros(2, np.int64))
    assert list(result.failure) == [0]
    assert "no world for nine" in result.failure[0]


def test_a_step_that_is_both_terminated_and_truncated_is_terminated():
    worlds = ListOfWorlds(_NAME, 1, lambda: make_world(_NAME))
    worlds.reset(np.arange(1), [0])
    result = worlds.step(np.arange(1), np.array([6]))
    assert result.terminated.tolist() == [True]
    assert result.truncated.tolist() == [False]


def test_success_and_metrics_are_unknown_until_the_world_tells():
    worlds = ListOfWorlds(_NAME, 1, lambda: make_world(_NAME))
    worlds.reset(np.arange(1), [0])
    first = worlds.step(np.arange(1), np.zeros(1, np.int64))
    second = worlds.step(np.arange(1), np.zeros(1, np.int64))
    assert first.success is not None
    assert second.success is not None
    assert np.isnan(first.success[0])
    assert "count" not in first.metrics
    assert second.success[0] == 1.0
    assert second.metrics["count"][0] == 2.0


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1", "HalfCheetah-v5"])
def test_third_party_worlds_run_unchanged(name):
    worlds = WorldSource(name).make_batch(2)
    single = gym.make(name)
    first, _ = single.reset(seed=11)
    seen = worlds.reset(np.arange(2), [11, 12])
    assert np.array_equal(seen[0], np.asarray(first, np.float32).ravel())
    single.action_space.seed(0)
    for _ in range(10):
        action = single.action_space.sample()
        expected, reward, *_ = single.step(action)
        result = worlds.step(np.arange(2), np.stack([action, action]))
        assert np.array_equal(result.observation[0], np.asarray(expected, np.float32).ravel())
        assert result.reward[0] == pytest.approx(float(reward))
    worlds.close()
    worlds.close()
    single.close()


def test_unsupported_spaces_no_worlds_and_unknown_names_are_the_users_mistake():
    with pytest.raises(UserError, match="nothing can be flattened"):
        WorldSource(f"{__name__}:Nested").make_batch(1)
    with pytest.raises(UserError, match="at least 1"):
        WorldSource("CartPole-v1").make_batch(0)
    with pytest.raises(UserError, match="CartPole-v1"):
        WorldSource("CartPoel-v1").make_batch(1)
    with pytest.raises(UserError, match="pushes"):
        WorldSource("peripatos/Walker-v0", {"pushs": 1}).make_batch(1)


def test_discrete_actions_are_counted_from_zero_and_checked():
    space = Discrete(3, start=5)
    assert checked_action(np.array([0, 2]), 2, space).tolist() == [5, 7]
    for bad in (np.array([0, 3]), np.array([-1, 0]), np.array([0.0, 1.0]), np.array([0])):
        with pytest.raises(ValueError, match=r"actions"):
            checked_action(bad, 2, space)


@pytest.mark.parametrize("breaks", ["step", "nan", "reset"])
def test_worlds_that_broke_are_closed_when_they_are_replaced(held, breaks):
    worlds, ids = WorldSource(held, {"breaks": breaks}).make_batch(2), np.arange(2)
    for episode in range(5):
        worlds.reset(ids, [episode, episode])
        assert len(worlds.step(ids, np.zeros(2, np.int64)).failure) == 2
        assert len(Held.open) <= 2
    worlds.close()
    assert not Held.open


def test_worlds_that_were_made_before_one_could_not_be_are_closed(held):
    with pytest.raises(UserError, match=r"cannot be made: RuntimeError: no licence"):
        WorldSource(held, {"breaks": "third"}).make_batch(4)
    assert not Held.open


def test_a_world_may_empty_its_options_without_touching_those_of_others(held):
    options = {"goals": [1, 2, 3]}
    worlds = WorldSource(held, options).make_batch(3)
    assert worlds.reset(np.arange(3), [0, 1, 2])[:, 0].tolist() == [1, 1, 1]
    assert worlds.reset(np.arange(3), [0, 1, 2])[:, 0].tolist() == [2, 2, 2]
    assert options == {"goals": [1, 2, 3]}


@pytest.mark.parametrize(
    ("name", "n"), [("hands_out_one", 2), ("hands_out_one_in_wrappers", 3), ("hands_out_two_by_turns", 3)]
)
def test_a_function_that_hands_out_one_world_for_several_is_refused(held, name, n):
    with pytest.raises(UserError, match=f"{name}.* in use: each call must make a new Held"):
        WorldSource(f"{__name__}:{name}").make_batch(n)


def test_one_world_for_training_and_evaluation_is_refused(held):
    training = WorldSource(f"{__name__}:hands_out_one").make_batch(1)
    with pytest.raises(UserError, match="in use"):
        WorldSource(f"{__name__}:hands_out_one").make_batch(1)
    training.close()
    WorldSource(f"{__name__}:hands_out_one").make_batch(1).close()


def test_what_broke_is_not_replaced_by_a_world_in_use(held):
    COMING[:] = [Held("step"), good := Held(), good]
    worlds, ids = (
        ListOfWorlds(f"{__name__}:hands_out_what_comes", 2, lambda: make_world(f"{__name__}:hands_out_what_comes")),
        np.arange(2),
    )
    worlds.reset(ids, [0, 1])
    assert list(worlds.step(ids, np.zeros(2, np.int64)).failure) == [0]
    worlds.reset(ids, [0, 1])
    result = worlds.step(ids, np.zeros(2, np.int64))
    assert list(result.failure) == [0]
    assert "in use" in result.failure[0]
    worlds.close()
    assert not Held.open
