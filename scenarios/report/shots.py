"""One episode in pictures: a shot for each step, with what the step earned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Space

from ...agents.protocols import Behaviour
from ...envs.control.flat_spaces import Actions, Observations
from ...envs.control.world_batch import checked_action
from ...envs.errors import UserError
from ...envs.reported import STEP, BadReport, begin, flag, number, parts
from ...envs.seeding import stream
from ...envs.time_limits import least, time_limit
from ..run.display import Display
from .pictures import Camera, filmed

MOST_STEPS = 2_000  # of a film, unless more are asked for
_PART = "reward_"


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
        try:
            seen = np.asarray(self._flat(observation), np.float32)
        except BadReport as problem:
            raise UserError(f"the world cannot be filmed: {problem}") from problem
        acted = self._behaviour.act(seen[None], None, self._memory)
        action, self._memory = acted.action, acted.memory_N
        return self._acts.own(checked_action(action, 1, self._acts.stored)[0])


class ActsAtRandom:
    """Samples the action space, from a stream of its own."""

    def __init__(self, space: Space[Any], seed: int) -> None:
        space.seed(int(stream(seed, "film").integers(2**31)))
        self._space = space

    def __call__(self, observation: Any) -> Any:
        return self._space.sample()


def film_episode(
    name: str,
    env: gymnasium.Env[Any, Any],
    act: Acts | ActsAtRandom,
    camera: Camera,
    *,
    seed: int,
    most: int = MOST_STEPS,
    display: Display,
) -> Iterator[Shot]:
    """One episode of the world `name`, a shot for each of at most so many steps, as it is played: a long one fits into
    memory as a short one does. UserError for whatever goes wrong in the world."""
    with filmed(name):
        observation, _ = begin(env, seed, "test")
    total, limit = 0.0, least(time_limit(env), most) or most
    for count in range(1, most + 1):
        action = act(observation)
        with filmed(name):
            observation, earned, terminated, truncated, info = parts(env.step(action), "step", *STEP)
            reward, picture = number(earned, "the reward"), camera.picture()
            over = flag(terminated, "terminated") or flag(truncated, "truncated")
        info = info if isinstance(info, Mapping) else {}
        total += reward
        yield Shot(picture, reward, total, reward_parts(info), _numbers(info.get("signals")))
        display.move("filming", count / limit, {})
        if over:
            return
    display.warn(f"the film ends after {most:,} steps, and the episode goes on: --limit {2 * most} films more of it")


def reward_parts(info: Mapping[str, Any]) -> dict[str, float]:
    """What a step's reward consists of: `info["reward_terms"]`, or the numbers `reward_NAME` of other people's worlds,
    as Gymnasium's robots report them."""
    if "reward_terms" in info:
        return _numbers(info["reward_terms"])
    return _numbers({key.removeprefix(_PART): value for key, value in info.items() if str(key).startswith(_PART)})


def _numbers(given: Any) -> dict[str, float]:
    """The finite numbers in a mapping, by name; none where it is something else."""
    if not isinstance(given, Mapping):
        return {}
    found = {}
    for name, value in given.items():
        try:
            found[str(name)] = number(value, str(name))
        except BadReport:
            continue
    return found
