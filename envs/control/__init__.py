"""Worlds of bodies: what a step of many of them is, and MuJoCo tasks, alone and in batches.

What an author of a robot needs is handed on when it is asked for, so that nobody who speaks pays for physics.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .mujoco_task import MujocoTask, State
    from .mujoco_world import MujocoWorld
    from .symmetry import Mirror, Symmetry

_FROM = {
    "Mirror": ".symmetry",
    "MujocoTask": ".mujoco_task",
    "MujocoWorld": ".mujoco_world",
    "State": ".mujoco_task",
    "Symmetry": ".symmetry",
}
__all__ = ["Mirror", "MujocoTask", "MujocoWorld", "State", "Symmetry"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_FROM[name], __name__), name)
