"""How checks play a world and say what they found."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, SupportsFloat
from unittest import mock

import gymnasium
import numpy as np

from .contained import look
from .control.flat_spaces import Observations
from .conversation.conversation_env import ConversationEnv
from .reported import STEP, BadReport, begin, early_success, foreign, number, parts

Env = gymnasium.Env[Any, Any]
STEPS = 60  # of an episode, at most
READ = ("success", "is_success", "metrics", "reward_terms")  # of an `info`, by whoever plays the world


@dataclass(frozen=True)
class Step:
    observation: Any
    reward: SupportsFloat
    terminated: bool
    truncated: bool
    info: dict[str, Any]


Episode = tuple[Any, dict[str, Any], list[Step]]  # the first observation, its info, and the steps


class Broken(AssertionError):
    """The world breaks its contract in the way that the message says."""


class Untested(str):
    """The remark of a check that has found nothing out."""


def require(condition: bool, message: str) -> None:
    if not condition:
        raise Broken(message)


def play(world: Env, seed: int, *, action_seed: int = 0) -> Episode:
    """An episode of sampled actions, or the first `STEPS` steps of it."""
    (episode,) = play_together([(world, seed, action_seed)])
    return episode


def play_together(players: Sequence[tuple[Env, int, int]]) -> list[Episode]:
    """As `play`, of several worlds, each with its seed and that of its actions, which take their steps by turns."""
    spaces = [copy.deepcopy(world.action_space) for world, _, _ in players]  # which worlds may share
    episodes: list[Episode] = []
    for (world, seed, action_seed), space in zip(players, spaces, strict=True):
        space.seed(action_seed)
        first, info = begin(world, seed)
        _require_info(info, "reset")
        episodes.append((copy.deepcopy(first), info, []))
    going = [
        (world, space, steps) for (world, _, _), space, (_, _, steps) in zip(players, spaces, episodes, strict=True)
    ]
    while going:
        look()
        for world, space, steps in going:
            steps.append(_step(world, space.sample()))
        going = [one for one in going if len(one[2]) < STEPS and not (one[2][-1].terminated or one[2][-1].truncated)]
    return episodes


def _step(world: Env, action: object) -> Step:
    """A step, with copies of what a world may fill in place the next time."""
    observation, reward, terminated, truncated, info = parts(world.step(action), "step", *STEP)
    _require_info(info, "step")
    info = {key: copy.deepcopy(value) if key in READ else value for key, value in info.items()}
    return Step(*copy.deepcopy((observation, reward)), terminated, truncated, info)


def _require_info(info: object, method: str) -> None:
    require(isinstance(info, Mapping), f"{method} gave {info!r:.80} in the place of the info dict")


def seen_amiss(world: Env, observation: Any) -> str | None:
    """What a run says of an observation: that it costs the episode, or how it differs from its space."""
    if isinstance(world.unwrapped, ConversationEnv):
        inside = world.observation_space.contains(observation)
        return None if inside else f"{observation!r:.120} is not in {world.observation_space}"
    try:
        return Observations(world.observation_space).misfit(observation)
    except BadReport as problem:
        return str(problem)


def absurd_texts() -> dict[str, str]:
    """Replies that no agent means well, by name."""
    rng = np.random.default_rng(0)
    return {
        "an empty reply": "",
        "control characters": "".join(map(chr, range(32))) + "\x7f\x1b[2J\x1b]0;title\x07",
        "a lone surrogate": "\ud800 and \udfff",
        "random Unicode": "".join(map(chr, rng.integers(32, 0xD7FF, size=2_000))),
        "text from right to left": "\u202e\u0661\u0662\u0663 \u200d\u200b\ufeff",
        "100,000 digits": "9" * 100_000,
        "200,000 brackets": "({[<" * 50_000,
        "10,000 answers": "\\boxed{<answer>1</answer>}" * 10_000,
        "a megabyte": "walk " * 200_000,
        "format strings and code": "{0.__class__} %s %n ${HOME} `id` __import__('os').abort() 10**10**10",
    }


def is_unscored(world: Env, reward: SupportsFloat, info: Mapping[str, Any]) -> bool:
    """Whether a conversation ends without a reward and says so, since nobody knows what the reply is worth."""
    says = isinstance(world.unwrapped, ConversationEnv) and isinstance(info.get("unscored"), str)
    return says and isinstance(reward, float) and math.isnan(reward)


@contextmanager
def unscored_as_zero(world: Env) -> Iterator[None]:
    """For checkers of others, to whom NaN is never what NaN was: a world whose unscored steps have the reward 0."""
    inner, step = world.unwrapped, world.unwrapped.step

    def scored(action: object) -> Any:
        told = step(action)
        if isinstance(told, tuple) and len(told) == 5 and isinstance(told[4], Mapping):
            return (told[0], 0.0, *told[2:]) if is_unscored(inner, told[1], told[4]) else told
        return told

    with mock.patch.object(inner, "step", scored) if isinstance(inner, ConversationEnv) else nullcontext():
        yield


def not_counted(steps: Sequence[Step]) -> str:
    """A remark on a success of a body that no run counts, for its episode goes on and ends without one."""
    told = [foreign(step.info, number(step.reward, "the reward"), wrapped=True).success for step in steps]
    if True not in told or told[-1] or not (steps[-1].terminated or steps[-1].truncated):
        return ""
    return f"it is not counted that it reports {early_success(told.index(True) + 1, len(steps))}"


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
