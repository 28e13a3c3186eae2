"""Where a run stands: the newest checkpoint that is whole and whose logs are whole, and what is wrong with the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...envs.errors import UserError
from ..config.loading import check_scenario
from ..config.schema import Scenario
from ..config.yaml_text import Source, read_yaml
from .checkpoint import BadCheckpoint, checkpoints, last_good, read_progress, verify
from .compared import differences
from .counters import Progress
from .logs import LOGS, KnownLog, find_damage, read_jsonl, without_doubles
from .noticed import notice
from .run_directory import RunDirectory


@dataclass(frozen=True)
class Standing:
    """A whole checkpoint, and what it knows of its run."""

    folder: Path
    progress: Progress
    known: Mapping[str, Any]  # logs, scenario, session: see `RunContext.known`
    problems: tuple[str, ...] = ()  # of what is newer, in sentences
    broken: Mapping[str, str] = field(default_factory=dict)  # what is wrong with logs, where no other knows less

    @property
    def scenario(self) -> Scenario | None:
        """By which the checkpoint was made; None where another version wrote it, whose words this one does not know."""
        try:
            return check_scenario(self.known["scenario"], Source(str(self.folder)))
        except (UserError, KeyError):
            return None


def read_standing(folder: Path) -> Standing:
    """What a checkpoint that is whole says."""
    data = read_progress(folder)
    known = data.pop("known", {})
    return Standing(folder, Progress.from_json(data), known)


def find_standing(run: RunDirectory) -> Standing | None:
    """The newest checkpoint that is whole and whose logs are whole; where no whole one has whole logs, the newest.

    None if there is no checkpoint yet. BadCheckpoint if there are some and none is whole.
    """
    problems: list[str] = []
    first: Standing | None = None
    for folder in reversed(checkpoints(run.checkpoints)):
        try:
            verify(folder)
        except BadCheckpoint as problem:
            problems.append(f"{problem}; going on from the one before")
            continue
        standing = read_standing(folder)
        damage = log_damage(run, standing)
        if not damage:
            return Standing(folder, standing.progress, standing.known, tuple(problems))
        if first is None:
            first = Standing(folder, standing.progress, standing.known, tuple(problems), damage)
        problems += [f"{text}; going on from the one before" for text in damage.values()]
    if first is None and problems:
        last_good(run.checkpoints)  # which says that none is whole
    return first


def log_damage(run: RunDirectory, standing: Standing) -> dict[str, str]:
    """What is wrong with the logs that a checkpoint knows, in a sentence for each, by the log's name."""
    found = {}
    for name in LOGS:
        damage = find_damage(run.path / name, KnownLog.of(standing.known.get("logs", {}), name), standing.folder)
        if damage is not None:
            found[name] = damage
    return found


def read_log(run: RunDirectory, name: str) -> list[dict[str, Any]]:
    """The rows of a log that can be read; a notice says how many cannot, and how many are missing."""
    file = run.path / name
    rows, unreadable = read_jsonl(file)
    single = without_doubles(rows)
    if unreadable:
        notice(f"{file}: {unreadable} of its {unreadable + len(rows)} rows cannot be read, and are left out")
        return single
    if len(single) < len(rows):
        notice(f"{file}: {len(rows) - len(single)} of its {len(rows)} rows tell of what a later one tells; left out")
        return single
    try:
        newest = _lightly(run)
    except BadCheckpoint:
        return rows
    if newest is not None and (damage := log_damage(run, newest).get(name)):
        notice(f"{damage}; what can be read is used")
    return rows


def trusted_scenario(run: RunDirectory) -> Scenario:
    """By which the run's agent was made. That of scenario.yaml, or, after a notice, the one that the newest checkpoint
    knows, where the file is damaged or says another world, agent or stage."""
    path = run.path / "scenario.yaml"
    try:
        newest = _lightly(run)
    except BadCheckpoint:
        newest = None
    known = None if newest is None else newest.scenario
    try:
        said = check_scenario(*read_yaml(path))
    except UserError as problem:
        if newest is None or known is None:
            raise
        notice(f"{problem}; used is the scenario that checkpoint {newest.folder.name} knows")
        return known
    if newest is not None and known is not None:
        refused = differences(known, said, newest.progress).refused
        if refused:
            notice(
                f"{path} is not the scenario that checkpoint {newest.folder.name} was made by ({'; '.join(refused)}); "
                "used is that of the checkpoint"
            )
            return known
    return said


def _lightly(run: RunDirectory) -> Standing | None:
    """What the newest checkpoint says whose progress.json is as its manifest says; its weights are not read."""
    for folder in reversed(checkpoints(run.checkpoints)):
        try:
            verify(folder, only="progress.json")
            return read_standing(folder)
        except (BadCheckpoint, json.JSONDecodeError):
            continue
    return None
