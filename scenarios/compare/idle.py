"""What a comparison would override, or give to one of its methods alone: refused, whether a flag says it or the file of
a comparison, by itself or inside of something larger that is given at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from ...algorithms.methods import METHODS
from ...envs.errors import UserError, nearest
from ..config.loading import as_given, dump_data, put_at
from ..config.schema import FROM, Scenario
from ..config.yaml_text import Path_, Source, parse_value


def refuse_overridden(given: Sequence[str], methods: Sequence[str]) -> None:
    """UserError for a seed or a method, which the comparison puts in itself."""
    for text in given:
        key = ".".join(_key(text))
        if key == "seed":
            seeds = "a comparison runs the seeds 0, 1, … (--seeds says how many)"
            raise UserError(f"{as_given(text)} has no effect: {seeds}")
        if key.startswith("stages.") and key.endswith(".method"):
            those = f"the methods of a comparison are those of --methods {','.join(methods)}"
            raise UserError(f"{as_given(text)}: {those}")


def refuse_idle_variants(sets: Sequence[str], methods: Sequence[str]) -> None:
    """UserError where flags for all scenarios give a variant to a method that is not compared."""
    for text in sets:
        key, value = _key(text), _value(text)
        if key[0] != "variants":
            continue
        for name in key[1:2] or (value if isinstance(value, Mapping) else ()):
            if name in METHODS and name not in methods:
                those = f"the methods compared are {', '.join(dict.fromkeys(methods))}.{nearest(name, methods)}"
                raise UserError(f"{as_given(text)} has no effect: {name} is not compared; {those}")


def refuse_searched(sets: Sequence[str], base: Scenario, searched: Iterable[str], method: str) -> None:
    """UserError where a flag says what is `searched` for a method, by keys of `base`, in which it stands: by itself,
    inside or around it, or in the variant of the method."""
    data = dump_data(base)
    places = {key: put_at(data, key, None)[1] for key in searched}
    for text in sets:
        for said, value in _laid(_key(text), _value(text), method):
            path = put_at(data, said, None)[1]
            for key, place in places.items():
                inside = path[: len(place)] == place
                if inside or (place[: len(path)] == path and _holds(value, place[len(path) :])):
                    raise UserError(f"{as_given(text)}: {key} is searched for {method}; leave out one of the two")


def _laid(key: tuple[str, ...], value: object, method: str) -> Iterator[tuple[str, object]]:
    """What a flag lays upon the scenario of a method, by dotted key: itself, or what it says of the variant."""
    if key[0] != "variants":
        yield ".".join(key), value
        return
    if len(key) > 1:
        value = {key[1]: value}
    theirs = value.get(method) if isinstance(value, Mapping) else None
    if isinstance(theirs, Mapping):
        yield from ((said, one) for said, one in theirs.items() if said != FROM)


def _holds(value: Any, path: Path_) -> bool:
    """Whether a value that is given at once has something at `path`."""
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _key(text: str) -> tuple[str, ...]:
    """The key of a flag, part by part."""
    return tuple(part.strip() for part in text.partition("=")[0].split("."))


def _value(text: str) -> object:
    """The value of a flag; one that cannot be read is refused where it is put in."""
    return parse_value(text.partition("=")[2], as_given(text), _key(text))


def refuse_idle(scenario: Scenario, source: Source, first: int, methods: Sequence[str]) -> None:
    """UserError for a method of stage `first` that is none of `methods`; for a goal of a stage from `first` on, which
    no goal ends; for `evaluation.first` where no stage before has one; and for overrides of the stage in which methods
    differ, which reach none but the scenario's own. `source` says what was given by flags, and where it stands."""
    stage, goals = scenario.stages[first], any(one.stop for one in scenario.stages[:first])
    others = [name for name in methods if name != stage.method]
    whole = f"from stage {stage.name!r} on, each method spends its whole budget"
    those = f"the methods of a comparison are those of --methods {','.join(dict.fromkeys(methods))}"
    for path, flag in source.places.items():
        if source.is_line(flag):
            continue
        for number, one in enumerate(scenario.stages[first:], start=first):
            if _says(path, ("stages", number, "stop"), one.stop):
                raise UserError(f"{flag} has no effect{_on(path, 'stop')}: {whole}")
        if stage.method not in methods and _says(path, ("stages", first, "method"), stage.method):
            raise UserError(f"{flag} puts {stage.method} into stage {stage.name!r}, and {those}: say one of these")
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
