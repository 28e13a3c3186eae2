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
from itertools import combinations
from typing import Any

from pydantic import Field, JsonValue

from ...algorithms.methods import METHODS, method
from ...envs.errors import UserError, nearest, unknown
from ..config.voices import Part

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
    """Methods of the table, by their own names."""
    return {name: Contender(method=name) for name in methods}


def as_contenders(methods: Sequence[str] | Contenders) -> Contenders:
    """Whoever is named, whether by a list or as a comparison's file has them."""
    return methods if isinstance(methods, Mapping) else as_they_are(methods)


def named(names: Sequence[str], known: Contenders) -> dict[str, Contender]:
    """Of a comparison's file those that are named, and methods of the table. UserError for a name of neither."""
    for name in names:
        if name not in known and name not in METHODS:
            hint = nearest(name, [*known, *METHODS])
            own = ", ".join(known)
            raise UserError(
                f"unknown method {name!r}; the comparison has {own}, and there are those of the table.{hint}"
            )
    return {name: known.get(name) or Contender(method=name) for name in names}


def check_contenders(contenders: Contenders) -> None:
    """UserError for an unknown method or constant, for a name that would mean something else in the tables, and for two
    that nothing tells apart."""
    for name, one in contenders.items():
        if one.method not in METHODS:
            raise UserError(unknown("method", one.method, METHODS))
        if not re.fullmatch(r"\w[\w .+-]{0,99}", name) or name == COLD:
            words = "of letters, digits and -, for it names a folder, and is not that of the cold start"
            raise UserError(f"{name!r:.120} names no method of a comparison; a name is {words}")
        if name in METHODS and name != one.method:
            raise UserError(
                f"{name!r} is a method of its own, and here it would mean {one.method}; choose another name"
            )
        try:
            method(one.method, one.overrides)
        except UserError as problem:
            raise UserError(f"{name}: {problem}") from problem
    for (name, one), (other, two) in combinations(contenders.items(), 2):
        if one == two:
            raise UserError(f"nothing tells {name!r} from {other!r}: both are {one.method} with equal settings")


def _leaves(above: str, data: Mapping[str, Any]) -> Iterator[tuple[str, JsonValue]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _leaves(f"{above}.{key}", value)
        else:
            yield f"{above}.{key}", value
