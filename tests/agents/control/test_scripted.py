"""Agents that do not learn act through the same calls as one that does."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from peripatos.agents.control.control_actor import ControlActor
from peripatos.agents.control.scripted import RandomAgent, ScriptedAgent, make_behaviour
from peripatos.envs.errors import UserError
from peripatos.envs.world_source import WorldSource

NUMBER = 3


def lean(observation: np.ndarray) -> int:
    return int(observation[2] + 0.3 * observation[3] > 0)


def test_the_random_agent_is_uniform_and_knows_its_log_probability():
    box = Box(np.array([-2.0, 0.0]), np.array([2.0, 0.5]), dtype=np.float64)
    agent = RandomAgent(box)
    action, logp, _ = agent.act(np.zeros((4000, 3)), agent.draw(np.random.default_rng(0), 4000))
    assert action.mean(0) == pytest.approx([0.0, 0.25], abs=0.05)
    assert action.std(0) == pytest.approx([4 / 12**0.5, 0.5 / 12**0.5], rel=0.03)
    assert logp[0] == pytest.approx(-np.log(4.0 * 0.5))
    dice = RandomAgent(Discrete(5))
    action, logp, _ = dice.act(np.zeros((5000, 3)), dice.draw(np.random.default_rng(0), 5000))
    assert np.bincount(action) / 5000 == pytest.approx(np.full(5, 0.2), abs=0.02)
    assert logp[0] == pytest.approx(-np.log(5.0))


def test_a_scripted_agent_shows_the_way_better_than_a_random_one():
    scores = {}
    for name in ("random", f"{__name__}:lean"):
        actor = ControlActor(make_behaviour(name, Discrete(2)), WorldSource("CartPole-v1"), mode="episodes")
        collection = actor.collect(range(4), 1, seed=0, version=0)
        assert collection.batch is not None
        scores[name] = np.mean([episode.reward or 0.0 for episode in collection.episodes])
        actor.close()
    assert scores[f"{__name__}:lean"] > 150 > scores["random"]


def test_a_scripted_agent_gives_the_type_that_its_space_stores():
    seen = np.zeros((3, 2), np.float32)
    assert ScriptedAgent(lambda _: [0.5], Box(-1, 1, (1,))).act(seen)[0].dtype == np.float32
    assert ScriptedAgent(lambda _: 1, Discrete(2)).act(seen)[0].dtype == np.int64


def test_what_is_no_function_is_refused():
    with pytest.raises(UserError, match="nothing called 'leen'"):
        make_behaviour(f"{__name__}:leen", Discrete(2))
    with pytest.raises(UserError, match="not a function"):
        make_behaviour(f"{__name__}:NUMBER", Discrete(2))
    with pytest.raises(UserError, match="part of Python's standard library"):
        make_behaviour("math:pi", Discrete(2))
