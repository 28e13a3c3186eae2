"""Wrappers around a world, by name: those of Gymnasium, or `module:Class` for any other.

    wrappers: [{id: GrayscaleObservation}, {id: FrameStackObservation, options: {stack_size: 4}}]

The first is innermost. Options are what JSON holds: lists become tuples or arrays where the wrapper wants those, and
`module:function` is the function where it wants to call something.

A wrapper that keeps running statistics (`NormalizeObservation`, `NormalizeReward` and their like) is refused, wherever
it comes from: each world would have statistics of its own, and evaluations would begin with none.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium.wrappers import NormalizeObservation, NormalizeReward

from .contained import Contained
from .errors import UnknownWorld, UserError, WrongKey, nearest
from .made_worlds import check_options, parameters_of, whole
from .named_objects import load_attribute
from .user_code import told

Env = gymnasium.Env[Any, Any]
_STATISTICS = "RunningMeanStd"  # Gymnasium's class, which others copy under its name
_GYMNASIUMS = "gymnasium.wrappers."


def wrapped(name: str, world: Env, wrappers: Sequence[Mapping[str, Any]]) -> Env:
    """`world`, which is called `name`, in `wrappers` ({"id": …, "options": …}), the first of them innermost.

    Raises:
        WrongKey: no such wrapper, an option that it does not take, or one that is refused; at `wrappers`, its number,
            and the key; or one that cannot be put around this world.
    """
    for number, wrapper in enumerate(wrappers):
        reference, options = str(wrapper["id"]), dict(wrapper.get("options") or {})
        try:
            kind = _load(reference)
        except UserError as problem:
            raise WrongKey(("wrappers", number, "id"), str(problem)) from problem
        around = partial(kind, world)
        try:
            check_options(reference, around, options, what="wrapper")
            given = {key: _as_wanted(around, key, value) for key, value in options.items()}
            with Contained(name), told(f"world {name!r} cannot be wrapped in {reference}"):
                world = _around(name, reference, world, whole(name, around(**given)))
        except UserError as problem:
            raise WrongKey(("wrappers", number, *(["options"] if options else ["id"])), str(problem)) from problem
        if (why := keeps_statistics(world)) is not None:
            raise WrongKey(("wrappers", number, "id"), f"world {name!r} {why}")
    return world


def _around(name: str, reference: str, world: Env, made: Env) -> Env:
    """`made`, which has to have `world` inside of it. UserError for another world in its place."""
    if made.unwrapped is not world.unwrapped:
        inside, own = type(made.unwrapped).__name__, type(world.unwrapped).__name__
        raise UserError(
            f"{reference!r} wraps nothing: it was given the {own} of {name!r}, and what it made is another world, "
            f"{inside}; a wrapper is a gymnasium.Wrapper around the world that it is given"
        )
    return made


def keeps_statistics(world: Env) -> str | None:
    """What is wrong with a wrapper around `world` that has running statistics; None if none has."""
    while isinstance(world, gymnasium.Wrapper):
        kind = type(world).__name__
        if isinstance(world, NormalizeReward) or (_has_statistics(world) and "eward" in kind):
            return (
                f"is wrapped in {kind}, whose running statistics would be each world's own; leave it out: methods "
                "scale rewards themselves, for all worlds alike (overrides: {rewards: {scale: return}}, which ppo has)"
            )
        if isinstance(world, NormalizeObservation) or _has_statistics(world):
            return (
                f"is wrapped in {kind}, whose running statistics would be each world's own, and begin anew in every "
                "evaluation; leave it out: an agent of kind mlp normalises what it sees, by statistics that are one "
                "for all worlds and stand in its checkpoints"
            )
        world = world.env
    return None


def _has_statistics(wrapper: Env) -> bool:
    return any(type(value).__name__ == _STATISTICS for value in vars(wrapper).values())


def _load(reference: str) -> Any:
    """What makes a wrapper: a class of Gymnasium's, or what `module:Class` names."""
    if ":" in reference:
        found = load_attribute(reference, anywhere=gymnasium.Wrapper)
        if not callable(found):
            raise UnknownWorld(f"{reference!r} is no class of wrappers, and no function from a world to a world")
        return found
    name = reference.removeprefix(_GYMNASIUMS)
    there = {
        one: kind
        for one, kind in vars(gymnasium.wrappers).items()
        if isinstance(kind, type) and issubclass(kind, gymnasium.Wrapper)
    }
    if name in there:
        return there[name]
    module, _, last = name.rpartition(".")
    hint = nearest(name, there) or (f" In another package it is {module}:{last}." if module else "")
    raise UserError(
        f"unknown wrapper {reference!r}: allowed are the names in gymnasium.wrappers, and module:Class.{hint}"
    )


def _as_wanted(around: partial[Any], key: str, value: Any) -> Any:
    """An option in the form that the wrapper's signature asks for."""
    parameter = (parameters_of(around) or {}).get(key)
    wants = "" if parameter is None or parameter.annotation is inspect.Parameter.empty else str(parameter.annotation)
    if isinstance(value, str) and ":" in value and "Callable" in wants:
        return load_attribute(value)
    if isinstance(value, list) and "ndarray" in wants:
        return np.asarray(value, np.float32)
    return tuple(value) if isinstance(value, list) and "tuple[" in wants else value
