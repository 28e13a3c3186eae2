"""Blind strategies for control worlds: actions that do not depend on what is seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete, Space

from ..control.flat_spaces import Actions
from ..control.world_batch import action_layout, checked_action

Action = Any  # in the form that the world takes
BlindAction = Callable[[int, np.random.Generator], Action]  # of the step's number

_LEVELS = (-1.0, -0.5, -0.1, 0.1, 0.5, 1.0)
_PERIODS = (2, 5, 10, 20, 50)
_CONSTANTS = 20  # drawn from a nested space
_CHOICES = 6  # discrete actions that are tried


def do_nothing(space: Space[Any]) -> BlindAction:
    """The zero action, or the nearest to it; of choices the first."""
    acts = Actions(space)
    nothing = acts.own(checked_action(np.zeros((1, *action_layout(acts.stored)[0]), np.int64), 1, acts.stored)[0])
    return lambda step, rng: nothing


def at_random(space: Space[Any]) -> BlindAction:
    """Uniform in the space, where it has bounds, and over [−1, 1] elsewhere."""
    if isinstance(space, Discrete):
        return lambda step, rng: int(space.start + rng.integers(space.n))
    if isinstance(space, Box):
        return lambda step, rng: _scaled(space, rng.uniform(-1.0, 1.0, size=space.shape))
    return lambda step, rng: _drawn(space, rng)


def blind_actions(space: Space[Any]) -> dict[str, BlindAction]:
    """Constants, bang-bang, waves and slow noise, by name; of nested spaces and several choices, constants that are
    drawn."""
    if isinstance(space, Discrete):
        return _discrete(space)
    if not isinstance(space, Box):
        drawn = [_drawn(space, np.random.default_rng(number)) for number in range(_CONSTANTS)]
        return {f"constant {number}": lambda step, rng, one=one: one for number, one in enumerate(drawn)}
    ones = np.ones(space.shape)
    alternating = np.where(np.arange(ones.size) % 2, 1.0, -1.0).reshape(space.shape)
    found: dict[str, BlindAction] = {}
    for level in _LEVELS:
        found[f"constant {level:g}"] = lambda step, rng, x=level: _scaled(space, x * ones)
    for name, shape in (("", ones), (", dimensions in turn", alternating)):
        for period in _PERIODS:
            found[f"bang-bang, period {period}{name}"] = lambda step, rng, p=period, s=shape: _scaled(
                space, s * (1.0 if step % p < p / 2 else -1.0)
            )
            found[f"sine, period {period}{name}"] = lambda step, rng, p=period, s=shape: _scaled(
                space, s * math.sin(2 * math.pi * step / p)
            )
    return found


def _discrete(space: Discrete) -> dict[str, BlindAction]:
    choices = [int(space.start) + n for n in range(min(int(space.n), _CHOICES))]
    found: dict[str, BlindAction] = {f"constant {c}": lambda step, rng, c=c: c for c in choices}
    for one in choices:
        for other in choices:
            if one < other:
                for period in _PERIODS:
                    found[f"bang-bang of {one} and {other}, period {period}"] = (
                        lambda step, rng, p=period, a=one, b=other: a if step % p < p / 2 else b
                    )
    return found


def _drawn(space: Space[Any], rng: np.random.Generator) -> Action:
    space.seed(int(rng.integers(2**31)))
    return space.sample()


def _scaled(space: Box, unit: np.ndarray) -> np.ndarray:
    """`unit` in [−1, 1] between the bounds of the space; where there are none, as it is."""
    low = np.where(np.isfinite(space.low), space.low, -1.0)
    high = np.where(np.isfinite(space.high), space.high, 1.0)
    return ((low + high) / 2 + unit * (high - low) / 2).astype(space.dtype)
