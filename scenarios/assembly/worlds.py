"""What assembly asks of the scenario's world."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
from gymnasium.spaces import Box, Discrete

from ...envs.conversation.conversation_env import ConversationEnv
from ...envs.errors import UserError
from ...envs.registry import make_world, world_kind
from ..config.schema import Sampling, Scenario


def is_conversation(scenario: Scenario) -> bool:
    """Whether the scenario's world is one of messages."""
    env = make_world(scenario.world.id, **scenario.world.options)
    try:
        return world_kind(env) == "conversation"
    finally:
        env.close()


def spaces(scenario: Scenario) -> tuple[Box, Box | Discrete]:
    """The spaces of a control world; `check_parts` has seen that they are supported."""
    env = make_world(scenario.world.id, **scenario.world.options)
    observation, action = env.observation_space, env.action_space
    env.close()
    assert isinstance(observation, Box)
    assert isinstance(action, Box | Discrete)
    return observation, action


def longest_episode(scenario: Scenario) -> int:
    """The most units that an episode can have."""
    env = make_world(scenario.world.id, **scenario.world.options)
    turns = env.spec.max_episode_steps if env.spec else None
    talks = isinstance(env.unwrapped, ConversationEnv)
    if isinstance(env.unwrapped, ConversationEnv):
        turns = turns or env.unwrapped.turn_limit
    env.close()
    if talks:
        return (turns or 1) * (scenario.sampling or Sampling()).max_tokens
    if turns is None:
        raise UserError(f"{scenario.world.id!r} has no limit of steps; give overrides.update.length")
    return turns


def world_maker(scenario: Scenario) -> Callable[[], gymnasium.Env[Any, Any]]:
    name, options = scenario.world.id, scenario.world.options
    return lambda: make_world(name, **options)
