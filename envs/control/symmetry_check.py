"""Whether a declared symmetry is one of a world's steps, as far as its own episodes tell.

Under a symmetry the image of a step is a step: what leads from (s, a) to s' for the reward r leads from (Ms, Ma) to Ms'
for the same r. No state can be set in a world of somebody else. So its steps under random actions are explained by

    [s' − s, r] ≈ φ(s, a) W        φ: 1, all numbers, and where there are few all products of two; W by least squares

and the same W has to explain the images of the steps that were not fitted. A number counts where W explains it nearly,
and an image where it is like a state that was seen. Nothing is said of a number that is hard to explain. A world in
which a state can be set does better (`symmetry_exact`).
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete

from ..check_play import Untested, require
from ..reported import begin, number
from ..time_limits import OWN_WRAPPERS, is_wrapped
from .flat_spaces import Actions, Observations
from .symmetry import Mirrorable, Symmetry, declared_symmetry

_STEPS, _SECONDS, _FEW = 4_000, 5.0, 300  # steps that are looked at; in less of them nothing is to be seen
_PRODUCTS = 40  # numbers of a state and an action up to which products are taken
_EXPLAINED = 0.1  # an error, as a share of the variance, up to which W explains a number nearly
_TIMES, _LEAST = 10.0, 0.05  # so many times that error, and so large a share, contradicts the symmetry
_RIDGE, _NAMED = 1e-3, 3


class _Steps(NamedTuple):
    """States [n, D], actions [n, A], changes of the state [n, D], rewards [n]."""

    state: np.ndarray
    action: np.ndarray
    change: np.ndarray
    reward: np.ndarray


def keeps_symmetry(world: gym.Env[Any, Any]) -> str:
    """A remark on the symmetry that `world` declares; Broken where its steps contradict it."""
    symmetry = declared_symmetry(type(world.unwrapped).__name__, world)
    if symmetry is None:
        return "it declares none"
    inside = world.unwrapped
    plain = not is_wrapped(world, beyond=OWN_WRAPPERS)
    if plain and isinstance(inside, Mirrorable) and (broken := inside.broken_numbers()) is not None:
        _require_none(broken, len(symmetry.observation.order))
        return "mirrored states lead to mirrored ones, in every number and for the same reward"
    steps = _steps(world)
    if len(steps.reward) < _FEW:
        return Untested(f"{len(steps.reward)} steps are too few to test it")
    images = _images(steps, symmetry, isinstance(world.action_space, Discrete))
    fitted = np.arange(len(steps.reward)) % 2 == 0
    bounds = steps.state.min(0), steps.state.max(0)
    alike = ~fitted & ((images.state >= bounds[0]) & (images.state <= bounds[1])).all(1)
    if alike.sum() < _FEW // 10:
        return Untested("the image of no state is like one that random actions came to, so that it could not be tested")
    given, told = _features(steps, steps), np.column_stack([steps.change, steps.reward])
    known = given[fitted]
    W = np.linalg.solve(known.T @ known + _RIDGE * len(known) * np.eye(known.shape[1]), known.T @ told[fitted])
    variance = told.var(0)
    error = _error(given[~fitted] @ W, told[~fitted], variance)
    mirrored = np.column_stack([images.change, images.reward])
    image_error = _error((_features(images, steps) @ W)[alike], mirrored[alike], variance)
    explained = (error < _EXPLAINED) & (variance > 0)
    wrong = np.flatnonzero(explained & (image_error > np.maximum(_LEAST, _TIMES * error)))
    _require_none(wrong, steps.state.shape[1])
    tell, move = int(explained.sum()), int((variance > 0).sum())
    said = f"{tell} of the {len(variance)} numbers of a step tell of it, and keep it"
    return said if 2 * tell >= move else Untested(f"{said}; the others are too hard to explain")


def _images(steps: _Steps, symmetry: Symmetry, discrete: bool) -> _Steps:
    seen = symmetry.observation
    action = steps.action[:, list(symmetry.action.order)] if discrete else symmetry.action(steps.action)
    return _Steps(seen(steps.state), action, seen(steps.change), steps.reward)


def _error(said: np.ndarray, told: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Mean square of the differences, as a share of the variance [D + 1]."""
    return ((said - told) ** 2).mean(0) / (variance + 1e-300)


def _require_none(wrong: np.ndarray, size: int) -> None:
    """Broken where a number of `size` that are seen, or the reward, is among those that are not kept."""
    names = ["the reward" if k == size else f"number {k}" for k in wrong[:_NAMED]]
    require(
        not names, f"a mirrored action in a mirrored state does not lead to the mirrored next one: {_listed(names)}"
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names) + " of what is seen" * (names != ["the reward"])


def _steps(world: gym.Env[Any, Any]) -> _Steps:
    """What random actions do."""
    flat, acts, until = (
        Observations(world.observation_space).flat,
        Actions(world.action_space),
        time.monotonic() + _SECONDS,
    )
    rows: list[tuple[np.ndarray, np.ndarray, np.ndarray, float]] = []
    world.action_space.seed(0)
    for seed in range(_STEPS):
        state, over = flat(begin(world, seed)[0]).astype(np.float64), False
        while not over and len(rows) < _STEPS and time.monotonic() < until:
            action = world.action_space.sample()
            seen, reward, terminated, truncated, _ = world.step(action)
            after, over = flat(seen).astype(np.float64), terminated or truncated
            rows.append((state, _as_row(acts, action), after - state, number(reward, "the reward")))
            state = after
        if not over:
            break
    return _Steps(*(np.asarray(column) for column in zip(*rows, strict=True)))


def _as_row(acts: Actions, action: Any) -> np.ndarray:
    """Numbers, or a choice as a row of 0 and 1."""
    stored = acts.store(action)
    return np.eye(int(acts.stored.n))[int(stored)] if isinstance(acts.stored, Discrete) else stored.astype(np.float64)


def _features(steps: _Steps, scale: _Steps) -> np.ndarray:
    """φ [n, F] of states and actions in the scale of those of others."""
    own, other = (np.concatenate([one.state, one.action], axis=1) for one in (steps, scale))
    spread = other.std(0)
    x = (own - other.mean(0)) / np.where(spread > 0, spread, 1.0)
    one = np.ones((len(x), 1))
    if x.shape[1] > _PRODUCTS:
        return np.concatenate([one, x], axis=1)
    i, j = np.triu_indices(x.shape[1])
    return np.concatenate([one, x, x[:, i] * x[:, j]], axis=1)
