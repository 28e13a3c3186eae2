"""Packages that register worlds, tools or methods of their own, through the entry-point group `peripatos`."""

from __future__ import annotations

from importlib.metadata import entry_points

from .errors import UserError
from .named_objects import PLUGINS


def import_plugins() -> None:
    """Import the modules of the group. UserError for one that cannot be."""
    for plugin in entry_points(group=PLUGINS):
        try:
            plugin.load()
        except ImportError as problem:
            raise UserError(f"the plug-in {plugin.name!r} ({plugin.value}) cannot be imported: {problem}") from problem
