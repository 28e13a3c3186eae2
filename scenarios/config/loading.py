"""From YAML text, `--set` flags and shipped names to a checked `Scenario`.

Every error gives the place (file, line and column, or the flag), the value, what is allowed, and the nearest name.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ...envs.errors import UserError, nearest
from ...envs.named_objects import current_folder, keep_to_folder
from ...envs.quantities import shown
from ..cluster.shares import fitting_tile
from .consistency import contradictions
from .keys import keys_allowed
from .mistakes import explain
from .schema import Scenario
from .yaml_text import Path_, Source, is_record, parse_value, read_yaml, write_yaml

FOLDER = Path(__file__).parents[1]
MOST_SHOWN = 10  # mistakes that are told at once


def shipped() -> dict[str, Path]:
    """The scenarios that come with the package, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def find_scenario(name: str) -> Path:
    """The file of a shipped name or of a path. UserError names the nearest, and says what else the name is."""
    names = shipped()
    if name in names:
        return names[name]
    if not name.strip():
        raise UserError(f"the name of the scenario is empty; allowed: {', '.join(names)}, and any YAML file")
    path = Path(name)
    beside: list[str] = []
    with suppress(OSError):  # a name that no file can have
        if path.is_file():
            return path
        if path.is_dir():
            raise UserError(_a_folder(path))
        if path.exists():
            raise UserError(f"{name} is a device or a pipe, and a scenario is a YAML file")
        beside = [str(other) for other in sorted(path.parent.iterdir()) if other.suffix in (".yaml", ".yml")]
    what = "scenario file" if path.suffix in (".yaml", ".yml") or "/" in name else "scenario"
    hint = nearest(name, beside) or nearest(path.stem, names)
    raise UserError(f"there is no {what} {name!r}{_what_else(name)}; shipped scenarios are {', '.join(names)}.{hint}")


def _a_folder(path: Path) -> str:
    if (path / "scenario.yaml").is_file():
        again = f"its scenario begins anew with: peripatos run {path}/scenario.yaml --out ANOTHER"
        return f"{path} is a run directory and no scenario. That run goes on with: peripatos resume {path}; {again}"
    inside = ", ".join(str(file) for file in sorted(path.iterdir()) if file.suffix in (".yaml", ".yml"))
    return f"{path} is a folder, and a scenario is a YAML file{f'; in it are {inside}' if inside else ''}"


def _what_else(name: str) -> str:
    """What a name is that is no scenario's: a method, or a world."""
    from ...algorithms.methods import METHODS

    if name in METHODS:
        return f" ({name} is a method: give it as `method` of a stage, or to compare as --methods {name})"
    if re.search(r"-v\d+$|^[\w.]+:\w+$", name):
        return f" ({name} may be a world: name it in a scenario as world: {{id: {name}}}, or peripatos check {name})"
    return ""


def load_scenario(name: str, sets: Sequence[str] = ()) -> Scenario:
    """The scenario `name` (shipped name or path), with `--set` flags applied and everything checked."""
    return open_scenario(name, sets)[0]


def open_scenario(name: str, sets: Sequence[str] = ()) -> tuple[Scenario, Source]:
    """As `load_scenario`, and where each key was written. From here on, names in scenarios keep to its folder."""
    path = find_scenario(name)
    for folder in _own_folders(path):
        keep_to_folder(folder)
    data, source = read_yaml(path)
    return check_scenario(apply_sets(data, sets, source), source), source


def _own_folders(path: Path) -> list[Path]:
    """Where a scenario may name anything: beside it. What comes along, and the record of a run, was named (or first
    run) in the current directory.
    """
    if path.parent == FOLDER:
        return [current_folder()]
    return [path.parent, current_folder()] if is_record(path) else [path.parent]


class Given(str):
    """What says the same as a `--set`; `flag` is how and where it was written."""

    flag: str


class Typed(Given):
    """A flag of its own."""

    @classmethod
    def of(cls, name: str, value: object, key: str, *, inside: str | None = None) -> Typed:
        """`--seed 3` of the key "seed"; with `inside` the value stands in a mapping."""
        spelled = json.dumps(value, ensure_ascii=False)
        typed = cls(f"{key}={spelled if inside is None else f'{{{inside}: {spelled}}}'}")
        said = f"{value:g}" if isinstance(value, float) else str(value)
        typed.flag = f"{name} {shlex.quote(said)}"
        return typed


def as_given(text: str) -> str:
    """How an override was written: as `--set`, or as `Given` says."""
    if isinstance(text, Given):
        return text.flag
    _, equals, value = text.partition("=")
    return f"--set {text}" if value or not equals else f"--set '{text}'"


def apply_sets(data: Mapping[str, Any], sets: Sequence[str], source: Source) -> dict[str, Any]:
    """`data` with each `a.b=value` put in; list items are named by number or by their `name`."""
    result = dict(data)
    for text in sets:
        key, equals, value = text.partition("=")
        flag = as_given(text)
        if isinstance(text, Typed):
            _refuse_two(text, flag, sets)
        path = tuple(part.strip() for part in key.strip().split("."))
        if not equals or not key.strip():
            raise UserError(f"{flag}: the form is --set KEY=VALUE, as in --set {_as_a_flag(text)}")
        if "" in path:
            meant = ".".join(part for part in path if part)
            raise UserError(f"{flag}: a key has one dot between its parts, as in --set {meant}={value}")
        parsed = parse_value(value, flag, path)
        result, where = _put(result, path, parsed, flag)
        source.places = {known: at for known, at in source.places.items() if known[: len(where)] != where}
        source.places[where] = flag
    return result


def _refuse_two(text: Typed, flag: str, sets: Sequence[str]) -> None:
    """UserError where a `--set` says something else of the same key."""
    key, _, value = text.partition("=")
    for other in sets:
        theirs, _, said = other.partition("=")
        same = said.strip() in (value, value.strip('"'))
        if not isinstance(other, Typed) and theirs.strip() in (key, f"{key}.id") and not same:
            raise UserError(f"{flag} and --set {other} say two things of {key}; give one of them")


def _as_a_flag(text: str) -> str:
    """What somebody will have meant who wrote `seed 3` or `seed: 3`."""
    said = re.fullmatch(r"\s*([\w.]+)\s*[: ]\s*(\S.*)", text)
    return f"{said[1]}={said[2]}" if said else "stages.NAME.budget.updates=100"


def put(data: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """`data` with `value` at the dotted `key`."""
    return put_at(data, key, value)[0]


def put_at(data: Mapping[str, Any], key: str, value: Any) -> tuple[dict[str, Any], Path_]:
    """As `put`, and the path at which it stands now."""
    return _put(dict(data), tuple(key.split(".")), value, key)


def _put(data: Any, path: tuple[str, ...], value: Any, flag: str, above: Path_ = ()) -> tuple[Any, Path_]:
    """A copy of `data` with `value` at `path`, and the path with list items as numbers."""
    head, rest = path[0], path[1:]
    if isinstance(data, list):
        index = _list_index(data, head, flag, above)
        item, below = _put(data[index], rest, value, flag, (*above, head)) if rest else (value, ())
        return [*data[:index], item, *data[index + 1 :]], (index, *below)
    if data is not None and not isinstance(data, Mapping):
        where = ".".join(map(str, above))
        raise UserError(f"{flag}: there is no {head!r} in {where}, which is {data!r}, a single value")
    known = dict(data or {})
    item, below = _put(known.get(head), rest, value, flag, (*above, head)) if rest else (value, ())
    return {**known, head: item}, (head, *below)


def _list_index(items: list[Any], head: str, flag: str, above: Path_) -> int:
    names = [str(item["name"]) for item in items if isinstance(item, Mapping) and "name" in item]
    if re.fullmatch(r"-?\d+", head) and -len(items) <= int(head) < len(items):
        return int(head) % len(items)
    if head in names:
        return names.index(head)
    allowed = [*names, *(str(number) for number in range(len(items)))]
    meant = ""
    if head.isdecimal():
        meant = f" Numbers begin at 0: {'.'.join(map(str, above))}.{int(head) - 1}?" if int(head) == len(items) else ""
    elif len(items) == 1 and names and head in keys_allowed(above):
        meant = f" Did you mean {'.'.join(map(str, (*above, names[0], head)))!r}?"
    hint = meant or nearest(head, names)
    raise UserError(f"{flag}: {'.'.join(map(str, above))} has no item {head!r}; items are {', '.join(allowed)}.{hint}")


def check_scenario(data: Mapping[str, Any], source: Source) -> Scenario:
    """The scenario that `data` says. UserError lists every problem, one a line."""
    data = _with_origin(data, source)
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as problem:
        raise UserError(_spelled(source, list(explain(problem, data)))) from problem
    if problems := list(contradictions(scenario)):
        raise UserError(_spelled(source, problems))
    return _with_tiles(scenario)


def _spelled(source: Source, problems: Sequence[tuple[Path_, str]]) -> str:
    lines = [f"{source.place(path)}: {text}" for path, text in problems]
    more = [f"and {len(lines) - MOST_SHOWN} more"] if len(lines) > MOST_SHOWN else []
    return "\n".join([*lines[:MOST_SHOWN], *more])


def _with_origin(data: Mapping[str, Any], source: Source) -> Mapping[str, Any]:
    """`agent: {from: RUN, checkpoint: best}` spelled out: the agent of that run, and where it is from."""
    agent = data.get("agent")
    if not isinstance(agent, Mapping) or "from" not in agent:
        return data
    place = source.place(("agent", "from"))
    others = [key for key in agent if key not in ("from", "checkpoint")]
    if others:
        hint = nearest(str(others[0]), ["checkpoint"])
        raise UserError(
            f"{source.place(('agent', others[0]))}: an agent from a run is as that run made it; {others[0]!r} cannot "
            f"be given beside `from`, only checkpoint.{hint}"
        )
    if not isinstance(agent["from"], str) or not agent["from"].strip():
        raise UserError(
            f"{place}: agent.from is {shown(agent['from'])}; allowed is a run directory, such as runs/NAME-0"
        )
    checkpoint = agent.get("checkpoint", "best")
    if not isinstance(checkpoint, str | int) or isinstance(checkpoint, bool):
        where = source.place(("agent", "checkpoint"))
        raise UserError(f"{where}: agent.checkpoint is {shown(checkpoint)}; allowed are best, last and a number")
    path = Path(agent["from"]).expanduser()
    if not (path / "scenario.yaml").is_file():
        raise UserError(f"{place}: {path} is not a run directory: it holds no scenario.yaml")
    theirs = read_yaml(path / "scenario.yaml")[0].get("agent")
    if not isinstance(theirs, Mapping) or theirs.get("kind") not in ("mlp", "tiny_llama", "causal_lm"):
        raise UserError(f"{place}: the run {path} has no agent that learns")
    origin = {"run": str(path), "checkpoint": str(checkpoint)}
    return {**data, "agent": {**theirs, "origin": origin}}


def _with_tiles(scenario: Scenario) -> Scenario:
    """The tiles of a run with workers spelled out: they decide its last digits, and the number of workers does not."""
    if scenario.cluster is None:
        return scenario
    workers, stages = scenario.cluster.rollout.workers, []
    for stage in scenario.stages:
        collect = stage.collect
        if collect is not None and collect.tile is None:
            collect = collect.model_copy(update={"tile": fitting_tile(collect.groups, workers)})
        stages.append(stage.model_copy(update={"collect": collect}))
    return scenario.model_copy(update={"stages": stages})


def dump_scenario(scenario: Scenario) -> str:
    """The resolved scenario as YAML that loads to the same."""
    return write_yaml(dump_data(scenario))


def dump_data(scenario: Scenario) -> dict[str, Any]:
    """The resolved scenario as the mapping that such a file holds: every constant, and no key that says nothing."""
    return _said(scenario, scenario.model_dump(mode="json"))


def _said(part: object, data: Any) -> Any:
    """`data`, to which `part` was dumped, without keys of ours that hold null. In what is not ours, as the options of a
    world, null is a value."""
    if isinstance(part, BaseModel):
        return {name: _said(getattr(part, name), value) for name, value in data.items() if value is not None}
    if isinstance(part, Mapping):
        return {key: _said(inner, data[key]) for key, inner in part.items()}
    return [_said(*pair) for pair in zip(part, data, strict=True)] if isinstance(part, list) else data
