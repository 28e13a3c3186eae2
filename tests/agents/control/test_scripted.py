"""Agents that do not learn act through the same calls as one that does."""

import functools
import itertools
import threading
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from peripatos.agents.control.control_actor import ControlActor
from peripatos.agents.control.scripted import RandomAgent, ScriptedAgent
from peripatos.envs.errors import UserError
from peripatos.envs.world_source import WorldSource


def lean(observation: np.ndarray) -> int:
    return int(observation[2] + 0.3 * observation[3] > 0)


def test_the_random_agent_is_uniform_and_knows_its_log_probability():
    box = Box(np.array([-2.0, 0.0]), np.array([2.0, 0.5]), dtype=np.float64)
    agent = RandomAgent(box)
    action, logp, _, _ = agent.act(np.zeros((4000, 3)), agent.draw(np.random.default_rng(0), 4000))
    assert action.mean(0) == pytest.approx([0.0, 0.25], abs=0.05)
    assert action.std(0) == pytest.approx([4 / 12**0.5, 0.5 / 12**0.5], rel=0.03)
    assert logp[0] == pytest.approx(-np.log(4.0 * 0.5))
    dice = RandomAgent(Discrete(5))
    action, logp, _, _ = dice.act(np.zeros((5000, 3)), dice.draw(np.random.default_rng(0), 5000))
    assert np.bincount(action) / 5000 == pytest.approx(np.full(5, 0.2), abs=0.02)
    assert logp[0] == pytest.approx(-np.log(5.0))


@pytest.mark.parametrize(
    ("low", "high", "within"),
    [
        (100.0, np.inf, (100, 102)),
        (-np.inf, -7.0, (-9, -7)),
        (-np.inf, np.inf, (-1, 1)),
        (-3.4e38, 3.4e38, (-3.4e38, 3.4e38)),
        (np.finfo(np.float64).min, np.finfo(np.float64).max, (-1, 1)),
        (3.0, 3.0, (3, 3)),
    ],
)
def test_a_random_agent_draws_finite_numbers_whatever_the_bounds(low, high, within):
    box = Box(low, high, (2,), dtype=np.float64)
    agent = RandomAgent(box)
    action, logp, _, _ = agent.act(np.zeros((500, 1)), agent.draw(np.random.default_rng(0), 500))
    drawn, middle, half = action.astype(np.float64), (within[0] + within[1]) / 2, (within[1] - within[0]) / 2
    assert np.isfinite(logp).all()
    assert all(map(box.contains, drawn))
    assert drawn.mean() == pytest.approx(middle, abs=0.1 * half)
    assert np.abs(drawn - middle).max() == pytest.approx(half, rel=0.02)


def test_a_random_agent_draws_in_greedy_evaluations_too():
    actor = ControlActor(RandomAgent(Discrete(3)), WorldSource(f"{__name__}:Signed", {"start": 0}), mode="episodes")
    first, again, other = (
        [episode.reward for episode in actor.evaluate(40, seed=seed, version=0, each=2)] for seed in (0, 0, 1)
    )
    assert first == again != other
    assert np.mean(first) == pytest.approx(3.0, abs=3 * (3 * 2 / 3 / 80) ** 0.5)  # three draws, each 1 ± √(2/3)
    assert first[::2] != first[1::2]  # the episodes of one task differ
    actor.close()


class Counted(gym.Env[np.ndarray, int]):
    """Five steps (six where the seed is odd); each earns 1 where the action is the number of the step."""

    observation_space, action_space = Box(-1.0, 1.0, (1,)), Discrete(6)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.t, self.length = 0, 5 + (seed or 0) % 2
        return np.zeros(1, np.float32), {}

    def step(self, action: int):
        earned, self.t = float(action == self.t), self.t + 1
        return np.zeros(1, np.float32), earned, self.t == self.length, False, {}


class Counter:
    """Says how often it was asked before."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, observation: np.ndarray) -> int:
        self.asked += 1
        return self.asked - 1

    def say(self, observation: np.ndarray) -> int:
        return self(observation)


class WithReset(Counter):
    """Counts from where it is until it is told that an episode begins."""

    def __init__(self) -> None:
        self.asked = 77

    def reset(self) -> None:
        self.asked = 0


def following(count: "itertools.count[int]", observation: np.ndarray) -> int:
    return next(count)


class Holding(Counter):
    """Cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


class Signed(gym.Env[np.ndarray, int]):
    """Three steps that earn their action."""

    observation_space = Box(-1.0, 1.0, (1,))

    def __init__(self, start: int) -> None:
        self.action_space = Discrete(3, start=start)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: int):
        assert self.action_space.contains(action), action
        self.t += 1
        return np.zeros(1, np.float32), float(action), self.t == 3, False, {}


@pytest.mark.parametrize(
    "script",
    [
        Counter,
        Counter(),
        Counter().say,
        WithReset,
        WithReset(),
        functools.partial(following, itertools.count()),
        Holding,
    ],
    ids=[
        "class",
        "object",
        "method",
        "class with reset",
        "object with reset",
        "partial",
        "class that cannot be copied",
    ],
)
def test_a_script_with_a_memory_has_one_for_each_episode(script):
    actor = ControlActor(ScriptedAgent(script, Discrete(6)), WorldSource(f"{__name__}:Counted"), mode="episodes")
    for seed in (0, 1):
        played = actor.evaluate(9, seed=seed, version=0)
        assert [episode.reward for episode in played] == [episode.turns for episode in played]
        assert {episode.turns for episode in played} == {5, 6}
    shown = actor.collect(range(3), 2, seed=0, version=0)
    assert [episode.reward for episode in shown.episodes] == [episode.turns for episode in shown.episodes]
    actor.close()


def test_what_cannot_be_copied_or_called_is_refused():
    with pytest.raises(UserError, match=r"cannot be copied .* give its class"):
        ScriptedAgent(Holding(), Discrete(6)).begin(1)
    for nothing in (3, Counted):
        with pytest.raises(UserError, match="cannot be called with an observation"):
            ScriptedAgent(nothing, Discrete(6))  # type: ignore[arg-type]


@pytest.mark.parametrize(("start", "action"), [(-1, -1), (1, 1), (1, 3), (0, np.int32(2)), (5, 5.0), (-9, -7)])
def test_a_script_names_the_worlds_own_actions(start, action):
    agent = ScriptedAgent(lambda _: action, Discrete(3, start=start))
    actor = ControlActor(agent, WorldSource(f"{__name__}:Signed", {"start": start}), mode="episodes")
    assert actor.evaluate(1, seed=0, version=0)[0].reward == 3.0 * action
    batch = actor.collect([0], 1, seed=0, version=0).batch
    assert batch is not None
    assert batch.inputs["action_B_T"].unique().tolist() == [action - start]  # a batch counts from zero
    actor.close()


@pytest.mark.parametrize("action", [3, -2, 0.5, [0, 1], "left", None, np.nan])
def test_an_action_that_the_space_does_not_have_is_the_scripts_mistake(action):
    with pytest.raises(UserError, match="allowed are the whole numbers -1 to 1"):
        ScriptedAgent(lambda _: action, Discrete(3, start=-1)).act(np.zeros((1, 2)))
    with pytest.raises(UserError, match=r"finite numbers of shape \(2,\)"):
        ScriptedAgent(lambda _: action if action != [0, 1] else [np.inf, 1], Box(-1, 1, (2,))).act(np.zeros((1, 2)))


def test_a_scripted_agent_shows_the_way_better_than_a_random_one():
    scores = {}
    for name, agent in (("random", RandomAgent(Discrete(2))), ("lean", ScriptedAgent(lean, Discrete(2)))):
        actor = ControlActor(agent, WorldSource("CartPole-v1"), mode="episodes")
        collection = actor.collect(range(4), 1, seed=0, version=0)
        assert collection.batch is not None
        scores[name] = np.mean([episode.reward or 0.0 for episode in collection.episodes])
        actor.close()
    assert scores["lean"] > 150 > scores["random"]


def test_a_scripted_agent_gives_the_type_that_its_space_stores():
    seen = np.zeros((3, 2), np.float32)
    assert ScriptedAgent(lambda _: [0.5], Box(-1, 1, (1,))).act(seen)[0].dtype == np.float32
    assert ScriptedAgent(lambda _: 1, Discrete(2)).act(seen)[0].dtype == np.int64


def stumbles(observation: np.ndarray) -> int:
    raise RuntimeError("no way")


def test_a_script_that_raises_is_told_with_its_own_lines():
    agent = ScriptedAgent(stumbles, Discrete(2))
    with pytest.raises(
        UserError, match=r"stumbles fails: RuntimeError: no way\n.*test_scripted\.py, line \d+, in stumbles"
    ):
        agent.act(np.zeros((1, 2), np.float32))
