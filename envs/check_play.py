"""How checks play a world and say what they found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, SupportsFloat

import gymnasium
import numpy as np

from .control.flat_spaces import Observations
from .conversation.conversation_env import ConversationEnv
from .reported import RESET, STEP, BadReport, parts

Env = gymnasium.Env[Any, Any]
STEPS = 60  # of an episode, at most


@dataclass(frozen=True)
class Step:
    observation: Any
    reward: SupportsFloat
    terminated: bool
    truncated: bool
    info: dict[str, Any]


class Broken(AssertionError):
    """The world breaks its contract in the way that the message says."""


def require(condition: bool, message: str) -> None:
    if not condition:
        raise Broken(message)


def play(world: Env, seed: int, *, action_seed: int = 0) -> tuple[Any, dict[str, Any], list[Step]]:
    """An episode of sampled actions: the first observation, its info, and the steps."""
    world.action_space.seed(action_seed)
    first, info = parts(world.reset(seed=seed), "reset", *RESET)
    first = np.copy(first) if isinstance(first, np.ndarray) else first
    steps: list[Step] = []
    while len(steps) < STEPS:
        answer = world.step(world.action_space.sample())
        observation, reward, terminated, truncated, step_info = parts(answer, "step", *STEP)
        observation = np.copy(observation) if isinstance(observation, np.ndarray) else observation
        steps.append(Step(observation, reward, terminated, truncated, step_info))
        if terminated or truncated:
            break
    return first, info, steps


def seen_amiss(world: Env, observation: Any) -> str | None:
    """What a run says of an observation: that it costs the episode, or how it differs from its space."""
    if isinstance(world.unwrapped, ConversationEnv):
        inside = world.observation_space.contains(observation)
        return None if inside else f"{observation!r:.120} is not in {world.observation_space}"
    try:
        return Observations(world.observation_space).misfit(observation)
    except BadReport as problem:
        return str(problem)


def identical(one: object, two: object) -> bool:
    if isinstance(one, np.ndarray) and isinstance(two, np.ndarray):
        return one.dtype == two.dtype and one.shape == two.shape and one.tobytes() == two.tobytes()
    if isinstance(one, float | np.floating) and isinstance(two, float | np.floating):
        return np.float64(one).tobytes() == np.float64(two).tobytes()
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        return one.keys() == two.keys() and all(identical(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(two, list | tuple):
        return len(one) == len(two) and all(map(identical, one, two))
    return type(one) is type(two) and bool(one == two)
