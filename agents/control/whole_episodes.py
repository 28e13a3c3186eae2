"""Whole episodes, each played once by whoever acts: what evaluations are, and what methods without a critic learn from.

    plays = tasks_to_play(16, seed=root, split="test")
    steps, episodes = play_episodes(behaviour, worlds, plays, "test")

A world that has ended is not stepped again. All chance is derived from (seed, group, member, …), never from the order
of worlds. torch is not imported here: an agent in a file is played where there is none.
"""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...envs.contained import look
from ...envs.control.world_batch import StepResult, WorldBatch, action_layout
from ...envs.errors import UserError
from ...envs.seeding import derive_seed, stream
from ...envs.time_limits import ENDLESS, REMEDY
from ...envs.vocabulary import Episode
from ..protocols import Act, Behaviour, PolicyNotFinite
from .running_episodes import RunningEpisodes

EVALUATED_AT_ONCE = 128  # episodes, where that many worlds may be open
_NOISE_CHUNK = 64  # steps of chance drawn at a time for an episode of unknown length


@dataclass(frozen=True)
class Play:
    """One whole episode to be played: the stream `chance` is None for a greedy agent."""

    group: int
    index: int
    seed: int
    chance: np.random.Generator | None


@dataclass(frozen=True)
class Step:
    """One step of the worlds that were still alive."""

    ids: np.ndarray
    observation: np.ndarray
    action: np.ndarray
    logp: np.ndarray
    value: np.ndarray
    reward: np.ndarray


def task_seed(seed: int, split: str, group: int) -> int:
    """With which the world of an episode is reset."""
    return derive_seed(seed, "task", split, group)


def tasks_to_play(tasks: int, *, seed: int, split: str, greedy: bool = True, each: int = 1) -> list[Play]:
    """`each` episodes of each of so many tasks, task by task; the same ones for the same seed."""
    return [
        Play(group, index, task_seed(seed, split, group), None if greedy else stream(seed, split, group, index))
        for group in range(tasks)
        for index in range(each)
    ]


def play_episodes(
    behaviour: Behaviour,
    worlds: WorldBatch,
    plays: Sequence[Play],
    split: str,
    *,
    version: int = 0,
    limit: int | None = None,
    endless: str | None = None,
    kept: bool = False,
    seconds: defaultdict[str, float] | None = None,
) -> tuple[list[Step], list[Episode]]:
    """Play each of `plays` once, all at the same time, in as many of `worlds` or more: the steps of the living, if
    they are `kept`, and the episodes in order. An episode is cut after `limit` steps, if that is given. `endless` is
    the name of a world in which nothing limits one: UserError where it does not end. `seconds` takes in the time.
    """
    live, seconds = np.arange(len(plays)), defaultdict(float) if seconds is None else seconds
    running = RunningEpisodes(worlds.n, *action_layout(worlds.action_space))
    seeds = [play.seed for play in plays]
    running.begin(live, np.asarray(seeds))
    clock = time.perf_counter()
    observation = worlds.reset(live, seeds, split)
    seconds["simulate"] += time.perf_counter() - clock
    steps: list[Step] = []
    episodes: dict[int, Episode] = {}
    memory = behaviour.begin(len(plays))
    noise: np.ndarray | None = None
    for t in itertools.count():
        if not len(live):
            break
        clock = time.perf_counter()
        if t % _NOISE_CHUNK == 0:
            noise = _chance(behaviour, plays, live)
        now = None if noise is None else noise[live, t % _NOISE_CHUNK]
        look()
        action, logp, value, memory[live] = finite(behaviour.act(observation[live], now, memory[live]))
        between = time.perf_counter()
        result = worlds.step(live, action)
        seconds["infer"] += between - clock
        seconds["simulate"] += time.perf_counter() - between
        running.add(live, action, result)
        if kept:
            steps.append(Step(live, _compact(observation[live], worlds), action, logp, value, result.reward))
        observation[live] = result.observation
        cut = t + 1 == limit
        if endless is not None and t + 1 == ENDLESS:
            raise UserError(f"an episode of {endless!r} went on for {ENDLESS:,} steps, and nothing limits it; {REMEDY}")
        done = live if cut else ended(live, result)
        if not len(done):
            continue
        row_in_result = {int(i): row for row, i in enumerate(live)}
        for i in map(int, done):
            play, row = plays[i], row_in_result[i]
            episodes[i] = running.close(i, row, result, play.group, play.index, version, split, cut=cut)
        live = np.setdiff1d(live, done, assume_unique=True)
    return steps, [episodes[i] for i in range(len(plays))]


def finite(act: Act) -> Act:
    """What a policy gave. PolicyNotFinite where that is no number."""
    for what, numbers in {"an action": act.action, "a log-probability": act.logp_N, "a value": act.value_N}.items():
        if not np.isfinite(numbers).all():
            raise PolicyNotFinite(f"{what} of the policy is {numbers[~np.isfinite(numbers)][0]}")
    return act


def ended(ids: np.ndarray, result: StepResult) -> np.ndarray:
    """Which of `ids` were terminated, truncated or failed in this step."""
    over = result.terminated | result.truncated
    if result.failure:
        over = over | np.isin(ids, list(result.failure))
    return ids[over]


def _compact(observation: np.ndarray, worlds: WorldBatch) -> np.ndarray:
    """What is kept of a step's observations until the episodes are over: of pictures alone, bytes."""
    return observation.astype(np.uint8) if observation.shape[1] == worlds.pixels else observation


def _chance(behaviour: Behaviour, plays: Sequence[Play], live: np.ndarray) -> np.ndarray | None:
    """The next chunk of chance for the living [all plays, chunk, K]; None for a greedy agent."""
    drawn = {int(i): behaviour.draw(chance, _NOISE_CHUNK) for i in live if (chance := plays[i].chance) is not None}
    if not drawn:
        return None
    sample = next(iter(drawn.values()))
    noise = np.zeros((len(plays), *sample.shape), sample.dtype)
    for i, values in drawn.items():
        noise[i] = values
    return noise
