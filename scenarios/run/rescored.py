"""Rewards that another version gave the kept episodes of a run, beside the first ones and never over them.

    rescored/VERSION/000010-test.jsonl    a row for each episode: group, index, reward, success, …, scored_by
    rescored/VERSION/version.json         what VERSION, a digest, stands for

`peripatos rescore` writes them, `peripatos show` reads them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...envs.errors import UserError
from ...envs.vocabulary import Episode
from .disk import ESCAPED, disk_errors, make_folder, to_json, typed, write_json, write_text
from .noticed import notice
from .run_directory import RunDirectory
from .sealed import BrokenSeal, read_sealed, sealed


@dataclass(frozen=True)
class Rescored:
    """What a version of the reward says about one episode."""

    group: int
    index: int
    scored_by: str
    reward: float | None  # None: not scored, or left out
    success: bool | None
    reward_terms: dict[str, float]
    unscored: str | None = None  # why the reward does not know
    left_out: str | None = None  # why this version was not asked


def write_rescored(run: RunDirectory, name: str, rows: Sequence[Rescored]) -> Path:
    """Keep what one version says about the episodes of `episodes/NAME.jsonl`; gives the folder of that version."""
    version = rows[0].scored_by
    folder = run.path / "rescored" / hashlib.sha256(version.encode()).hexdigest()[:12]
    with disk_errors(run.path):
        make_folder(folder)
        text = "".join(to_json(asdict(row)) + "\n" for row in rows)
        write_text(folder / f"{name}.jsonl", text)
        files = {**_written(folder)[1], f"{name}.jsonl": hashlib.sha256(text.encode("utf-8", ESCAPED)).hexdigest()}
        write_json(folder / "version.json", sealed({"scored_by": version, "files": files}))
    return folder


def _written(folder: Path) -> tuple[str | None, dict[str, str]]:
    """What is wrong with a folder's version.json, and the digests of the files that it knows."""
    try:
        files = read_sealed(folder / "version.json").get("files")
    except BrokenSeal as problem:
        return str(problem), {}
    if not isinstance(files, dict):
        return f"{folder / 'version.json'} is damaged: it names no files", {}
    return None, files


def rescored_episodes(run: RunDirectory, update: int, split: str, episode: Episode) -> tuple[Rescored, ...]:
    """What every other version says about an episode that was kept after `update`. Damaged files are passed over,
    after a notice."""
    found = []
    for file in sorted((run.path / "rescored").glob(f"*/{update:06d}-{split}.jsonl")):
        damage, files = _written(file.parent)
        if damage is None and hashlib.sha256(file.read_bytes()).hexdigest() != files.get(file.name):
            damage = f"{file} is damaged: its contents have changed"
        if damage is not None:
            notice(f"{damage}; its rewards are left out, and `peripatos rescore {typed(run.path)}` writes them again")
            continue
        rows = [_row(line, file) for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
        found += [row for row in rows if (row.group, row.index) == (episode.group, episode.index)]
    return tuple(found)


def _row(line: str, file: Path) -> Rescored:
    try:
        given: Any = json.loads(line)
        row = Rescored(**given)
    except (ValueError, TypeError, RecursionError) as problem:
        raise UserError(f"{file} is no file of rescored episodes: {problem}") from problem
    numbers = (row.reward, *(row.reward_terms.values() if isinstance(row.reward_terms, dict) else ("",)))
    if not all(isinstance(value, float | int | None) for value in numbers):
        raise UserError(f"{file} is no file of rescored episodes: a reward is no number")
    return row
