"""What a comparison would override, or give to one of its methods alone: refused, whether a flag says it or the file of
a comparison."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from ...envs.errors import UserError
from ..config.loading import as_given
from ..config.schema import Scenario


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


def refuse_idle(scenario: Scenario, first: int, given: Sequence[str], methods: Sequence[str]) -> None:
    """UserError for a goal of a stage from `first` on, which no goal ends, for `evaluation.first` where no stage before
    has one, and for overrides of the stage in which methods differ, which reach none but the scenario's own."""
    stage, goals = scenario.stages[first], any(one.stop for one in scenario.stages[:first])
    whole = f"from stage {stage.name!r} on, each method spends its whole budget"
    for text in given:
        key, _, value = text.partition("=")
        parts = [part.strip() for part in key.split(".")]
        place = _place(scenario, parts)
        if place is not None and place >= first and parts[2:3] == ["stop"]:
            raise UserError(f"{as_given(text)} has no effect: {whole}")
        if parts[0] == "evaluation" and not goals and _says_first(parts, value):
            raise UserError(f"{as_given(text)} has no effect on evaluation.first: {whole}, and no goal ends it")
        others = [name for name in methods if name != stage.method]
        if place == first and parts[2:3] == ["overrides"] and others:
            variant = f"variants.{others[0]}={{{'.'.join(('stages', stage.name, *parts[2:]))}: {value.strip()}}}"
            raise UserError(
                f"{as_given(text)} would reach {stage.method} alone: overrides belong to the method of the scenario. "
                f"Say it of each method, as in --set '{variant}'"
            )


def _place(scenario: Scenario, parts: Sequence[str]) -> int | None:
    """The stage inside of which a key stands, by its name or its number; None: in none."""
    if parts[0] != "stages" or len(parts) < 3:
        return None
    for place, stage in enumerate(scenario.stages):
        if parts[1] in (stage.name, str(place), str(place - len(scenario.stages))):
            return place
    return None


def _says_first(parts: Sequence[str], value: str) -> bool:
    said = yaml.safe_load(value)
    if len(parts) == 1:
        return isinstance(said, dict) and said.get("first") is not None
    return parts[1] == "first" and said is not None
