"""Who is compared: methods of the table as they are, or methods with some of their constants changed, each by the name
that tables call it.

    methods: [rloo, grpo]
    methods:
      by turn: {method: rloo, overrides: {credit: {granularity: turn}}}
      by a critic: {method: rloo, overrides: {credit: {baseline: critic}}, optimizer: {lr: 5e-4}}

A method that reads another model may read what another of them has made, with the same seed: its role is played by
`{run: NAME}`, with the other's name in the place of a run's folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from pydantic import Field, JsonValue

from ...algorithms.methods import METHODS, method
from ...envs.errors import UserError, nearest, unknown
from ..assembly.settings import optimizer_settings, stage_method
from ..config.schema import Scenario
from ..config.voices import Part

_WORDS: dict[str, Any] = {"name": "", "summary": "", "paper": "", "parent": None, "elsewhere": ""}  # of a row, not acts
COLD = "cold-start"  # in the place of a name: what comes before all of them


class Contender(Part):
    """A method, and what is laid upon the stage that it takes over: on top of the scenario's variant of the method."""

    method: str
    overrides: dict[str, JsonValue] = Field(default_factory=dict)
    optimizer: dict[str, JsonValue] = Field(default_factory=dict)
    collect: dict[str, JsonValue] = Field(default_factory=dict)

    def changes(self, stage: str) -> dict[str, JsonValue]:
        """What it changes in a scenario, by dotted key."""
        own = self.model_dump(exclude={"method"})
        return dict(_leaves(f"stages.{stage}", {name: part for name, part in own.items() if part}))


Contenders = Mapping[str, Contender]


def as_they_are(methods: Sequence[str]) -> dict[str, Contender]:
    """Methods of the table, by their own names. UserError for one that is named twice."""
    _refuse_twice(methods)
    return {name: Contender(method=name) for name in methods}


def as_contenders(methods: Sequence[str] | Contenders) -> Contenders:
    """Whoever is named, whether by a list or as a comparison's file has them."""
    return methods if isinstance(methods, Mapping) else as_they_are(methods)


def named(names: Sequence[str], known: Contenders) -> dict[str, Contender]:
    """Of a comparison's file those that are named, and methods of the table. UserError for a name of neither, and for
    one that is named twice."""
    _refuse_twice(names)
    for name in names:
        if name not in known and name not in METHODS:
            hint = nearest(name, [*known, *METHODS])
            own = ", ".join(known)
            raise UserError(
                f"unknown method {name!r}; the comparison has {own}, and there are those of the table.{hint}"
            )
    return {name: known.get(name) or Contender(method=name) for name in names}


def _refuse_twice(names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        if name in names[:place]:
            raise UserError(f"{name} is named twice; leave one out")


def check_contenders(contenders: Contenders) -> None:
    """UserError for an unknown method or constant, and for a name that would mean something else in the tables."""
    for name, one in contenders.items():
        if one.method not in METHODS:
            raise UserError(unknown("method", one.method, METHODS))
        if not re.fullmatch(r"\w[\w .+-]{0,99}", name) or name != " ".join(name.split()) or name == COLD:
            words = (
                "begins with a letter, a digit or _ and goes on with these, single spaces, '.', '+' and '-', 100 in all"
            )
            raise UserError(
                f"{name!r:.120} names no method of a comparison; a name {words}, for it names a folder, and is not "
                f"{COLD!r}, the folder of the cold start"
            )
        if name in METHODS and name != one.method:
            raise UserError(
                f"{name!r} is a method of its own, and here it would mean {one.method}; choose another name"
            )
        try:
            method(one.method, one.overrides)
        except UserError as problem:
            raise UserError(f"{name}: {problem}") from problem


def refuse_equal(changed: Mapping[str, Scenario], first: int) -> None:
    """UserError for two that nothing tells apart: in stage `first` of their scenarios stand equal constants, those that
    are said and those of the row and of the optimiser that are not."""
    for (name, one), (other, two) in combinations(changed.items(), 2):
        if _resolved(one, first) == _resolved(two, first):
            method, second = one.stages[first].method, two.stages[first].method
            both = f"both are {method}" if method == second else f"{method} and {second} are one"
            raise UserError(f"nothing tells {name!r} from {other!r}: {both} with equal settings in {one.name}")


def _resolved(scenario: Scenario, first: int) -> tuple[object, ...]:
    """What a run does: constants with their defaults, and all else as it is said."""
    stage = scenario.stages[first]
    rows = [replace(stage_method(stage, world), **_WORDS) for world in (None, *(scenario.worlds or ()))]
    data = scenario.model_dump(mode="json", exclude={"variants"})
    data["stages"][first] |= {"method": None, "overrides": {}, "optimizer": {}}
    return rows, optimizer_settings(stage), data


def _leaves(above: str, data: Mapping[str, Any]) -> Iterator[tuple[str, JsonValue]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _leaves(f"{above}.{key}", value)
        else:
            yield f"{above}.{key}", value
