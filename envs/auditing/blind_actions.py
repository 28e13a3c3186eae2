"""Blind strategies for control worlds: actions that do not depend on what is seen."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from gymnasium.spaces import Box, Discrete

Action = np.ndarray | int
BlindAction = Callable[[int, np.random.Generator], Action]  # of the step's number

_LEVELS = (-1.0, -0.5, -0.1, 0.1, 0.5, 1.0)
_PERIODS = (2, 5, 10, 20, 50)
_CHOICES = 6  # discrete actions that are tried


def do_nothing(space: Box | Discrete) -> BlindAction:
    """The zero action, or the nearest to it; of discrete actions the first."""
    if isinstance(space, Discrete):
        return lambda step, rng: int(space.start)
    zero = np.clip(np.zeros(space.shape), space.low, space.high).astype(space.dtype)
    return lambda step, rng: zero


def at_random(space: Box | Discrete) -> BlindAction:
    """Uniform in the space, where it has bounds, and standard normal elsewhere."""
    if isinstance(space, Discrete):
        return lambda step, rng: int(space.start + rng.integers(space.n))
    return lambda step, rng: _scaled(space, rng.uniform(-1.0, 1.0, size=space.shape))


def blind_actions(space: Box | Discrete) -> dict[str, BlindAction]:
    """Constants, bang-bang, waves and slow noise, by name."""
    if isinstance(space, Discrete):
        return _discrete(space)
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


def _scaled(space: Box, unit: np.ndarray) -> np.ndarray:
    """`unit` in [−1, 1] between the bounds of the space; where there are none, as it is."""
    low = np.where(np.isfinite(space.low), space.low, -1.0)
    high = np.where(np.isfinite(space.high), space.high, 1.0)
    return ((low + high) / 2 + unit * (high - low) / 2).astype(space.dtype)
