"""Where tasks come from: a list, a JSONL file, a Hugging Face data set; and which of them are held out."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError, nearest
from .conversation_env import SPLITS, Split
from .task_file import read_rows

Task = Mapping[str, Any]
Placed = tuple[str, Task | str]  # where a task stands, and the task
_OTHER_FILES = (
    ".json",
    ".csv",
    ".tsv",
    ".parquet",
    ".txt",
    ".yaml",
    ".yml",
    ".xlsx",
    ".gz",
    ".zip",
    ".ndjson",
    ".arrow",
)
TaskSource = Iterable[Task | str] | Callable[[np.random.Generator], Task | str] | str | Path


def load_tasks(source: str | Path) -> list[Task]:
    """The tasks in a `.jsonl` file, or in the Hugging Face dataset called `owner/name[:configuration]`.

    A dataset's splits "train", "validation" and "test" are kept as such; where it lacks one of "train" and "test", the
    rows of the other are divided by the hash of the prompt. Other splits are not read.

    Raises:
        UserError: the file or data set cannot be read, or a line is not a JSON object.
    """
    return [task for _, task in placed_tasks(source) if not isinstance(task, str)]


def placed_tasks(source: TaskSource) -> list[Placed]:
    """As `load_tasks`, each task with where it stands, for messages; also of a list."""
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        if not str(source).strip():
            raise UserError("the file of tasks has an empty name; it ends in .jsonl, or is a hub's dataset, owner/name")
        if "://" in str(source):
            raise UserError(f"tasks are read from files, not from {str(source)!r}; download it, and name the file")
        if path.suffix.lower() == ".jsonl":
            return list(read_rows(path))
        if path.exists() or path.suffix in _OTHER_FILES:
            raise UserError(
                f"tasks {str(source)!r} are in a file that is not read here; a file of tasks ends in .jsonl and has "
                'one JSON object a line, {"prompt": "…", "answer": "…"}'
            )
        return _from_hub(str(source))
    assert not callable(source), "a generator has no list"
    if isinstance(source, Mapping | bytes) or not isinstance(source, Iterable):
        raise UserError(
            f"tasks are {source!r:.80}; allowed are a list of tasks, a function of (rng), and the name of a .jsonl file"
        )
    return [(f"task {number}", task) for number, task in enumerate(source)]


def split_of(content: str, one_in: int) -> Split:
    """The split to which the task that `content` names belongs: one in `one_in` is for testing and as many are for
    validation, on average; the others are for training.

    A function of the content alone: the same in every process, and unmoved when other tasks come or go.
    """
    digest = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    place = int.from_bytes(digest, "little") % one_in
    return "test" if place == 0 else "validation" if place == 1 else "train"


def _like(source: str) -> str:
    """The file that may be meant by a name without its ending."""
    there = [file.name for file in Path.cwd().glob("*.jsonl")]
    return nearest(f"{source}.jsonl", there, least=0.85)


def _from_hub(source: str) -> list[Placed]:
    try:
        datasets = importlib.import_module("datasets")  # optional, and heavy
    except ImportError:
        raise UserError(
            f"tasks {source!r} name a Hugging Face dataset, which needs the package datasets (pip install datasets); "
            f"a file of tasks ends in .jsonl.{_like(source)}"
        ) from None
    name, _, configuration = source.partition(":")
    try:
        found = datasets.load_dataset(name, configuration or None)
    except Exception as error:  # the library raises what its many back ends raise; the user reads the reason
        raise UserError(f"cannot load the dataset {source!r}: {error}") from error
    kept = {split: found[split] for split in SPLITS if split in found}
    if "train" not in kept and "test" not in kept:
        raise UserError(f"the dataset {source!r} has neither a train nor a test split, but {sorted(found)}")
    marked = {"validation", *(kept if {"train", "test"} <= set(kept) else ())}
    return [
        (f"{source}, {split}, row {number}", {**row, "split": split} if split in marked else row)
        for split, rows in kept.items()
        for number, row in enumerate(rows)
    ]
