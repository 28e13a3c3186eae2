"""What to say of a path that is no run directory: what it is instead, and which run may have been meant."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from ...envs.errors import nearest
from ..config.loading import shipped

_MOST = 5  # runs that are named


def no_run(path: Path) -> str:
    """One sentence."""
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return f"{path} is a scenario and no run: a run of it begins with peripatos run {path}"
    return f"{path} is not a run directory: {_reason(path)}{_hint(path)}"


def _reason(path: Path) -> str:
    if path.is_file():
        return "it is a file"
    return "it holds no scenario.yaml" if path.is_dir() else "there is no such folder"


def _hint(path: Path) -> str:
    with suppress(OSError):
        around = next((above for above in path.absolute().parents if is_run(above)), None)
        if around is not None:
            return f"; it lies in the run {around}"
        if (path / "config.json").is_file():
            return f"; it is a model, which peripatos doctor {path} examines"
        within = [str(child) for child in sorted(path.iterdir()) if is_run(child)] if path.is_dir() else []
        if within:
            return f"; in it are the runs {', '.join(within[:_MOST])}{', …' if len(within) > _MOST else ''}"
        beside = [str(other) for other in path.parent.iterdir() if is_run(other)] if path.parent.is_dir() else []
        if not path.exists() and (made_by := re.sub(r"-\d+$", "", path.name)) in shipped() and made_by != str(path):
            return f"; peripatos run {made_by} makes one of that name"
        if not path.exists() and str(path) in shipped():
            return f"; it is a shipped scenario, a run of which begins with peripatos run {path}"
        return nearest(str(path), beside).replace(" Did", ". Did")
    return ""


def is_run(path: Path) -> bool:
    """Whether a folder holds a run."""
    return (path / "scenario.yaml").is_file()
