"""One episode in pictures: a shot for each step, with what the step earned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from ...agents.protocols import Behaviour
from ...envs.errors import UserError
from ...envs.seeding import stream
from ..run.display import Display


@dataclass(frozen=True)
class Shot:
    """One step: what was seen, and what the step earned."""

    picture: np.ndarray  # [height, width, 3] uint8
    reward: float
    total: float  # return so far
    terms: dict[str, float] = field(default_factory=dict)
    signals: dict[str, float] = field(default_factory=dict)  # what the diagram beside the film draws


class Acts:
    """Chooses greedy actions for one episode, in the form that the world takes."""

    def __init__(self, behaviour: Behaviour, space: Box | Discrete) -> None:
        self._behaviour, self._space = behaviour, space
        self._memory = behaviour.begin(1)

    def __call__(self, observation: np.ndarray) -> np.ndarray | int:
        seen = np.asarray(observation, np.float32).reshape(1, -1)
        acted = self._behaviour.act(seen, None, self._memory)
        action, self._memory = acted.action[0], acted.memory_N
        if isinstance(self._space, Discrete):
            return int(action) + int(self._space.start)
        shaped = np.asarray(action).reshape(self._space.shape)
        return np.clip(shaped, self._space.low, self._space.high).astype(self._space.dtype)


class ActsAtRandom:
    """Samples the action space, from a stream of its own."""

    def __init__(self, space: Box | Discrete, seed: int) -> None:
        space.seed(int(stream(seed, "film").integers(2**31)))
        self._space = space

    def __call__(self, observation: np.ndarray) -> np.ndarray | int:
        drawn = self._space.sample()
        return int(drawn) if isinstance(self._space, Discrete) else np.asarray(drawn)


def film_episode(
    env: gymnasium.Env[Any, Any], act: Acts | ActsAtRandom, *, seed: int, display: Display
) -> Iterator[Shot]:
    """One episode, a shot for each step, as it is played: a long one fits into memory as a short one does."""
    observation, _ = env.reset(seed=seed)
    count, total, limit = 0, 0.0, (env.spec.max_episode_steps if env.spec else None) or 1000
    terminated = truncated = False
    while not (terminated or truncated):
        observation, reward, terminated, truncated, info = env.step(act(observation))
        total += float(reward)
        terms = {name: float(value) for name, value in info.get("reward_terms", {}).items()}
        signals = {name: float(value) for name, value in info.get("signals", {}).items()}
        yield Shot(_picture(env), float(reward), total, terms, signals)
        count += 1
        display.move("filming", count / limit, {})


def _picture(env: gymnasium.Env[Any, Any]) -> np.ndarray:
    try:
        picture = env.render()
    except (gymnasium.error.DependencyNotInstalled, ImportError, RuntimeError, OSError, AttributeError) as problem:
        raise UserError(
            f"this machine cannot render the world: {problem}. Without a display MuJoCo needs EGL or OSMesa "
            "(Debian: apt-get install libegl1, or libosmesa6 with MUJOCO_GL=osmesa); classic control needs pygame"
        ) from problem
    if not isinstance(picture, np.ndarray):
        raise UserError("this world gives no pictures: it has no render_mode 'rgb_array'")
    return np.ascontiguousarray(picture)
