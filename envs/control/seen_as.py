"""What is to be said of a world's observations before anybody acts: how they become numbers, and what is left out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Space, flatdim

from .flat_spaces import Observations
from .pictures import picture_of

_MANY_BYTES = 1024  # in a row; the memory of a game console has fewer
_LEAST_SIDE = 8  # of what looks like a picture
_LARGE = 3 * 128 * 128  # pixels; beyond that a picture is slow to look at, and tells little more


def seen_as(name: str, space: Space[Any]) -> tuple[str, ...]:
    """Sentences about a world called `name`: none where its observations are a plain vector."""
    seen = Observations(space)
    said = []
    if not isinstance(space, Box) or seen.pictures:
        parts = [
            f"{_of(part)}{_short(one)} as {flatdim(one)} number{'s' * (flatdim(one) > 1)}"
            for part, one in seen.named_numbers().items()
        ]
        parts += [
            f"{_of(part)}a picture of {height} × {width} pixels in {channels} channel{'s' * (channels > 1)}"
            for part, (channels, height, width) in seen.named_pictures().items()
        ]
        said.append(f"{name!r}: an agent sees {'; '.join(parts)}")
    if seen.left_out:
        out = ", ".join(f"{part} ({type(one).__name__})" for part, one in seen.left_out.items())
        are = "is" if len(seen.left_out) == 1 else "are"
        said.append(f"{name!r}: {out} cannot be flattened to numbers, and {are} left out")
    for part, one in seen.named_numbers().items():
        if (why := _like_a_picture(one)) is not None:
            said.append(
                f"{name!r}: {_of(part)}{_short(one)} {why}, and its {flatdim(one):,} numbers are seen one by one; what "
                "is seen as a picture is a Box of uint8 with height, width and channels"
            )
    if any(math.prod(size) > _LARGE for size in seen.pictures):
        said.append(
            f"{name!r}: pictures of this size are slow to look at; wrappers: [{{id: ResizeObservation, options: "
            "{shape: [84, 84]}}] makes them smaller"
        )
    return tuple(said)


def _like_a_picture(space: Space[Any]) -> str | None:
    """What speaks for pixels in a space that is seen as numbers."""
    if not isinstance(space, Box) or picture_of(space) is not None:
        return None
    if space.dtype == np.uint8:
        return "looks like a flattened picture" if math.prod(space.shape) >= _MANY_BYTES else None
    sides = sum(side >= _LEAST_SIDE for side in space.shape)
    bounded = bool((space.low == 0).all()) and bool(np.isin(space.high, (1, 255)).all())
    return f"looks like a picture of {space.dtype}" if sides >= 2 and bounded else None


def _of(part: str) -> str:
    return f"{part}, " if part else ""


def _short(space: Space[Any]) -> str:
    return f"a Box of shape {space.shape}" if isinstance(space, Box) else str(space)
