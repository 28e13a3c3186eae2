"""From the bytes of a file to a mapping, and where each key of it stands.

YAML is read by the safe loader alone, with two repairs: `3e-4` is a number, and a key given twice is an error. Anchors
and merges work as in any YAML, up to a size after expansion; includes and templating were left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
import yaml.reader
from yaml.constructor import ConstructorError

from ...envs.errors import UserError
from .yaml_slips import explain_slip, first_stranger, stranger_in

Path_ = tuple[str | int, ...]
MOST_TEXT = 1 << 20  # characters of a scenario
MOST_NODES = 50_000  # keys and values of a scenario, aliases written out
MOST_DEPTH = 64
BEGIN = "a scenario begins with `name:`, `world:`, `agent:` and `stages:`; `peripatos list scenarios` names whole ones"
FREE_TEXT = (("description",), ("world", "options"), ("worlds",), ("variants",))  # where any character may be meant
_DIGITS = r"[0-9]+(?:_[0-9]+)*"


class _Loader(yaml.SafeLoader):
    """The safe loader with YAML 1.2's numbers: 1.1 reads 3e-4 as text, 1:30 as ninety, and makes dates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rsplit(":", 1)[1] not in ("float", "int", "timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(rf"[-+]?{_DIGITS}$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        rf"[-+]?(\.{_DIGITS}|{_DIGITS}\.[0-9]*([eE][-+]?[0-9]+)?|{_DIGITS}[eE][-+]?[0-9]+"
        r"|\.[0-9]+[eE][-+]?[0-9]+)$"
    ),
    list("-+0123456789."),
)


class _Dumper(yaml.SafeDumper):
    """The safe dumper, which puts quotes around texts that `_Loader` would read as numbers, such as 1e3."""


_OF_BOTH = (yaml.SafeDumper.yaml_implicit_resolvers, _Loader.yaml_implicit_resolvers)
_Dumper.yaml_implicit_resolvers = {
    first: [one for resolvers in _OF_BOTH for one in resolvers.get(first, [])] for first in (_OF_BOTH[0] | _OF_BOTH[1])
}


def write_yaml(data: Any, *, width: int = 80) -> str:
    """`data` as YAML that `parse_yaml` reads as the same, in lines of about `width` characters."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=width)


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
    recorded: bool = False  # it is what a run has resolved and written down

    def is_line(self, place: str) -> bool:
        """Whether a place is in the file, and no flag."""
        return place.startswith(f"{self.name}, line ")

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


def read_yaml(path: Path) -> tuple[dict[str, Any], Source]:
    """The mapping in a YAML file, and where each key stands. UserError for text that is not such a file."""
    try:
        with path.open("rb") as file:
            raw = file.read(4 * MOST_TEXT + 4)
    except OSError as problem:
        raise UserError(f"{path}: cannot be read: {problem.strerror}") from problem
    data, source = parse_yaml(_decode(raw, path), str(path))
    source.recorded = is_record(path)
    return data, source


def is_record(path: Path) -> bool:
    """Whether a file is the scenario of a run, as its folder holds it."""
    return path.name == "scenario.yaml" and (path.parent / "command.txt").is_file()


def _decode(raw: bytes, path: Path) -> str:
    """The text of a file. UserError that says what the bytes are instead."""
    every_second = max(raw[:64:2].count(0), raw[1:64:2].count(0))  # zeros of wide letters, with no mark before them
    if raw.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")) or every_second > 0.8 * len(raw[:64:2]) > 4:
        raise UserError(f"{path}: the file is UTF-16 or UTF-32 text; save it as UTF-8")
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as problem:
        before = raw[: problem.start].decode("utf-8")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        byte = raw[problem.start]
        if b"\0" in raw:
            raise UserError(f"{path}: this is no text file, and a scenario is YAML saved as UTF-8") from None
        meant = bytes([byte]).decode("cp1252", "replace")
        raise UserError(
            f"{path}, line {line}, column {column}: the byte 0x{byte:02x} is not UTF-8 (in Latin-1 and Windows-1252 it "
            f"is {meant!r}); save the file as UTF-8"
        ) from None


def parse_yaml(text: str, name: str) -> tuple[dict[str, Any], Source]:
    """As `read_yaml`, from text."""
    source = Source(name)
    if len(text) > MOST_TEXT:
        raise UserError(f"{name}: a scenario has at most {MOST_TEXT:,} characters")
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as problem:
        raise UserError(_unreadable(text, name, problem.position)) from problem
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise UserError(_no_mapping(node, name))
        _bound(node, name)
        _note_places(node, (), source)
        return loader.construct_document(node), source
    except yaml.YAMLError as problem:
        line, column, words = explain_slip(problem, text)
        raise UserError(f"{name}, line {line}, column {column}: not valid YAML: {words}") from problem
    except RecursionError:
        raise UserError(f"{name}: something is nested too deeply, or contains itself") from None
    finally:
        loader.dispose()


def parse_value(value: str, flag: str, path: Path_) -> Any:
    """The value of a flag for `path`. UserError if it is not YAML, or too large."""
    if len(value) > MOST_TEXT:
        raise UserError(f"{flag:.80}: the value has more than {MOST_TEXT:,} characters")
    try:
        loader = _Loader(value)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _bound(node, flag)
            _note_places(node, path, Source(flag))
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as problem:
        raise UserError(f"{flag}: the value {value!r} holds {stranger_in(value[problem.position])}") from problem
    except RecursionError as problem:
        raise UserError(f"{flag}: the value {value!r:.80} is nested too deeply") from problem
    except yaml.YAMLError as problem:
        words = explain_slip(problem, value)[2]
        raise UserError(f"{flag}: the value {value!r} is not valid YAML: {words}") from problem


def _unreadable(text: str, name: str, position: int) -> str:
    line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
    if text.count("\0") > 3:
        return f"{name}: this is no text file, and a scenario is YAML saved as UTF-8"
    return f"{name}, line {line}, column {column}: not valid YAML: here stands {stranger_in(text[position])}"


def _no_mapping(node: yaml.Node | None, name: str) -> str:
    if node is None:
        return f"{name}: the file is empty; {BEGIN}"
    place = f"{name}, line {node.start_mark.line + 1}, column {node.start_mark.column + 1}"
    if isinstance(node, yaml.SequenceNode):
        return f"{place}: here begins a list, and a scenario is a mapping of keys to values; {BEGIN}"
    shown = str(node.value).split("\n")[0]
    return f"{place}: {shown!r:.60} is text, and a scenario is a mapping of keys to values; {BEGIN}"


def _bound(node: yaml.Node, name: str) -> None:
    """UserError where a document is larger or deeper, with its aliases written out, than any scenario."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node, depth: int) -> int:
        if depth > MOST_DEPTH:
            line = node.start_mark.line + 1
            raise UserError(f"{name}, line {line}: something is nested too deeply, or contains itself")
        if id(node) not in sizes:
            value = node.value
            parts = [part for pair in value for part in pair] if isinstance(node, yaml.MappingNode) else value
            inside = () if isinstance(node, yaml.ScalarNode) else parts
            sizes[id(node)] = 1 + sum(size(part, depth + 1) for part in inside)
        return sizes[id(node)]

    if size(node, 0) > MOST_NODES:
        raise UserError(f"{name}: with its aliases written out it has more than {MOST_NODES:,} keys and values")


def _note_places(node: yaml.Node, path: Path_, source: Source) -> None:
    """Write down where everything stands. UserError for keys that stand twice, and characters that nobody sees."""
    source.places.setdefault(path, _place(source.name, node.start_mark))
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        before: yaml.Node | None = None
        for key, value in node.value:
            place = _place(source.name, key.start_mark)
            if not isinstance(key, yaml.ScalarNode):
                raise UserError(f"{place}: a key must be a word, not a list or a mapping")
            if _is_after_comma(before, key, value):
                assert isinstance(before, yaml.ScalarNode)
                meant = f"{before.value},{key.value} is cut at its comma; write {before.value}.{key.value}"
                raise UserError(f"{_place(source.name, before.start_mark)}: {meant}")
            before = value
            _refuse_strangers(key, (), source.name)
            if key.value in seen and key.value != "<<":
                again = f"the key {key.value!r} stands here for the second time; the first is in line {seen[key.value]}"
                raise UserError(f"{place}: {again}")
            seen[key.value] = key.start_mark.line + 1
            source.places[(*path, key.value)] = place
            _note_places(value, (*path, key.value), source)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _note_places(item, (*path, index), source)
    elif isinstance(node, yaml.ScalarNode):
        _refuse_strangers(node, path, source.name)


def _is_after_comma(before: yaml.Node | None, key: yaml.ScalarNode, value: yaml.Node) -> bool:
    """Whether a key within braces is the rest of a number with a comma: `{lr: 0,001}`."""
    digits = isinstance(before, yaml.ScalarNode) and re.fullmatch(r"[-+]?\d+", before.value)
    return bool(digits and re.fullmatch(r"\d+([eE][-+]?\d+)?", key.value) and value.value == "")


def _place(name: str, mark: yaml.Mark) -> str:
    return f"{name}, line {mark.line + 1}, column {mark.column + 1}"


def _refuse_strangers(node: yaml.ScalarNode, path: Path_, name: str) -> None:
    """UserError where a word begins or ends with a character that nobody sees or means, or holds one where the words
    are ours."""
    found = first_stranger(node.value, everywhere=not any(path[: len(free)] == free for free in FREE_TEXT))
    if found is None:
        return
    mark = node.start_mark
    place = f"{name}, line {mark.line + 1}, column {mark.column + 1 + found + (node.style is not None)}"
    raise UserError(f"{place}: {node.value!r:.60} holds {stranger_in(node.value[found])}")
