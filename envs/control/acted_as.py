"""The units in which a learning agent acts, and what is to be said of them before anybody does.

A network's outputs and deviations are of the order of 1, and the bounds of a world's actions need not be. So each
number of a Box is drawn in units of its own bounds, as Gymnasium's `RescaleAction` has them:

    a = c + h·u,    c = ½(low + high),    h = ½(high − low)        u from −1 to 1

A number without two bounds has no such width: h = 1, and c is what lies within its bounds next to 0. In a world whose
actions lie in [−1, 1], a = u. Batches, files and scripts hold a, the world's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Space, Tuple

from .flat_spaces import EXACT, Actions, StoredActions

_NAMED = 3  # ranges in a sentence


class Units(NamedTuple):
    """Of the numbers of an action: what 0 stands for, and how far from it ±1 is [A] float32."""

    middle: np.ndarray
    half: np.ndarray


def units_of(space: StoredActions) -> Units | None:
    """The units of the numbers in a stored action; None where they are the world's own, or there are no numbers."""
    box = _numbers_of(space)
    if box is None:
        return None
    low, high = _bounds(box)
    both = np.isfinite(low) & np.isfinite(high) & (low < high)
    middle, half = np.clip(0.0, low, high), np.ones_like(low)
    middle[both], half[both] = 0.5 * (low[both] + high[both]), 0.5 * (high[both] - low[both])
    units = Units(middle.astype(np.float32), half.astype(np.float32))
    return units if units.middle.any() or (units.half != 1.0).any() else None


def acted_as(name: str, space: Space[Any]) -> tuple[str, ...]:
    """Sentences about the actions of a world called `name`: none where they lie in [−1, 1], or are choices."""
    box = _numbers_of(Actions(space).stored)
    return () if box is None else tuple(_said(name, box))


def _said(name: str, box: Box) -> Iterator[str]:
    low, high = _bounds(box)
    both = np.isfinite(low) & np.isfinite(high)
    own = [f"{a:g} to {b:g}" for a, b in zip(low[both], high[both], strict=True) if a < b and (a, b) != (-1.0, 1.0)]
    if own:
        yield f"{name!r}: -1 to 1 of an agent that learns is {_listed(own)} in the world's actions"
    if not both.all():
        lack = [_lacking(*bounds) for bounds in zip(low[~both], high[~both], strict=True)]
        yield (
            f"{name!r}: actions have numbers {_listed(lack)}; an agent that learns begins within about 1 of there. "
            f"Give the action_space two bounds each, and all between them is tried{_too_far(box)}"
        )


def _lacking(low: float, high: float) -> str:
    if np.isfinite(low):
        return f"without an upper bound, around {max(low, 0.0):g}"
    return f"without a lower bound, around {min(high, 0.0):g}" if np.isfinite(high) else "without bounds, around 0"


def _too_far(box: Box) -> str:
    """What became of bounds that stand in the space and are beyond those that somebody acts between."""
    far = [f"{bound:g}" for side in (box.low, box.high) for bound in side.ravel() if EXACT <= abs(bound) < np.inf]
    return f". Bounds from ±{EXACT:.1g} on count as none, and these are: {_listed(far)}" if far else ""


def _listed(words: list[str]) -> str:
    """Each once, and not more than a few."""
    once = list(dict.fromkeys(words))
    more = len(once) - _NAMED
    return ", ".join(once[:_NAMED]) + (f" and {more} others" if more > 0 else "")


def _numbers_of(space: StoredActions) -> Box | None:
    box = space.spaces[0] if isinstance(space, Tuple) else space
    return box if isinstance(box, Box) and box.low.size else None


def _bounds(box: Box) -> tuple[np.ndarray, np.ndarray]:
    """Low and high [A] float64; what is beyond all numbers that anybody acts with is no bound."""
    low, high = (side.ravel().astype(np.float64) for side in (box.low, box.high))
    return np.where(low <= -EXACT, -np.inf, low), np.where(high >= EXACT, np.inf, high)
