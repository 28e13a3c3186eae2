"""Held-out tasks by the hash of their content."""

from __future__ import annotations

import hashlib


def is_held_out(content: str, one_in: int) -> bool:
    """Whether the task that `content` names belongs to the test split; true for one in `one_in` on average.

    A function of the content alone: the same in every process, and unmoved when other tasks come or go.
    """
    digest = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") % one_in == 0
