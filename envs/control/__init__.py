"""Worlds of bodies: what a step of many of them is, and MuJoCo tasks, alone and in batches.

What an author of a robot needs is handed on when it is asked for, so that nobody who speaks pays for physics.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .mujoco_task import MujocoTask, State
    from .mujoco_world import MujocoWorld

__all__ = ["MujocoTask", "MujocoWorld", "State"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = ".mujoco_world" if name == "MujocoWorld" else ".mujoco_task"
    return getattr(import_module(module, __name__), name)
