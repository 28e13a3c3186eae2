"""Random streams, derived from what a thing *is* and never from the order in which things happen.

    stream(seed, "collect", group, version)

Two calls with equal keys give equal streams, in any process and in any order. That makes collecting a pure
function of (seed, group, version), and resuming and replaying exact.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np


def derive_seed(seed: int, *keys: int | str) -> int:
    """A seed in [0, 2³¹) for the thing that `keys` name, under the run's `seed`."""
    digest = hashlib.blake2b(repr((int(seed), *keys)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") & 0x7FFF_FFFF


def wide_seed(seed: int, *keys: int | str) -> int:
    """A seed in [0, 2¹²⁸) for the thing that `keys` name: for `generator`, here or in another process."""
    digest = hashlib.blake2b(repr((int(seed), *keys)).encode(), digest_size=16).digest()
    return int.from_bytes(digest, "little")


def generator(seed: int) -> np.random.Generator:
    """The generator that belongs to a seed of any width."""
    return np.random.Generator(np.random.PCG64(seed))


def stream(seed: int, *keys: int | str) -> np.random.Generator:
    """An independent generator for the thing that `keys` name, under the run's `seed`."""
    return generator(wide_seed(seed, *keys))


@lru_cache(maxsize=16)
def shuffled(seed: int, length: int) -> np.ndarray:
    """0 … length − 1 in the one order that belongs to `seed`. Kept, and therefore not to be written to."""
    order = stream(seed, "order", length).permutation(length)
    order.flags.writeable = False
    return order
