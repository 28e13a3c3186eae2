"""What the JSON files of a checkpoint, and summary.json, have to hold: names and kinds of values.

A digest says that a file is as it was written, and not by whom. So whoever reads one asks here first, and never meets
a list in the place of an object, or a text in the place of a number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .counters import AXES, Progress, StageResult

_SHOWN = 60  # characters of a value
_PROGRESS_FILE, _LEARNER_FILE = "progress.json", "learner/learner.json"
NEEDED = (_PROGRESS_FILE, "actor.safetensors")  # in every checkpoint


class Misformed(Exception):
    """A value is not of the kind that it has to be; the message says which, and what it has to be."""


@dataclass(frozen=True)
class _Kind:
    """What a value has to be, in words, and whether it is."""

    words: str
    holds: Callable[[Any], bool]

    @property
    def or_null(self) -> _Kind:
        """The same, or null."""
        return _Kind(f"{self.words} or null", lambda x: x is None or self.holds(x))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_table(value: Any, holds: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(map(holds, value.values()))


_COUNT = _Kind("a whole number from 0", lambda x: type(x) is int and x >= 0)
_POSITIVE = _Kind("a whole number from 1", lambda x: type(x) is int and x >= 1)
_NUMBER = _Kind("a number from 0", lambda x: _is_number(x) and x >= 0)
_TEXT = _Kind("a text", lambda x: isinstance(x, str))
_FLAG = _Kind("true or false", lambda x: isinstance(x, bool))
_LIST = _Kind("a list", lambda x: isinstance(x, list))
_OBJECT = _Kind("an object", lambda x: isinstance(x, dict))
_RANK = _Kind("a list of two numbers", lambda x: isinstance(x, list) and len(x) == 2 and all(map(_is_number, x)))
_NUMBERS = _Kind("numbers by name", lambda x: _is_table(x, lambda one: one is None or _is_number(one)))
_COUNTS = _Kind("whole numbers by name", lambda x: _is_table(x, _COUNT.holds))
_STATE = _Kind("new, learning or done", lambda x: x in ("new", "learning", "done"))
_SYMMETRY = _Kind("critic", lambda x: x == "critic")
_NAMES = _Kind("a list of texts", lambda x: isinstance(x, list) and all(isinstance(one, str) for one in x))
_OBJECTS = _Kind("a list of objects", lambda x: isinstance(x, list) and all(isinstance(one, dict) for one in x))

_COUNTED = dict.fromkeys(("stage", *AXES, "episodes", "failed", "unanswered"), _COUNT)
_PROGRESS: dict[str, _Kind] = {
    **_COUNTED,
    "state": _STATE,
    "seconds": _NUMBER,
    "best": _RANK.or_null,
    "best_at": _COUNT.or_null,
    "told": _NAMES,
    "looked": _FLAG,
    "begun": _NUMBERS,
    "before": _NUMBERS,
    "latest": _NUMBERS.or_null,
    "first_failure": _TEXT.or_null,
    "first_row": _NUMBERS,
    "streaks": _COUNTS,
    "warnings": _OBJECTS,
    "results": _OBJECTS,
}
assert set(_PROGRESS) == {field.name for field in fields(Progress)}
_RESULT: dict[str, _Kind] = {
    "name": _TEXT,
    "method": _TEXT.or_null,
    "ended_by": _TEXT,
    "before": _NUMBERS,
    "after": _NUMBERS,
    **dict.fromkeys(("updates", "episodes", "failed"), _COUNT),
    "seconds": _NUMBER.or_null,
}
assert set(_RESULT) == {field.name for field in fields(StageResult)}
_WARNING = {"stage": _TEXT, "update": _COUNT, "sign": _TEXT, "text": _TEXT}
_BEGUN: dict[str, _Kind] = dict.fromkeys((*AXES, "episodes", "failed", "seconds"), _NUMBER)
_KNOWN = {"logs": _OBJECT, "scenario": _OBJECT, "session": _OBJECT, "scored_by": _TEXT}
_LOG = {"rows": _COUNT, "bytes": _COUNT, "sha256": _TEXT}
_SESSION = {"packages": _OBJECT, "code": _OBJECT, "data": _OBJECT, "cwd": _TEXT, "command": _LIST}
_LEARNER = {
    "version": _COUNT,
    "lr": _NUMBER,
    "method": _TEXT,
    "micro_batch": _POSITIVE.or_null,
    "beta": _NUMBER,
    "entropy_coefficient": _NUMBER,
    "entropy_counts": _FLAG,
}
_POLICY = {  # by the file's name, wherever it lies
    "policy.json": {
        "observation_size": _COUNT,
        "pictures": _LIST,
        "symmetry": _SYMMETRY.or_null,
        "action": _TEXT,
        "action_size": _COUNT,
        "choices": _LIST,
        "action_units": _LIST.or_null,
        "hidden": _LIST,
        "critic": _FLAG,
        "memory": _POSITIVE.or_null,
    },
    "config.json": {"model_type": _TEXT},
    "tokenizer.json": {"model": _OBJECT},
    "adapter_config.json": {"peft_type": _TEXT, "r": _POSITIVE},
}
_SUMMARY = {
    **dict.fromkeys(("scenario", "status", "scored_by", "device"), _TEXT),
    **dict.fromkeys(("seed", "updates", "env_steps", "action_units", "episodes", "failed_episodes"), _COUNT),
    "wall_s": _NUMBER,
    "warnings": _OBJECTS,
    "stages": _OBJECTS,
}
_APART = ("before", "after", "seconds")  # two stand under "evaluation"; the third older runs do not have
_STAGE = {**{name: kind for name, kind in _RESULT.items() if name not in _APART}, "evaluation": _OBJECT}


def find_misformed(folder: Path, name: str) -> str | None:
    """What is wrong with the form of the JSON file `name` of a checkpoint, `progress.json has no 'update'`; None if
    nothing is, or if it is no file whose form is ours."""
    try:
        data = json.loads((folder / name).read_bytes())
        if not isinstance(data, dict):
            raise Misformed(f"is {_shown(data)}, and not an object")
        if name == _PROGRESS_FILE:
            _check_progress(data)
        elif name == _LEARNER_FILE:
            _check(data, _LEARNER)
            _check_learner(folder, data)
        else:
            _check(data, _POLICY.get(Path(name).name, {}))
    except RecursionError:
        return f"{name} is nested too deeply"
    except (ValueError, OSError) as problem:
        return f"{name} is no JSON ({problem})"
    except Misformed as problem:
        return f"{name} {problem}"
    return None


def find_lacking(folder: Path, expected: Mapping[str, object]) -> str | None:
    """A file that a manifest should name and does not, where its checkpoint lies in `folder`."""
    needed, progress = list(NEEDED), json.loads((folder / _PROGRESS_FILE).read_bytes())
    if progress["state"] == "learning":
        needed += [_LEARNER_FILE, "learner/optimizer.safetensors", *_still_to_act(progress), *_seen(progress)]
    return next((name for name in needed if name not in expected), None)


def _still_to_act(progress: Mapping[str, Any]) -> list[str]:
    """The files of the earlier weights by which a stage that collects ahead goes on."""
    try:
        staleness = int(progress["known"]["scenario"]["stages"][progress["stage"]]["collect"]["staleness"])
        version = progress["update"] - int(progress["begun"]["update"])
    except (TypeError, KeyError, IndexError, ValueError):  # another version wrote it, or it is said of progress.json
        return []
    return [f"ahead/{older:06d}.safetensors" for older in range(max(0, version - staleness), version)]


def _seen(progress: Mapping[str, Any]) -> list[str]:
    """The file by which a stage with a curriculum goes on."""
    try:
        asked = progress["known"]["scenario"]["stages"][progress["stage"]]["collect"]["curriculum"]
    except (TypeError, KeyError, IndexError):  # as above
        return []
    return [] if asked is None else ["curriculum.safetensors"]


def check_summary(data: Mapping[str, Any]) -> None:
    """Misformed where `data` is not what summary.json has to hold."""
    _check(data, _SUMMARY)
    for stage in data["stages"]:
        _check(stage, _STAGE, "stages")
        _check(stage["evaluation"], {"before": _NUMBERS, "after": _NUMBERS}, "stages.evaluation")
    for warning in data["warnings"]:
        _check(warning, _WARNING, "warnings")


def _check_progress(data: Mapping[str, Any]) -> None:
    _check({"told": [], **data}, {**_PROGRESS, "known": _OBJECT})  # `told` is found out where it is not said
    for result in data["results"]:
        _check({"seconds": None, **result}, _RESULT, "results")
        if unknown := set(result) - set(_RESULT):
            raise Misformed(f"has results.{min(unknown)}, which no run writes")
    for warning in data["warnings"]:
        _check(warning, _WARNING, "warnings")
    if unknown := set(data) - {*_PROGRESS, "known"}:
        raise Misformed(f"has {min(unknown)!r}, which no run writes")
    if data["state"] != "new":
        _check(data["begun"], _BEGUN, "begun")
    if data["latest"] is not None:
        _check(data["latest"], {"update": _COUNT}, "latest")
    known = data["known"]
    _check(known, _KNOWN, "known")
    _check(known["session"], _SESSION, "known.session")
    for name, log in known["logs"].items():
        _check(log, _LOG, f"known.logs.{name}")
        if unknown := set(log) - set(_LOG):
            raise Misformed(f"has known.logs.{name}.{min(unknown)}, which no run writes")
    stages = known["scenario"].get("stages")
    if isinstance(stages, list) and not data["stage"] < len(stages):
        raise Misformed(f"has stage {data['stage']}, and its scenario has {len(stages)} stages, counted from 0")


def _check_learner(folder: Path, data: Mapping[str, Any]) -> None:
    """Misformed where the counters of a learner are of another moment, or of another stage, than the progress."""
    progress = json.loads((folder / _PROGRESS_FILE).read_bytes())
    try:
        stage = progress["known"]["scenario"]["stages"][progress["stage"]]
        method, updates = stage["method"], progress["update"] - int(progress["begun"]["update"])
    except (TypeError, KeyError, IndexError):  # it is said of progress.json
        return
    if isinstance(method, str) and data["method"] != method:
        raise Misformed(f"has method {data['method']!r}, and the stage of progress.json has {method!r}")
    if data["version"] != updates:
        raise Misformed(f"has version {data['version']}, and by progress.json its stage has made {updates} updates")


def _check(data: Any, kinds: Mapping[str, _Kind], where: str = "") -> None:
    if not isinstance(data, Mapping):
        raise Misformed(f"has {_shown(data)} as {where}, and not an object")
    prefix = f"{where}." if where else ""
    for name, kind in kinds.items():
        if name not in data:
            raise Misformed(f"has no {f'{prefix}{name}'!r}")
        if not kind.holds(data[name]):
            raise Misformed(f"has {_shown(data[name])} as {f'{prefix}{name}'!r}, and not {kind.words}")


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
