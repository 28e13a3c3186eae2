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
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import UnknownWorld, UserError, nearest

TRUST, FOLDERS = "PERIPATOS_TRUST", "PERIPATOS_FOLDERS"
PLUGINS = "peripatos"  # the group of entry points


def trust_names() -> None:
    """Let scenarios name anything."""
    os.environ[TRUST] = "1"


def keep_to_folder(folder: Path) -> None:
    """A scenario was read: what it names must be in `folder`, an entry point, or a world. Folders add up."""
    os.environ[FOLDERS] = json.dumps([*dict.fromkeys((*map(str, _folders()), str(folder.resolve())))])


def load_attribute(reference: str, *, anywhere: type | None = None) -> object:
    """What `module:attribute` names. Modules in the current directory can be imported.

    Args:
        reference: the name.
        anywhere: subclasses of it are allowed wherever they are.

    Raises:
        UnknownWorld: there is no such module, nothing of that name in it, or a scenario must not name it.
    """
    module_name, _, attribute = reference.partition(":")
    module = import_by_name(module_name)
    try:
        found = getattr(module, attribute)
    except AttributeError:
        public = [known for known in vars(module) if not known.startswith("_")]
        raise UnknownWorld(
            f"module {module_name!r} has nothing called {attribute!r}.{nearest(attribute, public)}"
        ) from None
    suits = anywhere is not None and isinstance(found, type) and issubclass(found, anywhere)
    if not suits and not _own(module_name, module):
        kind = f"a subclass of {anywhere.__module__.partition('.')[0]}.{anywhere.__name__}" if anywhere else "allowed"
        raise UnknownWorld(
            f"{reference!r} is not {kind}, nor in the scenario's folder, nor a plug-in: a scenario does not call it. "
            "If you know what it does, use --trust"
        )
    return found


def import_by_name(module: str) -> ModuleType:
    """The module of that name: in a scenario's folder, installed or in the current directory.

    Raises:
        UnknownWorld: there is none, or it is part of the standard library.
        UserError: it needs something that is missing.
    """
    if not all(part.isidentifier() for part in module.split(".")) or module.endswith(
        "__main__"
    ):  # which runs a program
        raise UnknownWorld(f"{module!r} is not the name of a module")
    if module.partition(".")[0] in sys.stdlib_module_names and not _trusting():
        raise UnknownWorld(f"{module!r} is part of Python's standard library, which holds no worlds and no agents")
    for folder in (*map(str, _folders()), str(Path.cwd())):
        if folder not in sys.path:
            sys.path.append(folder)
            importlib.invalidate_caches()
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(error.name + ".")):
            raise UserError(f"module {module!r} needs something that cannot be imported: {error}") from error
        raise UnknownWorld(f"there is no module {module!r} in {Path.cwd()} or among the installed packages") from error


def load_function(reference: str) -> Callable[..., Any]:
    """What `module:function` names. UserError if it is not there, cannot be called, or must not be named."""
    if ":" not in reference:
        raise UserError(f"a scripted agent is named module:function, not {reference!r}")
    found = load_attribute(reference)
    if not callable(found):
        raise UserError(f"{reference!r} is not a function")
    return found


def _trusting() -> bool:
    return os.environ.get(TRUST) == "1"


def _folders() -> list[Path]:
    return [Path(part) for part in json.loads(os.environ.get(FOLDERS) or "[]")]  # any character may stand in a path


def _own(name: str, module: ModuleType) -> bool:
    """Whether anything in `module` may be named."""
    if _trusting() or not _folders():
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
