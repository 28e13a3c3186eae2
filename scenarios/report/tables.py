"""The tables that the command line prints: worlds, methods, scenarios, and what a run did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...envs.errors import UserError, unknown


def table(what: str) -> list[dict[str, str]]:
    """The rows of `peripatos list WHAT`."""
    makers: dict[str, Callable[[], list[dict[str, str]]]] = {
        "worlds": _worlds,
        "methods": _methods,
        "scenarios": _scenarios,
    }
    if what not in makers:
        raise UserError(unknown("table", what, makers))
    return makers[what]()


def summary_table(summary: Mapping[str, Any]) -> list[dict[str, str]]:
    """One row for each stage of a finished run."""
    from ..run.several_worlds import spell_worlds

    return [
        {
            "stage": stage["name"],
            "method": stage["method"] or "—",
            "updates": str(stage["updates"]),
            "ended by": stage["ended_by"],
            "before": spell_worlds(stage["evaluation"]["before"]),
            "after": spell_worlds(stage["evaluation"]["after"]),
        }
        for stage in summary["stages"]
    ]


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
    from ...algorithms.methods import method_table

    return method_table()


def _scenarios() -> list[dict[str, str]]:
    from ..config.loading import load_scenario, shipped

    rows = []
    for name in shipped():
        scenario = load_scenario(name)
        stages = " → ".join(stage.method or "evaluate" for stage in scenario.stages)
        rows.append({"scenario": name, "world": scenario.world.id, "stages": stages, "what": scenario.description})
    return rows
