"""The tables that the command line prints: worlds, methods, scenarios, and what a run did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...envs.errors import UserError, unknown
from ..config.presets import preset_table, show_preset


def table(what: str) -> list[dict[str, str]]:
    """The rows of `peripatos list WHAT`."""
    makers: dict[str, Callable[[], list[dict[str, str]]]] = {
        "worlds": _worlds,
        "methods": _methods,
        "presets": preset_table,
        "scenarios": _scenarios,
    }
    if what not in makers:
        raise UserError(unknown("table", what, makers))
    return makers[what]()


def detail(what: str, name: str, framework: str | None = None) -> list[str]:
    """The lines of `list methods --show NAME`, with a `framework` those of what is otherwise there as well; or of
    `list presets --show NAME`."""
    from ...algorithms.compat import compat
    from ...algorithms.method_words import show_method

    if what == "presets" and framework is None:
        return show_preset(name)
    if what != "methods":
        option = "--show" if framework is None else "--compat"
        raise UserError(f"{option} is for methods, and not for {what}: peripatos list methods --show NAME")
    return [*show_method(name), *(["", *compat(name, framework)] if framework is not None else [])]


def summary_lines(summary: Mapping[str, Any], path: Path | None = None) -> list[str]:
    """What a finished run did: three lines for each stage, one for all, and where it lies."""
    from ..run.several_worlds import spell_worlds

    lines = []
    for stage in summary["stages"]:
        before, after = (spell_worlds(stage["evaluation"][when]) for when in ("before", "after"))
        if stage["method"] is None:
            lines += [f"{stage['name']}: {after}"]
            continue
        count = f"{stage['updates']} update" + ("" if stage["updates"] == 1 else "s")
        lines += [f"{stage['name']}: {stage['method']}, {count}, ended by {stage['ended_by']}"]
        lines += [f"  before  {before}", f"  after   {after}"]
    lines.append(f"{summary['env_steps']:,} steps of the world, {summary['wall_s']:.0f} s")
    return [*lines, *([str(path)] if path else [])]


def _worlds() -> list[dict[str, str]]:
    from ...envs.registry import list_worlds

    return [
        {
            "world": row.id,
            "kind": row.kind,
            "what": row.description,
            "options": ", ".join(f"{name}={value!r}" for name, value in row.options.items()),
        }
        for row in list_worlds()
    ]


def _methods() -> list[dict[str, str]]:
    from ...algorithms.method_words import method_table

    return method_table()


def _scenarios() -> list[dict[str, str]]:
    from ..config.loading import load_scenario, shipped

    rows = []
    for name in shipped():
        scenario = load_scenario(name)
        stages = " → ".join(stage.method or "evaluate" for stage in scenario.stages)
        rows.append({"scenario": name, "world": scenario.world.id, "stages": stages, "what": scenario.description})
    return rows
