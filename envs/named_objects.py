"""Objects by name: `module:attribute`, in a scenario's own folder, in the current directory or installed.

A name in a scenario is a stranger's, and what it names is called. So, once a scenario was read:

    the folder of the scenario        anything: whoever runs a scenario runs the modules beside it
    an installed entry point          anything: the group "peripatos", which is what plug-ins register
    elsewhere                         subclasses of `gymnasium.Env` only
    the standard library              never, also where no scenario was read

`--trust` (or PERIPATOS_TRUST=1) lifts all of it. Names that a program gives, without any scenario, are its own affair.
What is allowed is kept in the environment, so that processes started here keep to the same. Importing a module runs it:
this bounds what a *file* can call, and does not make modules of strangers safe.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from .errors import UnknownWorld, UserError, nearest
from .user_code import check_call, described, told

TRUST, FOLDERS = "PERIPATOS_TRUST", "PERIPATOS_FOLDERS"
PLUGINS = "peripatos"  # the group of entry points


def trust_names() -> None:
    """Let scenarios name anything."""
    os.environ[TRUST] = "1"


def keep_to_folder(folder: Path) -> None:
    """A scenario was read: what it names must be in `folder`, an entry point, or a world. Folders add up."""
    os.environ[FOLDERS] = json.dumps([*dict.fromkeys((*map(str, _folders()), str(folder.resolve())))])


def current_folder() -> Path:
    """Where the command was typed. UserError where that is gone."""
    try:
        return Path.cwd()
    except OSError as error:
        raise UserError(
            f"the current folder is gone ({error.strerror}): it was removed, or made anew; cd into one that is there"
        ) from error


def load_attribute(reference: str, *, anywhere: type | None = None) -> object:
    """What `module:attribute` names. Modules in the current directory can be imported.

    Args:
        reference: the name.
        anywhere: subclasses of it are allowed wherever they are.

    Raises:
        UnknownWorld: there is no such module, nothing of that name in it, or a scenario must not name it.
    """
    module_name, _, attribute = reference.partition(":")
    module = import_by_name(module_name, attribute)
    with told(f"{reference!r} cannot be looked up"):
        try:
            found = getattr(module, attribute)
        except AttributeError:
            raise UnknownWorld(f"module {module_name!r} has nothing called {_lacking(module, attribute)}") from None
    suits = anywhere is not None and isinstance(found, type) and issubclass(found, anywhere)
    if not suits and not _own(module_name, module):
        kind = f"a subclass of {anywhere.__module__.partition('.')[0]}.{anywhere.__name__}" if anywhere else "allowed"
        raise UnknownWorld(
            f"{reference!r} is not {kind}, nor in the scenario's folder, nor a plug-in: a scenario does not call it. "
            "If you know what it does, use --trust"
        )
    return found


def import_by_name(module: str, attribute: str = "NAME") -> ModuleType:
    """The module of that name: in a scenario's folder, installed or in the current directory. What is to be found in
    it, `attribute`, is for messages.

    Raises:
        UnknownWorld: there is none, or it is part of the standard library.
        UserError: it cannot be imported; the message has the lines of the user's on which that fails.
    """
    if module.endswith("__main__"):
        raise UnknownWorld(f"{module!r} is not the name of a module, but of one that runs as a program")
    if not all(part.isidentifier() for part in module.split(".")):
        if not _bare(module).isidentifier():
            raise UnknownWorld(
                f"{module!r} is not the name of a module, which has letters, digits and _: call the file "
                f"{_speakable(module)}.py, and write {_speakable(module)}:{attribute}"
            )
        raise UnknownWorld(
            f"{module!r} is not the name of a module: write {_bare(module)}:{attribute}, without folder and ending; "
            "its file lies beside the scenario or where the command is typed"
        )
    if module.partition(".")[0] in sys.stdlib_module_names and not trusting():
        raise UnknownWorld(f"{module!r} is part of Python's standard library, which holds no worlds and no agents")
    for folder in map(str, module_folders()):
        if folder not in sys.path:
            sys.path.append(folder)
            importlib.invalidate_caches()
    with told(f"module {module!r} cannot be imported"):
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is not None and (module == error.name or module.startswith(error.name + ".")):
                raise UnknownWorld(_no_module(module, attribute)) from error
            raise UserError(
                f"module {module!r} needs something that cannot be imported: {described(error)}\n"
                f"  {_remedy(error.name, module)}"
            ) from error
        except ImportError as error:
            if "attempted relative import" not in str(error):
                raise
            raise UserError(
                f"module {module!r} cannot be imported: {described(error)}\n  it is no part of a package: import what "
                "lies beside it by its bare name, without the dot"
            ) from error
    raise AssertionError("an import gives a module or raises")


def module_folders() -> list[Path]:
    """Where modules are looked for besides the installed ones: the scenarios' folders, and the current directory."""
    return list(dict.fromkeys((*_folders(), current_folder())))


def local_modules() -> list[str]:
    """The names of the modules in those folders."""
    names = []
    for folder in module_folders():
        try:
            names += [file.stem for file in folder.glob("*.py") if file.stem.isidentifier()]
        except OSError:  # a folder that is gone, or closed to us
            continue
    return sorted(set(names))


def _bare(path: str) -> str:
    """The name of the module that somebody means by a path."""
    return Path(path.replace("\\", "/")).name.removesuffix(".py") or "MODULE"


def _remedy(missing: str | None, module: str) -> str:
    if (missing or "").partition(".")[0] == "gym":
        return "gym is called gymnasium now: import gymnasium as gym, and see its guide of what changed"
    return f"install it (pip install …), or put it beside {module}.py"


def _speakable(path: str) -> str:
    """A name for a module whose file has one that Python cannot import."""
    name = re.sub(r"\W+", "_", _bare(path), flags=re.ASCII).strip("_") or "my_world"
    return f"my_{name}" if name[0].isdigit() else name


def _no_module(module: str, attribute: str) -> str:
    if module.endswith(".py"):
        return f"{module!r} is a file; a module is named without .py: {module.removesuffix('.py')}:{attribute}"
    where = " or ".join(map(str, module_folders()))
    return (
        f"there is no module {module!r} in {where} or among the installed packages.{nearest(module, local_modules())}"
    )


def _lacking(module: ModuleType, attribute: str) -> str:
    """The rest of the sentence: what was looked for, and what is there."""
    public = [name for name in vars(module) if not name.startswith("_")]
    if meant := nearest(attribute, public):
        return f"{attribute!r}.{meant}"
    own = [name for name in public if getattr(vars(module)[name], "__module__", None) == module.__name__][:10]
    return f"{attribute!r}; it has {', '.join(map(repr, own)) or 'no class and no function of its own'}"


def load_function(reference: str, *given: str) -> Callable[..., Any]:
    """What `module:function` names, which is called with arguments like `given`; a class is made once, or once for each
    episode, and its objects are called. UserError if it is not there, cannot be called so, gives a coroutine or a
    generator, or must not be named."""
    if ":" not in reference:
        raise UserError(f"the scripted agent is {reference!r}; it is named module:function")
    found = load_attribute(reference)
    if not callable(found):
        raise UserError(f"{reference!r} is not a function")
    if not isinstance(found, type):
        check_call(f"the function {reference!r}", found, *given)
    elif (call := getattr(found, "__call__", None)) is not None and isinstance(call, FunctionType):  # noqa: B004
        check_call(f"`__call__` of {reference!r}", call, "self", *given)
    return found


def trusting() -> bool:
    """Whether `--trust` was given: what comes from a stranger is known to be harmless."""
    return os.environ.get(TRUST) == "1"


def _folders() -> list[Path]:
    return [Path(part) for part in json.loads(os.environ.get(FOLDERS) or "[]")]  # any character may stand in a path


def _own(name: str, module: ModuleType) -> bool:
    """Whether anything in `module` may be named."""
    if trusting() or not _folders():
        return True
    if any(plugin.value.partition(":")[0].strip() == name for plugin in entry_points(group=PLUGINS)):
        return True
    file = getattr(module, "__file__", None)
    if file is None:
        return False
    place = Path(file).resolve()
    for folder in _folders():
        base = folder.joinpath(*name.split("."))
        if place in (base.with_suffix(".py").resolve(), (base / "__init__.py").resolve()):
            return True
    return False
