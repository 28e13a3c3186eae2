"""Whether what worlds observe later than their reset is still as their space says: looked at now and then, told once.

    step      1 2 3 … 256   272   288   304   …          bounds of all worlds [n, D] at once
              1                          1024   2048     type and form, of the world that was asked last; also where
                                                         numbers are so large that float32 may round them

What is not finite or of another shape is not looked for here: it costs its episode where it is read (`reported`).

Left out: bounds of pictures, whose pixels are checked as they are read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Space
from gymnasium.spaces.utils import flatdim

from ..reported import BadReport
from .flat_spaces import Observations, loses

_FIRST = 256  # steps of a batch, which may be all that there are
_HELD = 2.0**24  # float32 holds all whole numbers up to here
_EVERY, _FORM = 16, 1024  # later ones: a look takes 3 µs, and at a form 15


class _Bounds(NamedTuple):
    """Of the numbers of one part of an observation."""

    name: str
    space: Space[Any]
    low: np.ndarray  # [size] float32
    high: np.ndarray

    def beyond(self, place: int, number: float) -> str:
        """What `Observations.misfit` says of a number that is out of them."""
        at = tuple(map(int, np.unravel_index(place, self.space.shape or ())))
        inside = f" at {self.name!r}" if self.name else ""
        bounds = f"{self.low[place]:g} and {self.high[place]:g}"
        return f"it observed {number:g} at {at}, beyond its bounds {bounds}{inside}; its space says {self.space}"


def _bounds_of(name: str, space: Space[Any]) -> _Bounds:
    """Infinite where a part is no Box, for what is not in it is refused as it is read."""
    low, high = (space.low, space.high) if isinstance(space, Box) else (-np.inf, np.inf)
    with np.errstate(over="ignore"):  # what float32 does not hold bounds nothing
        sides = [np.broadcast_to(np.ravel(side).astype(np.float32), flatdim(space)) for side in (low, high)]
    return _Bounds(name, space, *sides)


class SeenLater:
    """Looks at what the worlds of a batch observe in the space of `seen`, until there is something to tell."""

    def __init__(self, seen: Observations) -> None:
        self._seen = seen
        self._parts = [_bounds_of(name, space) for name, space in seen.named_numbers().items()]
        empty = np.zeros(0, np.float32)
        self._low = np.concatenate([empty, *(part.low for part in self._parts)])
        self._high = np.concatenate([empty, *(part.high for part in self._parts)])
        self._bounded = bool(np.isfinite(self._low).any() or np.isfinite(self._high).any())
        wide = [np.full(flatdim(part.space), loses(part.space)) for part in self._parts]
        self._wide = np.concatenate([np.zeros(0, bool), *wide])
        self._steps = 0
        self.told = False  # so that nobody has to look any more

    def begun(self, first: Any) -> None:
        """A world observes this at a reset. If it is amiss, a rehearsal has told so, and there is nothing to add."""
        if not self._steps and not self.told:
            self.told = self._misfit(first) is not None

    def look(self, observation_n_D: np.ndarray, last: Any) -> str | None:
        """What is amiss in this step, in words; None if nothing is, or nobody looks now. `last`: what a world has just
        observed."""
        self._steps += 1
        if self._steps > _FIRST and self._steps % _EVERY:
            return None
        amiss = self._beyond(observation_n_D) if self._bounded else None
        if amiss is None and (self._steps == 1 or not self._steps % _FORM or self._is_large(observation_n_D)):
            amiss = self._misfit(last)
        self.told = amiss is not None
        return amiss

    def _beyond(self, observation_n_D: np.ndarray) -> str | None:
        numbers = observation_n_D[:, : len(self._low)]
        out = (numbers < self._low) | (numbers > self._high)
        if not out.any():
            return None
        row, place = map(int, np.argwhere(out)[0])
        number = float(numbers[row, place])
        for part in self._parts:
            if place < len(part.low):
                return part.beyond(place, number)
            place -= len(part.low)
        raise AssertionError("every number is of a part")

    def _is_large(self, observation_n_D: np.ndarray) -> bool:
        """Whether whole numbers that float32 rounds may be among these."""
        return bool(self._wide.any() and (np.abs(observation_n_D[:, : len(self._wide)])[:, self._wide] >= _HELD).any())

    def _misfit(self, value: Any) -> str | None:
        try:
            return self._seen.misfit(value)
        except BadReport:  # its episode has failed, and says why
            return None
