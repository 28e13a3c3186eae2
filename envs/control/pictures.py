"""Which observations are seen as pictures, and which of their axes are channels."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Space

_SMALLEST_SIDE = 4  # of a picture: three convolutions of 2 × 2
_SMALLEST_PLANE = 8  # of one without an axis of colours, which may be a few rows of other bytes


class Picture(NamedTuple):
    """A part of an observation that is seen as a picture: its own shape, and which of its axes are channels."""

    shape: tuple[int, ...]
    channels: tuple[int, ...]

    @property
    def size(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        height, width = (side for axis, side in enumerate(self.shape) if axis not in self.channels)
        return math.prod(self.shape[axis] for axis in self.channels), height, width

    @property
    def order(self) -> tuple[int, ...]:
        """Its axes, channels first."""
        return (*self.channels, *(axis for axis in range(len(self.shape)) if axis not in self.channels))


def picture_of(space: Space[Any]) -> Picture | None:
    """How a space is seen as a picture; None if it is none. Unsigned bytes [H, W], [H, W, C], [C, H, W], or frames of
    these [F, …], whose first axis joins the channels. Which end is the channels: `_channels`."""
    if not isinstance(space, Box) or space.dtype != np.uint8 or not 2 <= len(space.shape) <= 4:
        return None
    frames = (0,) if len(space.shape) == 4 else ()
    rest = range(len(frames), len(space.shape))
    inner = () if len(rest) == 2 else (_channels(space.shape, rest),)
    picture = Picture(space.shape, (*frames, *inner))
    return picture if min(picture.size[1:]) >= (_SMALLEST_SIDE if inner else _SMALLEST_PLANE) else None


def _channels(shape: tuple[int, ...], axes: range) -> int:
    """Of the first and the last of three axes, the one whose side is unlike two equal ones, for most pictures are
    squares; otherwise the shorter, and the last of two that are as short."""
    first, middle, last = axes
    if shape[first] != shape[last] and shape[middle] in (shape[first], shape[last]):
        return first if shape[middle] == shape[last] else last
    return first if shape[first] < shape[last] else last
