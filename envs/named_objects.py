"""Objects by name: `module:attribute`, in a file of the current directory or installed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import UnknownWorld, UserError, nearest


def load_attribute(reference: str) -> object:
    """What `module:attribute` names. Modules in the current directory can be imported.

    Raises:
        UnknownWorld: there is no such module, or nothing of that name in it.
    """
    module_name, _, attribute = reference.partition(":")
    module = import_by_name(module_name)
    try:
        return getattr(module, attribute)
    except AttributeError:
        public = [known for known in vars(module) if not known.startswith("_")]
        raise UnknownWorld(
            f"module {module_name!r} has nothing called {attribute!r}.{nearest(attribute, public)}"
        ) from None


def import_by_name(module: str) -> object:
    """The module of that name, installed or in the current directory. `UnknownWorld` if there is none."""
    if not all(part.isidentifier() for part in module.split(".")):
        raise UnknownWorld(f"{module!r} is not the name of a module")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
        importlib.invalidate_caches()
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(error.name + ".")):
            raise UserError(f"module {module!r} needs something that cannot be imported: {error}") from error
        raise UnknownWorld(f"there is no module {module!r} in {here} or among the installed packages") from error


def load_function(reference: str) -> Callable[..., Any]:
    """What `module:function` names. UserError if it is not there or cannot be called."""
    if ":" not in reference:
        raise UserError(f"a scripted agent is named module:function, not {reference!r}")
    found = load_attribute(reference)
    if not callable(found):
        raise UserError(f"{reference!r} is not a function")
    return found
