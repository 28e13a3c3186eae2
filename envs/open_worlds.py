"""Which worlds are in use in this process, so that nobody acts in one that somebody else acts in.

A function that makes worlds may hand out the same object each time. Episodes would then mix, and every number that
comes of them would be wrong without a word. So whoever keeps worlds claims each of them, and lets it go by closing it.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any
from weakref import WeakValueDictionary

import gymnasium as gym

from .contained import Contained, is_ours
from .errors import UserError

_claimed: WeakValueDictionary[int, gym.Env[Any, Any]] = WeakValueDictionary()  # by id; a world that is gone is free
_names: dict[int, str] = {}  # by id, as whoever claimed it calls it
_lock = threading.Lock()


def claim(world: gym.Env[Any, Any], name: str) -> gym.Env[Any, Any]:
    """`world` itself, which is from now on in use. UserError if the object under its wrappers is already."""
    core = world.unwrapped
    with _lock:
        if _claimed.get(id(core)) is core:
            raise UserError(
                f"{name!r} has given a world that is in use: each call must make a new {type(core).__name__}, "
                "because the episodes of several would mix in one"
            )
        _claimed[id(core)], _names[id(core)] = core, name
        weakref.finalize(core, _names.pop, id(core), None).atexit = False  # of a world that nobody closes
    return world


def called(world: gym.Env[Any, Any]) -> str:
    """What a world is called in messages: as whoever claimed it calls it, else its id or `module:Class`."""
    core = world.unwrapped
    with _lock:
        if _claimed.get(id(core)) is core:
            return _names[id(core)]
    return core.spec.id if core.spec is not None else f"{type(core).__module__}:{type(core).__qualname__}"


def close(world: gym.Env[Any, Any]) -> None:
    """Close `world` and let it go. What it raises is of no more interest: it may have broken before."""
    try:
        with Contained(type(world.unwrapped).__name__):
            world.close()
    except BaseException as error:
        if is_ours(error):
            raise
    with _lock:
        _claimed.pop(id(world.unwrapped), None)
        _names.pop(id(world.unwrapped), None)
