"""Where the settings of a comparison's methods are from: searched with which budget, or as the scenario has them."""

from __future__ import annotations

from collections.abc import Iterable

from .plan import ComparisonJob


def settings_told(jobs: Iterable[ComparisonJob]) -> list[str]:
    """A sentence for each origin in each scenario; one more where the methods of a scenario do not share it."""
    origins: dict[str, dict[str, list[str]]] = {}  # by scenario and origin the methods
    for job in jobs:
        methods = origins.setdefault(job.task, {}).setdefault(job.come_from, [])
        if job.method not in methods:
            methods.append(job.method)
    told = []
    for task, known in origins.items():
        told += [f"{task}: settings of {_listed(methods)}: {origin}." for origin, methods in known.items()]
        if len(known) > 1:
            told.append(
                f"{task}: these settings are not from one search, and a difference between methods may be one of them."
            )
    return told


def _listed(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
