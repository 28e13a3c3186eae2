"""From YAML text, `--set` flags and shipped names to a checked `Scenario`.

Every error gives the place (file and line, or the flag), the value, what is allowed, and the nearest name.
YAML is read by the safe loader alone, with two repairs: `3e-4` is a number, and a key given twice is an
error. Anchors and merges work as in any YAML, up to a size after expansion; includes and templating were left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
import yaml.reader
from pydantic import ValidationError
from yaml.constructor import ConstructorError

from ...envs.errors import UserError
from ...envs.named_objects import keep_to_folder
from ..cluster.shares import fitting_tile
from .mistakes import explain, listed
from .schema import Scenario

FOLDER = Path(__file__).parents[1]
Path_ = tuple[str | int, ...]
MOST_SHOWN = 10  # mistakes that are told at once
MOST_TEXT = 1 << 20  # characters of a scenario
MOST_NODES = 50_000  # keys and values of a scenario, aliases written out
MOST_DEPTH = 64


class _Loader(yaml.SafeLoader):
    """The safe loader with YAML 1.2's numbers: 1.1 reads 3e-4 as text, 1:30 as ninety, and makes dates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rsplit(":", 1)[1] not in ("float", "int", "timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.[0-9]+[eE][-+]?[0-9]+)$"),
    list("-+0123456789."),
)


def _number(kind: Callable[[str], int | float]) -> Callable[[_Loader, yaml.ScalarNode], int | float]:
    """Reads a number; one that cannot be read is a mistake in the YAML, at its line."""

    def construct(_: _Loader, node: yaml.ScalarNode) -> int | float:
        try:
            return kind(node.value)
        except ValueError:
            shown = f"{node.value!r:.40} is not a number that can be read"
            raise ConstructorError(None, None, shown, node.start_mark) from None

    return construct


_Loader.add_constructor("tag:yaml.org,2002:int", _number(int))
_Loader.add_constructor("tag:yaml.org,2002:float", _number(float))


@dataclass
class Source:
    """Where each key of a scenario was written."""

    name: str
    places: dict[Path_, str] = field(default_factory=dict)

    def place(self, path: Path_) -> str:
        """The place of `path`, or of the nearest thing around it."""
        for length in range(len(path), -1, -1):
            here = path[:length]
            if here in self.places:
                return self.places[here]
            inside = [place for known, place in self.places.items() if here and known[:length] == here]
            if inside:  # a flag that put something below a key that was not there
                return inside[0]
        return self.name


def shipped() -> dict[str, Path]:
    """The scenarios that come with the package, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def find_scenario(name: str) -> Path:
    """The file of a shipped name or of a path. UserError names the nearest."""
    names = shipped()
    if name in names:
        return names[name]
    path = Path(name)
    with suppress(OSError):  # a name that no file can have
        if path.is_file():
            return path
    if path.suffix in (".yaml", ".yml") or "/" in name:
        raise UserError(f"there is no scenario file {name!r}; shipped scenarios are {listed(path.stem, names)}")
    raise UserError(f"there is no scenario {name!r}; shipped scenarios are {listed(name, names)}")


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
        return [Path.cwd()]
    recorded = path.name == "scenario.yaml" and (path.parent / "command.txt").is_file()
    return [path.parent, Path.cwd()] if recorded else [path.parent]


def read_yaml(path: Path) -> tuple[dict[str, Any], Source]:
    """The mapping in a YAML file, and where each key stands. UserError for text that is not such a file."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MOST_TEXT + 1)
    except (OSError, UnicodeDecodeError) as problem:
        raise UserError(f"{path}: cannot be read: {problem}") from problem
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> tuple[dict[str, Any], Source]:
    """As `read_yaml`, from text."""
    source = Source(name)
    if len(text) > MOST_TEXT:
        raise UserError(f"{name}: a scenario has at most {MOST_TEXT:,} characters")
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as problem:
        line = text.count("\n", 0, problem.position) + 1
        raise UserError(f"{name}, line {line}: not valid YAML: {problem.reason} ({problem.character!r})") from problem
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise UserError(f"{name}: a scenario is a mapping of keys to values")
        _bound(node, name)
        _note_places(node, (), source)
        return loader.construct_document(node), source
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f"{name}, line {mark.line + 1}" if mark else name
        raise UserError(f"{where}: not valid YAML: {getattr(problem, 'problem', problem)}") from problem
    except RecursionError:
        raise UserError(f"{name}: something is nested too deeply, or contains itself") from None
    finally:
        loader.dispose()


def _bound(node: yaml.Node, name: str) -> None:
    """UserError where a document is larger or deeper, with its aliases written out, than any scenario."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node, depth: int) -> int:
        if depth > MOST_DEPTH:
            raise UserError(f"{name}: something is nested too deeply, or contains itself")
        if id(node) not in sizes:
            value = node.value
            parts = [part for pair in value for part in pair] if isinstance(node, yaml.MappingNode) else value
            inside = () if isinstance(node, yaml.ScalarNode) else parts
            sizes[id(node)] = 1 + sum(size(part, depth + 1) for part in inside)
        return sizes[id(node)]

    if size(node, 0) > MOST_NODES:
        raise UserError(f"{name}: with its aliases written out it has more than {MOST_NODES:,} keys and values")


def _note_places(node: yaml.Node, path: Path_, source: Source) -> None:
    source.places.setdefault(path, f"{source.name}, line {node.start_mark.line + 1}")
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            place = f"{source.name}, line {key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode):
                raise UserError(f"{place}: a key must be a word, not a list or a mapping")
            if key.value in seen:
                raise UserError(f"{place}: the key {key.value!r} stands here for the second time")
            seen.add(key.value)
            source.places[(*path, key.value)] = place
            _note_places(value, (*path, key.value), source)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _note_places(item, (*path, index), source)


def apply_sets(data: Mapping[str, Any], sets: Sequence[str], source: Source) -> dict[str, Any]:
    """`data` with each `a.b=value` put in; list items are named by number or by their `name`."""
    result = dict(data)
    for text in sets:
        flag = f"--set {text}"
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UserError(f"{flag}: the form is --set key.subkey=value")
        parsed = _parse_value(value, flag)
        path = tuple(key.strip().split("."))
        result, where = _put(result, path, parsed, flag)
        source.places = {known: at for known, at in source.places.items() if known[: len(where)] != where}
        source.places[where] = flag
    return result


def _parse_value(value: str, flag: str) -> Any:
    """A flag's value. UserError if it is not YAML, or too large."""
    if len(value) > MOST_TEXT:
        raise UserError(f"{flag:.80}: the value has more than {MOST_TEXT:,} characters")
    try:
        loader = _Loader(value)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _bound(node, flag)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except (yaml.YAMLError, RecursionError) as problem:
        raise UserError(f"{flag}: the value {value!r} is not valid YAML") from problem


def put(data: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """`data` with `value` at the dotted `key`."""
    return _put(dict(data), tuple(key.split(".")), value, key)[0]


def _put(data: Any, path: tuple[str, ...], value: Any, flag: str) -> tuple[Any, Path_]:
    """A copy of `data` with `value` at `path`, and the path with list items as numbers."""
    head, rest = path[0], path[1:]
    if isinstance(data, list):
        index = _list_index(data, head, flag)
        item, below = _put(data[index], rest, value, flag) if rest else (value, ())
        return [*data[:index], item, *data[index + 1 :]], (index, *below)
    if data is not None and not isinstance(data, Mapping):
        raise UserError(f"{flag}: there is no {head!r} in {data!r}, which is a single value")
    known = dict(data or {})
    item, below = _put(known.get(head), rest, value, flag) if rest else (value, ())
    return {**known, head: item}, (head, *below)


def _list_index(items: list[Any], head: str, flag: str) -> int:
    names = [str(item["name"]) for item in items if isinstance(item, Mapping) and "name" in item]
    if re.fullmatch(r"-?\d+", head) and -len(items) <= int(head) < len(items):
        return int(head) % len(items)
    if head in names:
        return names.index(head)
    allowed = [*names, *(str(number) for number in range(len(items)))]
    raise UserError(f"{flag}: no item {head!r}; items are {listed(head, allowed)}")


def check_scenario(data: Mapping[str, Any], source: Source) -> Scenario:
    """The scenario that `data` says. UserError lists every problem, one a line."""
    data = _with_origin(data, source)
    try:
        return _with_tiles(Scenario.model_validate(data))
    except ValidationError as problem:
        lines = [f"{source.place(path)}: {text}" for path, text in explain(problem, data)]
        more = [f"and {len(lines) - MOST_SHOWN} more"] if len(lines) > MOST_SHOWN else []
        raise UserError("\n".join([*lines[:MOST_SHOWN], *more])) from problem


def _with_origin(data: Mapping[str, Any], source: Source) -> Mapping[str, Any]:
    """`agent: {from: RUN, checkpoint: best}` spelled out: the agent of that run, and where it is from."""
    agent = data.get("agent")
    if not isinstance(agent, Mapping) or "from" not in agent:
        return data
    place = source.place(("agent", "from"))
    others = [key for key in agent if key not in ("from", "checkpoint")]
    if others:
        raise UserError(
            f"{place}: an agent from a run is as that run made it; {others[0]!r} cannot be given beside `from`"
        )
    path = Path(str(agent["from"])).expanduser()
    if not (path / "scenario.yaml").is_file():
        raise UserError(f"{place}: {path} is not a run directory: it holds no scenario.yaml")
    theirs = read_yaml(path / "scenario.yaml")[0].get("agent")
    if not isinstance(theirs, Mapping) or theirs.get("kind") not in ("mlp", "tiny_llama", "causal_lm"):
        raise UserError(f"{place}: the run {path} has no agent that learns")
    origin = {"run": str(path), "checkpoint": str(agent.get("checkpoint", "best"))}
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
    return yaml.safe_dump(dump_data(scenario), sort_keys=False, allow_unicode=True)


def dump_data(scenario: Scenario) -> dict[str, Any]:
    """The resolved scenario as the mapping that such a file holds."""
    return scenario.model_dump(mode="json", exclude_none=True)
