"""What a comparison would override, or give to one of its methods alone: refused, whether a flag says it or the file of
a comparison, by itself or inside of something larger that is given at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from ...envs.errors import UserError
from ..config.loading import as_given, dump_data
from ..config.schema import Scenario
from ..config.yaml_text import Path_, Source


def refuse_overridden(given: Sequence[str], methods: Sequence[str]) -> None:
    """UserError for a seed or a method, which the comparison puts in itself."""
    for text in given:
        key = text.partition("=")[0].strip()
        if key == "seed":
            seeds = "a comparison runs the seeds 0, 1, … (--seeds says how many)"
            raise UserError(f"{as_given(text)} has no effect: {seeds}")
        if key.startswith("stages.") and key.endswith(".method"):
            those = f"the methods of a comparison are those of --methods {','.join(methods)}"
            raise UserError(f"{as_given(text)}: {those}")


def refuse_idle(scenario: Scenario, source: Source, first: int, methods: Sequence[str]) -> None:
    """UserError for a goal of a stage from `first` on, which no goal ends, for `evaluation.first` where no stage before
    has one, and for overrides of the stage in which methods differ, which reach none but the scenario's own. `source`
    says what was given by flags, and where it stands."""
    stage, goals = scenario.stages[first], any(one.stop for one in scenario.stages[:first])
    others = [name for name in methods if name != stage.method]
    whole = f"from stage {stage.name!r} on, each method spends its whole budget"
    for path, flag in source.places.items():
        if source.is_line(flag):
            continue
        for number, one in enumerate(scenario.stages[first:], start=first):
            if _says(path, ("stages", number, "stop"), one.stop):
                raise UserError(f"{flag} has no effect{_on(path, 'stop')}: {whole}")
        at_first = scenario.evaluation.first
        if at_first is not None and not goals and _says(path, ("evaluation", "first"), at_first):
            raise UserError(f"{flag} has no effect on evaluation.first: {whole}, and no goal ends it")
        if others and _says(path, ("stages", first, "overrides"), stage.overrides):
            raise UserError(
                f"{flag} would reach {stage.method} alone{_by(path)}: overrides belong to the method of the scenario. "
                f"Say it of each method, as in --set '{_as_variant(scenario, first, path, others[0])}'"
            )


def _says(path: Path_, place: Path_, value: object) -> bool:
    """Whether what was given at `path` says something of `place`, at which now stands `value`: there or inside of it,
    whatever it says; around it, where that left something there."""
    return path[: len(place)] == place or (place[: len(path)] == path and bool(value))


def _on(path: Path_, key: str) -> str:
    """What of a flag is meant that says more than this."""
    return "" if key in path else f" on {key}"


def _by(path: Path_) -> str:
    return "" if "overrides" in path else " by its overrides"


def _as_variant(scenario: Scenario, first: int, path: Path_, method: str) -> str:
    """The overrides that were given at `path`, or around them, as those of another method."""
    inside = path[2:] or ("overrides",)
    value: Any = dump_data(scenario)["stages"][first]
    for part in inside:
        value = value[part]
    key = ".".join(map(str, ("stages", scenario.stages[first].name, *inside)))
    flow = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()
    return f"variants.{method}={{{key}: {flow}}}"
