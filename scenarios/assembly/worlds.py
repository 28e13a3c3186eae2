"""What assembly asks of the scenario's world: of its source, which constructs as few worlds as it can."""

from __future__ import annotations

from gymnasium.spaces import Box, Discrete

from ...envs.errors import UserError
from ...envs.world_source import WorldSource
from ..config.schema import Sampling, Scenario


def world_source(scenario: Scenario) -> WorldSource:
    """Makes the scenario's worlds. A run has one, from its checks to its last evaluation."""
    return WorldSource(scenario.world.id, scenario.world.options)


def spaces(source: WorldSource) -> tuple[Box, Box | Discrete]:
    """The spaces of a control world; that they are supported is among its facts."""
    observation, action = source.facts.observation_space, source.facts.action_space
    assert isinstance(observation, Box)
    assert isinstance(action, Box | Discrete)
    return observation, action


def longest_episode(scenario: Scenario, source: WorldSource) -> int:
    """The most units that an episode can have."""
    turns = source.facts.longest_episode
    if source.facts.kind == "conversation":
        return (turns or 1) * (scenario.sampling or Sampling()).max_tokens
    if turns is None:
        raise UserError(f"{source.id!r} has no limit of steps; give overrides.update.length")
    return turns
