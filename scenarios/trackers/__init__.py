"""Trackers: listeners that a scenario may name (`trackers: [tensorboard]`), each in a file of its own.

A package may bring more: a module of the entry-point group `peripatos` adds to `TRACKERS` a function from a run's
folder to a listener.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...envs.errors import UserError, unknown

if TYPE_CHECKING:
    from ..run.listeners import Listener


def _tensorboard(path: Path) -> Listener:
    from .tensorboard import TensorBoard

    return TensorBoard(path)


TRACKERS: dict[str, Callable[[Path], Listener]] = {"tensorboard": _tensorboard}


def check_trackers(names: Sequence[str]) -> None:
    """UserError for a tracker that nobody knows, or whose library is not installed."""
    import importlib.util

    for name in names:
        if name not in TRACKERS:
            raise UserError(unknown("tracker", name, TRACKERS))
        if name == "tensorboard" and importlib.util.find_spec("tensorboard") is None:
            raise UserError("the tracker tensorboard needs a package: pip install 'peripatos[tensorboard]'")


def make_trackers(names: Sequence[str], path: Path) -> list[Listener]:
    """The listeners that a scenario names, for the run in the folder `path`. UserError as `check_trackers`."""
    check_trackers(names)
    return [TRACKERS[name](path) for name in names]
