"""Worlds by name: a Gymnasium id, ours or anyone's, or `module:Class` for a world that is in a file.

    make_world("peripatos/Arithmetic-v0", digits=3)
    make_world("CartPole-v1")
    make_world("my_world:GuessTheNumber")          # my_world.py in the current directory or installed

What a user may get wrong (the name, an option, a package that is missing, a world that no agent can live in)
becomes a `UserError` that names the nearest right thing, and so does what a world's code raises while it is imported or
made, with the lines of its author's.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Literal

import gymnasium
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.wrappers import TimeLimit

from .contained import Contained
from .control import headless  # before any world imports mujoco
from .control.flat_spaces import Actions, Observations
from .conversation.conversation_env import ConversationEnv
from .errors import UnknownWorld, UnsupportedWorld, UserError, nearest, unknown
from .made_worlds import a_kind_of, check_options, parameters_of, whole
from .named_objects import PLUGINS, import_by_name, load_attribute, local_modules
from .time_limits import time_limit
from .user_code import described, told
from .vocabulary import Message
from .wrappers import keeps_statistics

WorldKind = Literal["conversation", "control"]
_PUZZLES = "reasoning_gym"  # what stands behind it is the name of a generator
_VERSIONED = re.compile(r"-v\d+$")
_PACKAGES = {  # beginnings of ids → the package that has such worlds, and the module that registers them
    "ALE/": ("ale-py", "ale_py"),
    "MiniGrid-": ("minigrid", "minigrid"),
    "BabyAI-": ("minigrid", "minigrid"),
    "MiniWorld-": ("miniworld", "miniworld"),
    "Fetch": ("gymnasium-robotics", "gymnasium_robotics"),
    "HandManipulate": ("gymnasium-robotics", "gymnasium_robotics"),
    "HandReach": ("gymnasium-robotics", "gymnasium_robotics"),
    "AdroitHand": ("gymnasium-robotics", "gymnasium_robotics"),
    "AntMaze": ("gymnasium-robotics", "gymnasium_robotics"),
    "PointMaze": ("gymnasium-robotics", "gymnasium_robotics"),
    "FrankaKitchen": ("gymnasium-robotics", "gymnasium_robotics"),
    "Panda": ("panda-gym", "panda_gym"),
    "highway-": ("highway-env", "highway_env"),
    "Meta-World/": ("metaworld", "metaworld"),
    "dm_control/": ("shimmy", "shimmy"),
}


@dataclass(frozen=True)
class WorldRow:
    """One line of `peripatos list worlds`."""

    id: str
    kind: WorldKind
    description: str
    options: Mapping[str, object]  # name → default value


def make_world(name: str, /, **options: Any) -> gymnasium.Env[Any, Any]:
    """The world called `name`, with its constructor's `options`, of which it gets a copy: what it does to a list in
    them changes neither the caller's nor any other world's.

    Raises:
        UnknownWorld: no world has this name; the message names the nearest ones.
        UserError: an option that the constructor does not have, an optional package that is missing, a name that a
            scenario must not call (see `named_objects`), or a wrapper with running statistics around it.
    """
    with Contained(name):
        made = _make_world(name, copy.deepcopy(options))
    headless.leave_no_log()  # here too: a constructor may have been the first to import mujoco
    if (why := keeps_statistics(made)) is not None:
        raise UserError(f"world {name!r} {why}")
    return made


def _make_world(name: str, options: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    module, colon, attribute = name.partition(":")
    if module == _PUZZLES and colon:
        return whole(name, _make_puzzles(attribute, options))
    if colon and not _VERSIONED.search(attribute):
        return whole(name, _make_by_class(name, options))
    if colon:
        import_by_name(module, attribute)
    spec = _find_spec(attribute if colon else name, within=module if colon else None)
    _check_limit(name, options.get("max_episode_steps"))
    try:
        creator = spec.entry_point if callable(spec.entry_point) else load_env_creator(str(spec.entry_point))
    except ImportError as error:
        raise UserError(f"world {name!r} needs something that cannot be imported: {described(error)}") from error
    except gymnasium.error.DependencyNotInstalled as error:
        raise UserError(_lacks(name, error)) from error
    headless.leave_no_log()
    check_options(name, creator, {**spec.kwargs, **options}, extra=("max_episode_steps",))
    _check_render_mode(name, creator, options.get("render_mode"))
    limit = options.pop("max_episode_steps", None)
    spec = copy.copy(spec)
    spec.kwargs = {**spec.kwargs, **options}  # not as arguments of `make`, which has some of its own
    with told(f"world {name!r} cannot be made"):
        try:
            made = gymnasium.make(spec, max_episode_steps=limit, disable_env_checker=True)
        except gymnasium.error.DependencyNotInstalled as error:
            raise UserError(_lacks(name, error)) from error
        except ImportError as error:
            raise UserError(f"world {name!r} needs something that cannot be imported: {error}") from error
        except TypeError as error:
            if "unexpected keyword argument" in str(error):  # from a constructor that takes **kwargs
                raise UserError(f"world {name!r}: {error}") from error
            raise
    return whole(name, made)


def _make_puzzles(generator: str, options: dict[str, Any]) -> object:
    """A generator of reasoning-gym, which is no world by itself."""
    from .worlds.reasoning.world import ReasoningGym

    parameters = [name for name in inspect.signature(ReasoningGym).parameters if name not in ("name", "options")]
    if "name" in options:
        raise UserError(f"world '{_PUZZLES}:{generator}': {unknown('option', 'name', parameters)}")
    return ReasoningGym(generator, **options)


def _check_render_mode(name: str, creator: object, mode: object) -> None:
    """UserError for a mode of drawing that the class does not have; without a list, only its constructor knows."""
    metadata = getattr(creator, "metadata", None)
    modes = metadata.get("render_modes") if isinstance(metadata, dict) else None
    if mode is None or not isinstance(modes, list) or not modes or mode in modes:
        return
    hint, allowed = nearest(str(mode), modes), ", ".join(map(str, modes))
    raise UserError(f"world {name!r}: render_mode is {mode!r}; allowed are null, {allowed}{f'.{hint}' if hint else ''}")


def _lacks(name: str, error: gymnasium.error.DependencyNotInstalled) -> str:
    return f"world {name!r} needs a package that is not installed: {error}"


def give_voices(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """`env`; a world that talks to others and has nobody to talk to hears the same few words from each."""
    inside = env.unwrapped
    if isinstance(inside, ConversationEnv):
        inside.voices = dict.fromkeys(inside.voice_names, stand_in) | dict(inside.voices)
    return env


def stand_in(messages: Sequence[Message], seed: int) -> str:
    return ("Yes.", "No.", "Please go on.")[seed % 3]


def world_kind(env: gymnasium.Env[Any, Any], name: str | None = None) -> WorldKind:
    """Which kind of agent can live in `env`; `name` is how the user calls it.

    Raises:
        UnsupportedWorld: no `ConversationEnv`, and nothing that it observes is numbers, or its actions are none.
    """
    if isinstance(env.unwrapped, ConversationEnv):
        return "conversation"
    seen, named = env.observation_space, name or (env.spec.id if env.spec else type(env.unwrapped).__name__)
    try:
        Actions(env.action_space)
    except UnsupportedWorld as problem:
        raise UnsupportedWorld(f"world {named!r} has {problem}; or make it a subclass of ConversationEnv") from problem
    if Observations(seen).left_out and not Observations(seen).size:
        raise UnsupportedWorld(
            f"world {named!r} has observations {seen}, of which nothing can be flattened to numbers; supported are "
            "all spaces but texts, sequences and graphs, and subclasses of ConversationEnv"
        )
    return "control"


def list_worlds() -> list[WorldRow]:
    """Every registered `peripatos/…` world and those of plug-ins (`PLUGIN/…`), sorted by id. Imports their modules."""
    ours = {"peripatos", *(plugin.name for plugin in entry_points(group=PLUGINS))}
    return [_row(spec) for _, spec in sorted(gymnasium.registry.items()) if spec.namespace in ours]


def _make_by_class(name: str, options: dict[str, Any]) -> object:
    """What nobody has registered. `max_episode_steps` is kept by a wrapper, unless the constructor takes it."""
    creator = load_attribute(name, anywhere=gymnasium.Env)
    if not callable(creator):
        raise UnknownWorld(
            f"{name!r} is {a_kind_of(creator)}, not a class or a function that makes a world: name one of those"
        )
    headless.leave_no_log()
    parameters = parameters_of(creator) or {}
    limit = None if "max_episode_steps" in parameters else options.get("max_episode_steps")
    _check_limit(name, limit)
    if limit is not None and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        del options["max_episode_steps"]
    check_options(name, creator, options)
    _check_render_mode(name, creator, options.get("render_mode"))
    with told(f"world {name!r} cannot be made"):
        env = creator(**options)
    if not isinstance(env, gymnasium.Env) or limit is None or (own := time_limit(env)) == limit:
        return env
    if own is not None and own < limit:
        maker = name.partition(":")[2]
        raise UserError(
            f"world {name!r}: max_episode_steps is {limit}, and what {maker} makes has a limit of {own} already; "
            f"allowed are 1 to {own}, or let {maker} take max_episode_steps"
        )
    return TimeLimit(env, limit)


def _find_spec(name: str, within: str | None) -> EnvSpec:
    try:
        return gymnasium.spec(name)
    except gymnasium.error.Error as error:
        raise UnknownWorld(f"unknown world {name!r}{_where_else(name, within)}") from error


def _where_else(name: str, within: str | None) -> str:
    """The rest of a sentence about a world that is not registered."""
    if within is not None:
        return f": the module {within!r} registers none of that name.{nearest(name, gymnasium.registry)}"
    for beginning, (package, module) in _PACKAGES.items():
        if name.startswith(beginning):
            return (
                f": it is in the package {package}, and no module has registered it: pip install {package}, and write "
                f"{module}:{name}, so that the module is imported first"
            )
    module, _, attribute = name.removeprefix("./").replace("/", ".").removesuffix(".py").rpartition(".")
    if module in local_modules() and attribute.isidentifier():
        return f": there is a module {module!r}, and a world in it is named module:Class: {module}:{attribute}"
    if attribute in local_modules():
        return f": {attribute!r} is a module; name what makes a world in it: {attribute}:NAME"
    if "/" in name and not (near := nearest(name, gymnasium.registry)):
        return (
            f": nothing has registered the namespace {name.partition('/')[0]!r}; install the package that does, and "
            f"write MODULE:{name} with the name of its module. `peripatos list worlds` shows ours"
        )
    called = [id for id in gymnasium.registry if name.lower() in _short_names(id)]  # the latest version comes last
    called.sort(key=lambda id: (id.startswith("peripatos/"), "/" not in id))  # ours, else Gymnasium's own
    near = f" Did you mean {called[-1]!r}?" if called else nearest(name, gymnasium.registry)
    return f": `peripatos list worlds` shows ours; any Gymnasium id or module:Class is allowed.{near}"


def _short_names(id: str) -> tuple[str, str]:
    """What an id is called without its namespace, and without its version as well; in small letters."""
    name = id.rpartition("/")[2].lower()
    return name, name.partition("-v")[0]


def _check_limit(name: str, limit: object) -> None:
    """Gymnasium takes -1 for no limit without a word, and meets a text with a traceback."""
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise UserError(f"world {name!r}: max_episode_steps is {limit!r:.80}; allowed is a whole number, 1 or greater")


def _kind_by(creator: Callable[..., Any], spec: EnvSpec) -> WorldKind:
    """By the class that makes it, or, of a function, by what it makes."""
    if inspect.isclass(creator):
        return "conversation" if issubclass(creator, ConversationEnv) else "control"
    world = make_world(spec.id)
    try:
        return world_kind(world)
    finally:
        world.close()


def _row(spec: EnvSpec) -> WorldRow:
    creator = spec.entry_point if callable(spec.entry_point) else load_env_creator(str(spec.entry_point))
    defaults = {
        parameter.name: parameter.default
        for parameter in inspect.signature(creator).parameters.values()
        if parameter.default is not parameter.empty
    }
    return WorldRow(
        id=spec.id,
        kind=_kind_by(creator, spec),
        description=(inspect.getdoc(creator) or "").partition("\n")[0],
        options={**defaults, **spec.kwargs},
    )
