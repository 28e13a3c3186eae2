"""The spaces of conversations: what is observed is a text, and what is done is a text or a `Reply`."""

from __future__ import annotations

import string

import gymnasium
import numpy as np

from ..vocabulary import Reply


class AnyText(gymnasium.spaces.Text):
    """Every string, of any length and any characters. Samples are up to 64 printable ASCII characters."""

    def __init__(self, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(max_length=64, min_length=0, charset=string.printable, seed=seed)

    def contains(self, x: object) -> bool:
        return isinstance(x, str)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class AnyReply(AnyText):
    """Every string and every `Reply`."""

    def contains(self, x: object) -> bool:
        return isinstance(x, str | Reply)
