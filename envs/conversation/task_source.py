"""Where tasks come from: a list, a JSONL file, a Hugging Face data set; and which of them are held out."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from .conversation_env import SPLITS, Split

Task = Mapping[str, Any]
_MOST_BYTES = 1 << 30
TaskSource = Iterable[Task | str] | Callable[[np.random.Generator], Task | str] | str | Path


def load_tasks(source: str | Path) -> list[Task]:
    """The tasks in a `.jsonl` file, or in the Hugging Face dataset called `owner/name[:configuration]`.

    A dataset's splits "train", "validation" and "test" are kept as such; where it lacks one of "train" and "test", the
    rows of the other are divided by the hash of the prompt. Other splits are not read.

    Raises:
        UserError: the file or data set cannot be read, or a line is not a JSON object.
    """
    if str(source).endswith(".jsonl"):
        return _from_jsonl(Path(source))
    return _from_hub(str(source))


def split_of(content: str, one_in: int) -> Split:
    """The split to which the task that `content` names belongs: one in `one_in` is for testing and as many are for
    validation, on average; the others are for training.

    A function of the content alone: the same in every process, and unmoved when other tasks come or go.
    """
    digest = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    place = int.from_bytes(digest, "little") % one_in
    return "test" if place == 0 else "validation" if place == 1 else "train"


def _from_jsonl(path: Path) -> list[Task]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UserError(f"{path} has more than {_MOST_BYTES:,} bytes, which are too many to be read at once")
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read tasks from {path}: {error}") from error
    tasks: list[Task] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            task = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}:{number}: this line is not JSON: {error}") from error
        except RecursionError:
            raise UserError(f"{path}:{number}: this line is nested too deeply") from None
        if not isinstance(task, dict):
            raise UserError(f"{path}:{number}: a task is a JSON object, not {line!r:.80}")
        tasks.append(task)
    return tasks


def _from_hub(source: str) -> list[Task]:
    try:
        datasets = importlib.import_module("datasets")  # optional, and heavy
    except ImportError:
        raise UserError(
            f"tasks {source!r} name a Hugging Face dataset, which needs the package datasets (pip install datasets); "
            "tasks in a file end in .jsonl"
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
    return [{**row, "split": split} if split in marked else row for split, rows in kept.items() for row in rows]
