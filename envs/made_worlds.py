"""What a world's constructor takes, and whether what it made is a whole world: asked where worlds are made by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import gymnasium
from gymnasium.core import Wrapper

from .conversation.conversation_env import SPLITS, ConversationEnv, merge_weights
from .errors import UnknownWorld, UserError, nearest, unknown

Env = gymnasium.Env[Any, Any]
_WRITTEN = {  # the methods that a class has to write, and how
    "opening": "opening(self, rng, split)",
    "respond": "respond(self, reply)",
    "reset": "reset(self, *, seed=None, options=None)",
    "step": "step(self, action)",
}
_GIVEN = {  # what they are called with: in order, and by name
    "opening": (("rng", "split"), ()),
    "respond": (("reply",), ()),
    "reset": ((), ("seed", "options")),
    "step": (("action",), ()),
}
_OURS = __name__.partition(".")[0] + "."


def parameters_of(creator: Callable[..., object]) -> Mapping[str, inspect.Parameter] | None:
    """What may be given to `creator`; None where Python does not know."""
    try:
        return inspect.signature(creator).parameters
    except (ValueError, TypeError):  # of what is not written in Python
        return None


def _of_characters(default: object) -> bool:
    """Whether a list consists of single characters, so that a text says the same: `+-` is + and -."""
    return isinstance(default, tuple) and all(isinstance(one, str) and len(one) == 1 for one in default)


def check_options(
    name: str,
    creator: Callable[..., object],
    options: Mapping[str, object],
    extra: tuple[str, ...] = (),
    what: str = "world",
) -> None:
    """`UserError` for an option that `creator` does not take, for one that it needs and was not given, and for one of
    another kind than it says that it takes. `what` it makes is said before its name."""
    parameters = parameters_of(creator)
    if parameters is None:
        return
    kinds = {parameter.kind for parameter in parameters.values()}
    named = [p for p in parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    for option in options:
        if inspect.Parameter.VAR_KEYWORD not in kinds and option not in {*extra, *(p.name for p in named)}:
            raise UserError(f"{what} {name!r}: {unknown('option', option, [*(p.name for p in named), *extra])}")
    for parameter in named:
        if parameter.name in options:
            _check_kind(f"{what} {name!r}: {parameter.name}", parameter, options[parameter.name])
    for parameter in parameters.values():
        if parameter.default is not parameter.empty or parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise UserError(f"{what} {name!r} takes {parameter.name!r} without a name, and options are given by name")
        if parameter.name not in options:
            raise UserError(
                f"{what} {name!r} needs {parameter.name!r}, which has no default: give it as an option "
                f"({what}: {{id: …, options: {{{parameter.name}: …}}}})"
            )


def _check_kind(what: str, parameter: inspect.Parameter, value: object) -> None:
    """`UserError` where a parameter says that it takes a list, or true or false, and gets something else."""
    kind = str(getattr(parameter.annotation, "__name__", parameter.annotation))
    if kind == "bool" and not isinstance(value, bool):
        raise UserError(f"{what} is {value!r:.80}; allowed are true and false")
    if not kind.startswith("Sequence[") or isinstance(value, list | tuple) or (value is None and "None" in kind):
        return
    if not (isinstance(value, str) and _of_characters(parameter.default)):
        raise UserError(f"{what} is {value!r:.80}, not a list; write [{value!r:.80}]")


def whole(name: str, made: object) -> Env:
    """`made`, if it is a world that can be played. `UnknownWorld` if it is something else, `UserError` if it lacks a
    part."""
    if made is None:
        raise UnknownWorld(f"{name!r} returned None, not a gymnasium.Env; does it lack a `return`?")
    if isinstance(made, type) and issubclass(made, gymnasium.Env):
        raise UnknownWorld(f"{name!r} returned the class {made.__name__}, not a world of it: write {made.__name__}()")
    if not isinstance(made, gymnasium.Env):
        kind = type(made).__name__
        hint = f": write class {kind}(gymnasium.Env), or ConversationEnv" if hasattr(made, "__dict__") else ""
        raise UnknownWorld(f"{name!r} makes {a_kind_of(made)}, not a gymnasium.Env{hint}")
    for space in ("observation_space", "action_space"):
        _check_space(name, made, space)
    inside = _inside(made)
    talks = isinstance(inside, ConversationEnv)
    base = ConversationEnv if talks else gymnasium.Env
    for method in ("opening", "respond") if talks else ("reset", "step"):
        if getattr(type(inside), method) is getattr(base, method) and method not in vars(inside):
            raise UserError(f"world {name!r}: {type(inside).__name__} has to define {_WRITTEN[method]}")
        _check_call(name, inside, method)
    if isinstance(inside, ConversationEnv):
        _check_conversation(name, inside)
    return made


def _check_call(name: str, world: Env, method: str) -> None:
    """`UserError` if `method` does not take what it is called with."""
    arguments, by_name = _GIVEN[method]
    try:
        signature = inspect.signature(getattr(world, method))
    except (ValueError, TypeError):  # of what is not written in Python
        return
    try:
        signature.bind(*arguments, **dict.fromkeys(by_name))
    except TypeError as problem:
        raise UserError(
            f"world {name!r}: {type(world).__name__}.{method} takes {signature} besides self; write {_WRITTEN[method]}"
        ) from problem


def _check_conversation(name: str, world: ConversationEnv) -> None:
    """`UserError` for constants of the class that mean nothing, and for a constructor that skips what it needs."""
    kind, turns = type(world).__name__, world.max_turns
    if turns is not None and (not isinstance(turns, int) or isinstance(turns, bool) or turns < 1):
        raise UserError(
            f"world {name!r}: max_turns of {kind} is {turns!r:.80}; allowed are None and whole numbers from 1"
        )
    for flag, allowed in (("has_success", (None, True, False)), ("waits", (True, False))):
        if not any(getattr(world, flag) is one for one in allowed):
            words = ", ".join(map(str, allowed[:-1])) + f" and {allowed[-1]}"
            raise UserError(f"world {name!r}: {flag} of {kind} is {getattr(world, flag)!r:.80}; allowed are {words}")
    merge_weights(world.weights, {})
    if not set(world.splits) <= set(SPLITS):
        raise UserError(f"world {name!r}: splits of {kind} are {world.splits!r:.80}; allowed are {', '.join(SPLITS)}")
    needs = [c.__name__ for c in type(world).mro() if c.__module__.startswith(_OURS) and "__init__" in vars(c)]
    if not world._is_made and needs[0] != "ConversationEnv":
        raise UserError(
            f"world {name!r}: {kind}.__init__ does not call super().__init__(…), without which a {needs[0]} is not made"
        )


def a_kind_of(value: object) -> str:
    """`an int`, `a Maze object` or `a module`."""
    kind = type(value).__name__
    if isinstance(value, ModuleType):
        return "a module"
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}" + (" object" if hasattr(value, "__dict__") else "")


def _check_space(name: str, world: Env, which: str) -> None:
    kind = type(world.unwrapped).__name__
    try:
        space = getattr(world, which)
    except AttributeError:
        near = nearest(which, vars(type(world.unwrapped)) | vars(world.unwrapped), least=0.85)
        raise UserError(
            f"world {name!r}: {kind} has no {which}; set it in the class, or in its constructor.{near}"
        ) from None
    if isinstance(space, type):
        raise UserError(
            f"world {name!r}: the {which} of {kind} is the class {space.__name__}; write {space.__name__}(…)"
        )
    if not isinstance(space, gymnasium.Space):
        made_by = type(space).__module__
        of = "" if made_by == "builtins" else f" of {made_by}"
        raise UserError(f"world {name!r}: the {which} of {kind} is {space!r:.80}{of}, not a gymnasium.spaces.Space")


def _inside(world: Env) -> Env:
    """Below the wrappers that pass `reset` and `step` on to it."""
    while isinstance(world, Wrapper) and type(world).__module__.startswith("gymnasium."):
        world = world.env
    return world
