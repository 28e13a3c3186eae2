"""Which version of a reward gave a number: numbers of different versions are not to be compared.

    class Store(ToolWorld):
        reward_version = "1"          # its author raises it when equal replies may earn something else than before

Where a class names none, a digest of its source file stands in, which changes with every edit. A class that is made
from another one says both, up to the first that names a version:  "MyStore source 3fa9c1d2, Store 1".
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

_HEX = 8  # digits of a digest: enough to tell the versions of one reward apart


def class_version(kind: type, root: type) -> str:
    """The version of a world's class, without that of `root`, from which all worlds are made."""
    parts = []
    for cls in kind.__mro__:
        if cls is root:
            break
        declared = vars(cls).get("reward_version")
        parts.append(f"{cls.__name__} {declared or source_version(cls)}")
        if declared:
            break
    return ", ".join(parts)


def function_version(function: Callable[..., object]) -> str:
    """The name of a function, or of the class of an object that is called, and the version of its source."""
    while isinstance(function, partial):
        function = function.func
    written = function if hasattr(function, "__qualname__") else type(function)
    return f"{written.__module__}:{written.__qualname__} {source_version(written)}"


def source_version(thing: type | Callable[..., object]) -> str:
    """A digest of the file in which a class or a function is written; `unversioned` where there is no such file."""
    try:
        file = inspect.getsourcefile(thing)
        text = Path(file or "").read_bytes()
    except (TypeError, OSError):
        return "unversioned"
    return f"source {hashlib.sha256(text).hexdigest()[:_HEX]}"


def weights_version(weights: Mapping[str, float], defaults: Mapping[str, float]) -> str:
    """What to add to a version where weights are not those of the class; empty where they are."""
    changed = [f"{name} {weight:g}" for name, weight in weights.items() if defaults.get(name) != weight]
    return f", weights {', '.join(changed)}" if changed else ""
