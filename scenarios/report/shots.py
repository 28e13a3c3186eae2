"""One episode in pictures: a shot for each step, with what the step earned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Space

from ...agents.protocols import Behaviour
from ...envs.control.flat_spaces import Actions, Observations
from ...envs.control.world_batch import checked_action
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
    """Chooses greedy actions for one episode in a world with the spaces `acted` and `seen`, in the form that it takes;
    without `seen`, observations are numbers in a row already."""

    def __init__(self, behaviour: Behaviour, acted: Space[Any], seen: Space[Any] | None = None) -> None:
        self._behaviour, self._acts = behaviour, Actions(acted)
        self._flat = np.ravel if seen is None else Observations(seen).flat
        self._memory = behaviour.begin(1)

    def __call__(self, observation: Any) -> Any:
        seen = np.asarray(self._flat(observation), np.float32)
        action = self._behaviour.act(seen[None], None, self._memory)[0]
        return self._acts.own(checked_action(action, 1, self._acts.stored)[0])


class ActsAtRandom:
    """Samples the action space, from a stream of its own."""

    def __init__(self, space: Space[Any], seed: int) -> None:
        space.seed(int(stream(seed, "film").integers(2**31)))
        self._space = space

    def __call__(self, observation: Any) -> Any:
        return self._space.sample()


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
