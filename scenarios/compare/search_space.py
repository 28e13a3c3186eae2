"""What a sweep searches: ranges of a scenario's keys, as the file of a comparison declares them.

    search:
      optimizer.lr: {log: [1e-4, 1e-2]}
      overrides.update.entropy_coefficient: {choice: [0, 0.01]}
      ppo:                                   # what this method alone has
        overrides.credit.lam: {uniform: [0.9, 1]}

A key is one of the stage in which methods differ, or a scenario's from its top (`agent.hidden`). `log` and `uniform`
draw real numbers evenly in log x and in x; whole numbers, words and whole mappings are a `choice`.

Where nothing is declared the learning rate is searched, which every method has: a decade to each side of what the
scenario says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from ...algorithms.methods import METHODS
from ...algorithms.optimizer import OptimizerSettings
from ...envs.errors import UserError, WrongKey, nearest
from ...envs.quantities import read_number, shown
from ..assembly.settings import optimizer_settings, stage_method
from ..config.keys import belongs
from ..config.loading import check_scenario, dump_data, put_at
from ..config.mistakes import at, placed
from ..config.schema import Scenario, Stage
from ..config.yaml_text import Source
from .fairness import HOW

KINDS = ("log", "uniform", "choice")
AROUND = 10.0  # by which factor the learning rate may be smaller or larger, where no search is declared
_EXAMPLES = "{log: [1e-4, 1e-2]}, {uniform: [0.9, 1]} or {choice: [8, 16]}"
# Of a scenario: what no score depends on.
_IDLE = ("description", "variants", "log", "trackers", "checkpoint", "device", "failures", "cluster")
Settings = Mapping[str, JsonValue]  # by dotted key of the scenario


@dataclass(frozen=True)
class Range:
    """What may stand at a key: `values` are the two bounds, or what may be chosen."""

    kind: str
    values: tuple[JsonValue, ...]

    @property
    def bounds(self) -> tuple[float, float]:
        """Of a range of numbers."""
        low, high = self.values
        assert isinstance(low, float)
        assert isinstance(high, float)
        return low, high

    def probes(self) -> tuple[JsonValue, ...]:
        """Values by which it is seen whether the key takes them: of numbers the bounds, and a broken one between."""
        if self.kind == "choice":
            return self.values
        low, high = self.bounds
        return (low, high, low + 0.381966 * (high - low))


def read_search(said: Mapping[str, JsonValue]) -> dict[str, dict[str, Range]]:
    """The declared ranges by key, of all methods under "" and of single ones under their names. WrongKey for what is no
    range."""
    found: dict[str, dict[str, Range]] = {"": {}}
    for key, value in said.items():
        if key in METHODS:
            if not isinstance(value, Mapping) or not value:
                raise WrongKey((key,), f"search.{key} is {shown(value)}; a method has keys with their ranges there")
            found[key] = {inner: _range((key, inner), one) for inner, one in value.items()}
        else:
            found[""][key] = _range((key,), value)
    return found


def _range(path: tuple[str, ...], said: JsonValue) -> Range:
    key = f"search.{'.'.join(path)}"
    if not isinstance(said, Mapping) or len(said) != 1:
        raise WrongKey(path, f"{key} is {shown(said)}; give one range, such as {_EXAMPLES}")
    ((kind, values),) = said.items()
    if kind not in KINDS:
        hint = nearest(kind, KINDS) or nearest(path[0], METHODS)
        raise WrongKey(path, f"{key} has the range {kind!r}; allowed are {', '.join(KINDS)}.{hint}")
    if not isinstance(values, list):
        raise WrongKey(path, f"{key}.{kind} is {shown(values)}, and not a list; ranges are such as {_EXAMPLES}")
    if kind == "choice":
        return Range(kind, _distinct(path, f"{key}.choice", values))
    numbers = [None if isinstance(value, bool) else read_number(value) for value in values]
    if len(values) != 2 or not all(number is not None and math.isfinite(number) for number in numbers):
        raise WrongKey(path, f"{key}.{kind} is {shown(values)}; allowed are two numbers, as in {{{kind}: [0.01, 0.1]}}")
    low, high = (float(number or 0) for number in numbers)
    if not low < high:
        words = (
            f"write [{shown(high)}, {shown(low)}]" if low > high else "between equal bounds there is nothing to search"
        )
        raise WrongKey(path, f"{key}.{kind} begins at {shown(low)} and ends at {shown(high)}; {words}")
    if kind == "log" and low <= 0:
        raise WrongKey(path, f"{key}.log begins at {shown(low)}, which has no logarithm; allowed are bounds above 0")
    return Range(kind, (low, high))


def _distinct(path: tuple[str, ...], key: str, values: Sequence[JsonValue]) -> tuple[JsonValue, ...]:
    if len(values) < 2:
        raise WrongKey(path, f"{key} is {shown(values)}; a choice is between two values or more")
    for place, value in enumerate(values):
        if any(type(other) is type(value) and other == value for other in values[:place]):
            raise WrongKey(path, f"{key} has {shown(value)} twice")
    return tuple(values)


def space_of(search: Mapping[str, Mapping[str, Range]], method: str, base: Scenario, first: int) -> dict[str, Range]:
    """What is searched for a method in `base`, in whose stage `first` it stands, by the scenario's own keys. UserError
    for a key that nothing has, or no score depends on."""
    whose = f"{method} in {base.name}"
    declared = {**search.get("", {}), **search.get(method, {})}
    if not any(search.values()):
        declared = {"optimizer.lr": _around_the_learning_rate(base.stages[first])}
    if not declared:
        raise UserError(f"nothing is searched for {whose}: `search` has no key of all methods, nor under `{method}:`")
    space, places = {}, {}
    for key, one in declared.items():
        full = _full(key, base, first, whose)
        _, place = put_at(dump_data(base), full, None)
        if place[0] == "stages" and place[2:3] == ("stop",):
            raise UserError(f"search.{key} has no effect on {whose}: each method spends its whole budget")
        for other, known in places.items():
            if place[: len(known)] == known or known[: len(place)] == place:
                raise UserError(f"search.{other} and search.{key} say two things of one key; leave one of them out")
        space[full], places[key] = one, place
    return space


def _around_the_learning_rate(stage: Stage) -> Range:
    rate = read_number(stage.optimizer.get("lr", OptimizerSettings().lr)) or OptimizerSettings().lr
    return Range("log", (rate / AROUND, rate * AROUND))


def _full(key: str, base: Scenario, first: int, whose: str) -> str:
    """`key` as the scenario spells it from its top."""
    head, stage = key.partition(".")[0], base.stages[first].name
    if head in _IDLE:
        raise UserError(f"search.{key} has no effect on {whose}: no score depends on {head}")
    if head in ("world", "worlds") and (last := key.rpartition(".")[2]) in HOW:
        raise UserError(f"search.{key} has no effect on {whose}: {last} says how a world is played, and not what")
    if head in Scenario.model_fields:
        return key
    if head in Stage.model_fields:
        return f"stages.{stage}.{key}"
    data = {"stages": [{"name": stage}]}
    meant = belongs(key, (key,), data) or (" Did you mean 'optimizer.lr'?" if key == "learning_rate" else "")
    hint = meant or nearest(head, [*Stage.model_fields, *Scenario.model_fields])
    raise UserError(
        f"search has an unknown key {key!r}: it begins neither with one of the stage in which methods differ "
        f"({', '.join(sorted(Stage.model_fields))}) nor with a scenario's ({', '.join(sorted(Scenario.model_fields))})."
        f"{hint.replace(f'stages.{stage}.', '')}"
    )


def probed(space: Mapping[str, Range], base: Scenario, whose: str) -> Iterator[Scenario]:
    """`base` with what may be drawn, at the ends of each range. UserError where a key does not take it."""
    lowest = {key: one.values[0] for key, one in space.items()}
    for key, one in space.items():
        for number, value in enumerate(one.probes()):
            try:
                yield with_settings(base, {**lowest, key: value}, whose)
            except UserError as problem:
                hint = ""
                if one.kind != "choice" and number == 2:
                    hint = "\nBetween its bounds all numbers are drawn; whole ones are a choice: {choice: [8, 16]}"
                raise UserError(f"{problem}{hint}") from problem


def with_settings(base: Scenario, settings: Settings, whose: str) -> Scenario:
    """`base` with `settings` put in, as far as it can be checked without its world. UserError where they do not fit."""
    data, source = dump_data(base), Source(f"the search for {whose}")
    for key, value in settings.items():
        data, place = put_at(data, key, value)
        source.places[place] = f"{key} in the search for {whose}"
    changed = check_scenario(data, source)
    with placed(source):
        for number, stage in _learning(changed):
            with at("stages", number, "overrides"):
                stage_method(stage)
            with at("stages", number, "optimizer"):
                optimizer_settings(stage)
    return changed


def _learning(scenario: Scenario) -> Iterator[tuple[int, Stage]]:
    return ((number, stage) for number, stage in enumerate(scenario.stages) if stage.method is not None)
