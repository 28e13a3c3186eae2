"""N control worlds stepped together, with no automatic reset: whoever acts decides which worlds go on.

    observation_n_D = worlds.reset(ids, seeds)
    result          = worlds.step(ids, action)        # only the worlds named by `ids` move

A Gymnasium `VectorEnv` always steps every world and resets the finished ones by itself. Group methods want
neither: a group starts from one state (equal seeds), and a world that has ended waits until its group has.
Whatever goes wrong in one world ends that world's episode as *failed* and leaves the others alone.

What is seen is a vector and what is done a row of numbers, whatever spaces a world has (`flat_spaces`).
Left out: more than one process. A MuJoCo task has its own implementation on a thread pool (`mujoco_batch`); everything
else is a list of environments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Tuple

from ..contained import Contained, is_ours
from ..errors import UserError
from ..open_worlds import claim, close
from ..reported import STEP, Reported, begin, explained, flag, foreign, number, parts
from ..time_limits import OWN_WRAPPERS, is_wrapped
from .flat_spaces import Actions, Observations, StoredActions
from .seen_later import SeenLater


@dataclass(frozen=True)
class StepResult:
    """What one step of n worlds brings; every array belongs to the caller and is never written again."""

    observation: np.ndarray  # [n, D] float32; zeros where the world failed
    reward: np.ndarray  # [n] float64; 0 where the world failed
    terminated: np.ndarray  # [n] bool
    truncated: np.ndarray  # [n] bool, false wherever `terminated` is true
    terms: Mapping[str, np.ndarray] = field(default_factory=dict)  # weighted; they sum to `reward`
    metrics: Mapping[str, np.ndarray] = field(default_factory=dict)  # [n] each, NaN where not reported
    success: np.ndarray | None = None  # [n] float: 1, 0, or NaN where the world does not say
    failure: Mapping[int, str] = field(default_factory=dict)  # world id → why, in a sentence
    left_out: Mapping[int, str] = field(default_factory=dict)  # world id → what it reported in no form of ours
    misfit: str | None = None  # what one of the worlds observed, now or lately, that is not as its space says


class WorldBatch(Protocol):
    """N control worlds of one kind. `ids` are world numbers in [0, n), without repetition."""

    n: int
    observation_space: Box  # of one world, flattened to [D + P] float32
    pixels: int  # P: so many of the numbers at its end are whole ones from 0 to 255
    action_space: StoredActions  # of one world, flattened to [A], [] or [A + K]

    def reset(self, ids: np.ndarray, seeds: Sequence[int], split: str = "train") -> np.ndarray:
        """Begin an episode in each of `ids`, `seeds[i]` in world `ids[i]`: observations [len(ids), D].

        A world that cannot be reset gives zeros and reports the failure at its next step.
        """
        ...

    def step(self, ids: np.ndarray, action: np.ndarray) -> StepResult:
        """One step of the worlds `ids`. `action` is [len(ids), A] for Box (clipped to the bounds here), [len(ids)]
        counted from zero for Discrete, [len(ids), K] for MultiDiscrete, and both side by side for a Tuple of them.
        `ValueError` for another shape or a number that is not finite, or no choice."""
        ...

    def render(self, i: int) -> np.ndarray:
        """A picture [height, width, 3] uint8 of world `i`."""
        ...

    def close(self) -> None:
        """Free the worlds; closing twice is harmless."""
        ...


@runtime_checkable
class BatchedWorld(Protocol):
    """An environment that knows how to make many of itself at once, with the options it has itself."""

    def make_batch(self, n: int, *, threads: int | None, max_episode_steps: int | None) -> WorldBatch: ...

    def own_ways(self) -> tuple[str, ...]:
        """What this one has that those of `make_batch` would lack, by name; empty where they are the same world. Asked
        before its first episode."""
        ...


def checked_action(action: np.ndarray, n: int, space: StoredActions) -> np.ndarray:
    """`action` as a world takes it: clipped to the bounds of a Box, shifted to the start of a Discrete.

    Any float type and memory layout gives the same result. `ValueError` names what does not fit.
    """
    if isinstance(space, Tuple):
        real, choices = space.spaces
        assert isinstance(real, Box)
        assert isinstance(choices, MultiDiscrete)
        drawn = _finite(action, (n, real.shape[0] + len(choices.nvec)))
        chosen = _chosen(np.rint(drawn[:, real.shape[0] :]).astype(np.int64), n, choices)
        return np.concatenate([checked_action(drawn[:, : real.shape[0]], n, real), chosen], axis=1)
    if isinstance(space, MultiDiscrete):
        return _chosen(action, n, space)
    if isinstance(space, Discrete):
        index = np.asarray(action)
        if index.shape != (n,) or not np.issubdtype(index.dtype, np.integer):
            raise ValueError(f"actions are {index.dtype}{list(index.shape)}; expected integers of shape [{n}]")
        if n and (index.min() < 0 or index.max() >= space.n):
            raise ValueError(f"actions lie in [{index.min()}, {index.max()}]; allowed are 0 to {space.n - 1}")
        return index.astype(np.int64) + int(space.start)
    value = _finite(action, (n, *space.shape))
    # Through float32 first, so that a float64 copy of a stored float32 action replays to the same state.
    return np.clip(value.astype(np.float32), space.low, space.high).astype(space.dtype)


def _finite(action: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    value = np.asarray(action, dtype=np.float64)
    if value.shape != shape:
        raise ValueError(f"actions have shape {list(value.shape)}; expected {list(shape)}")
    if not np.isfinite(value).all():
        raise ValueError(f"the action of world number {np.argwhere(~np.isfinite(value))[0][0]} is not finite")
    return value


def _chosen(action: np.ndarray, n: int, space: MultiDiscrete) -> np.ndarray:
    index = np.asarray(action)
    if index.shape != (n, len(space.nvec)) or not np.issubdtype(index.dtype, np.integer):
        raise ValueError(
            f"actions are {index.dtype}{list(index.shape)}; expected integers of shape [{n}, {len(space.nvec)}]"
        )
    if ((index < 0) | (index >= space.nvec)).any():
        raise ValueError(f"actions lie in [{index.min()}, {index.max()}]; allowed are 0 to {(space.nvec - 1).tolist()}")
    return index.astype(np.int64)


def action_layout(space: StoredActions) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type in which one action is stored: [A] float32, [] or [K] int64, or [A + K] float32."""
    if isinstance(space, Discrete):
        return (), np.dtype(np.int64)
    if isinstance(space, MultiDiscrete):
        return (len(space.nvec),), np.dtype(np.int64)
    if isinstance(space, Tuple):
        return (sum(inside.shape[0] for inside in space.spaces if inside.shape),), np.dtype(np.float32)
    return space.shape, np.dtype(np.float32)


@dataclass(frozen=True)
class _Answer:
    """What one world said to one step, every number of it checked."""

    observation: np.ndarray
    reward: float
    terminated: bool
    truncated: bool
    info: Reported


class ListOfWorlds:
    """Any Gymnasium environment, one object for each world, stepped one after the other.

    Args:
        name: of the worlds, in what is said of them.
        n: how many.
        make: gives a new one; also in the place of one that broke.

    Raises:
        UserError: `make` gave a world that is in use.
    """

    def __init__(self, name: str, n: int, make: Callable[[], gym.Env[Any, Any]]) -> None:
        self.n = n
        self._name, self._give = name, make
        self._worlds: dict[int, gym.Env[Any, Any]] = {}  # by number; one that broke is missing until its next reset
        self._broken: dict[int, str] = {}  # world id → why, until its next step reports it
        try:
            for i in range(n):
                self._worlds[i] = self._make()
        except BaseException:
            self.close()
            raise
        self._seen = Observations(self._worlds[0].observation_space)
        self._later, self._last = SeenLater(self._seen), None  # what any world has observed last
        self._acts = Actions(self._worlds[0].action_space)
        self._wrapped = is_wrapped(self._worlds[0], beyond=OWN_WRAPPERS)
        self.observation_space, self.pixels = self._seen.box, self._seen.pixels
        self.action_space = self._acts.stored

    def reset(self, ids: np.ndarray, seeds: Sequence[int], split: str = "train") -> np.ndarray:
        """As `WorldBatch.reset`; `split` reaches the world as `options["split"]`."""
        observation = np.zeros((len(ids), *self.observation_space.shape), np.float32)
        for row, (i, seed) in enumerate(zip(map(int, ids), seeds, strict=True)):
            self._broken.pop(i, None)
            try:
                with Contained(self._name):
                    if i not in self._worlds:
                        self._worlds[i] = self._make()
                    seen, _ = begin(self._worlds[i], int(seed), split)
                    observation[row] = self._seen.flat(seen)
                    self._later.begun(seen)
            except BaseException as error:  # whatever a third party's world raises is data, not a crash
                self._fail(i, error)
        return observation

    def step(self, ids: np.ndarray, action: np.ndarray) -> StepResult:
        """As `WorldBatch.step`."""
        taken = checked_action(action, len(ids), self.action_space)
        n = len(ids)
        observation = np.zeros((n, *self.observation_space.shape), np.float32)
        reward, success = np.zeros(n), np.full(n, np.nan)
        terminated, truncated = np.zeros(n, bool), np.zeros(n, bool)
        terms: dict[str, np.ndarray] = {}
        metrics: dict[str, np.ndarray] = {}
        failure: dict[int, str] = {}
        left_out: dict[int, str] = {}
        with Contained(self._name):
            answers = [self._step_one(int(i), action) for i, action in zip(ids, taken, strict=True)]
        for row, i in enumerate(map(int, ids)):
            answer = answers[row]
            if answer is None:
                failure[i] = self._broken[i]
                continue
            info = answer.info
            observation[row], reward[row] = answer.observation, answer.reward
            terminated[row], truncated[row] = answer.terminated, answer.truncated
            success[row] = np.nan if info.success is None else info.success
            _scatter(info.terms, terms, row, n, fill=0.0)
            _scatter(info.metrics, metrics, row, n, fill=np.nan)
            if info.left_out is not None:
                left_out[i] = info.left_out
        misfit = None
        if not self._later.told and not failure:
            misfit = self._later.look(observation, self._last)
        return StepResult(
            observation, reward, terminated, truncated, terms, metrics, success, failure, left_out, misfit
        )

    def render(self, i: int) -> np.ndarray:
        """As `WorldBatch.render`; the world must have been made with `render_mode="rgb_array"`."""
        picture = self._worlds[i].render() if i in self._worlds else None
        if not isinstance(picture, np.ndarray):
            raise UserError(f'{self._name} gives no picture: make it with render_mode="rgb_array"')
        return picture

    def close(self) -> None:
        """Close every world once."""
        while self._worlds:
            close(self._worlds.popitem()[1])

    def _make(self) -> gym.Env[Any, Any]:
        """A world that nobody else acts in."""
        return claim(self._give(), self._name)

    def _step_one(self, i: int, action: np.ndarray) -> _Answer | None:
        """What world `i` answers; None where it broke, now or before, and then `_broken` says why."""
        if i in self._broken:
            return None
        try:
            answer = self._worlds[i].step(self._acts.own(action))
            seen, earned, terminated, truncated, info = parts(answer, "step", *STEP)
            reward, ended = number(earned, "the reward"), flag(terminated, "terminated")
            cut = flag(truncated, "truncated") and not ended
            self._last = seen
            return _Answer(self._seen.flat(seen), reward, ended, cut, foreign(info, reward, wrapped=self._wrapped))
        except BaseException as error:  # as in reset
            self._fail(i, error)
            return None

    def _fail(self, i: int, error: BaseException) -> None:
        """Note what is being handled as the failure of world `i`, and free it: the next reset makes another."""
        if is_ours(error):
            raise error
        self._broken[i] = explained(error, self._name)
        if i in self._worlds:
            close(self._worlds.pop(i))


def _scatter(values: Mapping[str, float], into: dict[str, np.ndarray], row: int, n: int, *, fill: float) -> None:
    for name, value in values.items():
        if name not in into:
            into[name] = np.full(n, fill)
        into[name][row] = value
