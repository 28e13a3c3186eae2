"""The episodes that a run kept, read back from `episodes/NAME.jsonl`. A damaged file ends in a sentence with the line.

The files may come from a stranger, so every value that is used later is checked for its type and its range here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...envs.errors import UserError
from ...envs.vocabulary import Episode, StopReason
from ...envs.wrong_values import Slot, wrong_value
from .logs import KEPT, read_jsonl
from .noticed import notice

SPLITS = ("train", "test", "validation")  # the first that was kept is shown
MAX_BYTES = 2**30  # of a file
_Count = Annotated[int, Field(ge=0, lt=2**63)]
_Seed = Annotated[int, Field(ge=0, lt=2**64)]
_Number = float | None  # what was not finite is written as null
_Token = Annotated[int, Field(ge=0, lt=2**31)]


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Open(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class _Function(_Open):
    name: str
    arguments: dict[str, Any]


class _ToolCall(_Open):
    function: _Function
    id: str = ""


class _Message(_Open):
    role: str
    content: str
    name: str = ""
    tool_calls: list[_ToolCall] = []
    reasoning_content: str = ""
    written: str = ""
    parse_error: str = ""


class _Sequence(_Checked):
    tokens: list[_Token] = []
    mask: list[bool] = []
    behavior_logp: list[_Number] = []

    @model_validator(mode="after")
    def _of_one_length(self) -> Self:
        if not len(self.tokens) == len(self.mask) == len(self.behavior_logp):
            raise ValueError("tokens, mask and behavior_logp are not of one length")
        return self


class _Row(_Sequence):
    group: _Count
    index: _Count
    seed: _Seed
    version: _Count
    split: Literal["train", "test", "validation"]
    reward: _Number
    reward_terms: dict[str, _Number] = {}
    turns: _Count = 0
    units: _Count = 0
    terminated: bool = False
    truncated: bool = False
    success: bool | float | None = None
    stop_reason: str = StopReason.STOP.value
    failure: str | None = None
    unanswered: str | None = None
    unscored: str | None = None
    left_out: str | None = None
    world: str = ""
    scored_by: str = ""
    task: str = ""
    messages: list[_Message] = []
    turn_rewards: list[_Number] = []
    earlier: list[_Sequence] = []
    actions: list[Any] | None = None
    metrics: dict[str, _Number] = {}
    learned: list[dict[str, list[_Number]]] = []

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        lengths = [len(one.tokens) for one in self.earlier] + [len(self.tokens)]
        for column in ("learned",) if self.learned else ():
            if len(self.learned) != len(lengths):
                raise ValueError(f"{column} tells of {len(self.learned)} sequences, and there are {len(lengths)}")
        for numbers, length in zip(self.learned, lengths, strict=False):
            if any(len(values) not in (0, length) for values in numbers.values()):
                raise ValueError("learned and tokens are not of one length")
        if self.stop_reason not in list(StopReason):
            raise ValueError(f"there is no stop_reason {self.stop_reason!r}")
        return self


def kept_files(episodes: Path) -> dict[tuple[int, str], Path]:
    """Every file of kept episodes in a run's folder, by update and split, in that order."""
    found: dict[tuple[int, str], Path] = {}
    for file in episodes.glob("*-*.jsonl"):
        number, _, split = file.stem.partition("-")
        if number.isascii() and number.isdigit() and split in SPLITS:
            found[int(number), split] = file
    return dict(sorted(found.items()))


def read_episodes(file: Path) -> list[Episode]:
    """Every episode of a file. UserError, with the number of the line, for what is none."""
    return [_episode(row, where) for where, row in _rows(file)]


def read_episode(file: Path, place: int) -> tuple[Episode | None, int]:
    """The `place`-th episode of a file, None where it has none, and how many it has. Of a file that is as it was
    written no other one is parsed; of another, all are, with a notice and the errors of `read_episodes`."""
    written = _written(file, read_jsonl(file.parent.parent / KEPT)[0])
    if written is None or _damage(file, written):
        episodes = read_episodes(file)
        found, count = episodes[place] if place < len(episodes) else None, len(episodes)
    else:
        lines = list(_lines(file))
        found = _episode(_parsed(*lines[place]), lines[place][0]) if place < len(lines) else None
        count = len(lines)
    notice_damage(file, count)
    return found, count


def _rows(file: Path) -> Iterator[tuple[str, Any]]:
    for where, line in _lines(file):
        yield where, _parsed(where, line)


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    """Every line of a file that is not empty, and where it stands."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise UserError(f"{file} has more than {MAX_BYTES >> 30} GiB; kept episodes are for reading")
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as problem:
        raise UserError(f"{file} cannot be read: {problem}") from problem
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{file}, line {number}", line


def _parsed(where: str, line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as problem:
        raise UserError(f"{where} is no episode: {problem}") from problem


def _episode(row: object, where: str) -> Episode:
    """What `episode_row` wrote."""
    try:
        checked = _Row.model_validate(row)
    except ValidationError as problem:
        raise UserError(f"{where} is no episode: {_said(problem)}") from problem
    given: dict[str, Any] = checked.model_dump(exclude={"stop_reason", "messages"})
    given |= {name: tuple(value) for name, value in given.items() if isinstance(value, list) and name != "actions"}
    messages = tuple(_message(message) for message in checked.messages)
    return Episode(**given, stop_reason=StopReason(checked.stop_reason), messages=messages)


def _said(problem: ValidationError) -> str:
    """The first thing that is wrong with a row."""
    first = problem.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    match first["type"]:
        case "missing":
            return f"it has no {place!r}"
        case "extra_forbidden":
            return f"it has {place!r}, which no run writes"
        case "value_error":
            return str(first.get("ctx", {})["error"])
    return f"{place or 'the row'} {wrong_value(first, Slot())}"


def _message(message: _Message) -> Any:
    return message.model_dump(exclude_unset=True)


def damaged_files(run: Path) -> list[str]:
    """What is wrong with the files of kept episodes, in a sentence or two: a run may have thousands of them."""
    rows, _ = read_jsonl(run / KEPT)
    listed = {str(row.get("file")): row for row in rows}
    problems = [
        problem for name, row in listed.items() if (problem := _damage(run / "episodes" / Path(name).name, row))
    ]
    if not problems:
        return []
    more = f" (and {len(problems) - 1} more files of kept episodes)" if problems[1:] else ""
    return [f"{problems[0]}{more}; episodes are kept for reading, and the run goes on"]


def _counted(episodes: int) -> str:
    return f"{episodes} episode{'s' * (episodes != 1)} that can be read"


def _damage(file: Path, written: dict[str, Any]) -> str | None:
    """What is wrong with a file, by what the manifest says was written there."""
    try:
        found = file.read_bytes()
    except OSError as problem:
        return f"{file} is missing" if isinstance(problem, FileNotFoundError) else f"{file} cannot be read: {problem}"
    if len(found) != written.get("bytes"):
        return f"{file} is damaged: it has {len(found)} bytes instead of {written.get('bytes')}"
    if hashlib.sha256(found).hexdigest() != written.get("sha256"):
        return f"{file} is damaged: its contents have changed"
    return None


def _written(file: Path, rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """What the manifest's `rows` say was written last into a file."""
    return next((row for row in reversed(rows) if row.get("file") == file.name), None)


def notice_damage(file: Path, shown: int) -> None:
    """Say what is wrong with a file of which `shown` episodes can be read, and whether one that was kept after it, or
    beside it, is missing."""
    rows, _ = read_jsonl(file.parent.parent / KEPT)
    written = _written(file, rows)
    if written is not None and (damage := _damage(file, written)):
        notice(f"{damage}; it has {_counted(shown)}, and {written.get('episodes')} were kept")
    names = dict.fromkeys(str(row.get("file")) for row in rows)
    later = [name for name in names if name[:6] >= file.name[:6] and not (file.parent / Path(name).name).exists()]
    if later:
        more = f" (and {len(later) - 1} more)" if later[1:] else ""
        notice(f"{file.parent / later[-1]} is missing{more}; shown is {file.name}")
