"""How many threads torch may use: for small networks a second one costs more than it brings.

It costs many times more when a simulation pool, or anybody else, wants the same cores.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

SMALL = 5_000_000  # parameters


def fitting_threads(module: nn.Module) -> int:
    """1 for a small network, what torch has now for a large one."""
    small = sum(parameter.numel() for parameter in module.parameters()) < SMALL
    return 1 if small else torch.get_num_threads()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads inside, and what it had before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
