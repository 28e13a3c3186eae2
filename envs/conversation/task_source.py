"""Where tasks come from: files, data sets, frames, lists, functions; and which of them are held out.

    "gsm8k.jsonl"  "gsm8k.csv.gz"  "data/gsm8k"     files and folders on this disk, see `task_file`
    "gsm8k.json:train"                              one split of it; or split="train"
    "openai/gsm8k:main"                             a data set of the Hugging Face hub, and its configuration
    "my_rows:rows"                                  a list, a frame or a generator function in a module of the user's
    "peripatos/digits"                              rankings that are made here, see `digits` of the mathematics; of
                                                    several turns "peripatos/digit-turns"
    Dataset, DatasetDict, DataFrame, {"train": …}, a list, an iterator, a generator function

What is on this disk, or looks as if it should be, is never asked of the hub.

Rows that say no split are divided by a hash of their prompt. Of several splits, "train", "validation" and "test" are
kept as such; where there is only "train" for both, its rows are divided. Where there is no "train", or splits of other
names and no "test", somebody has to say what is learned from: `split` picks one split, whose rows are then divided, or
says which is which: {"train": "train_sft", "test": "test_sft"}.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any

from ..errors import UserError, nearest, unknown
from ..named_objects import load_attribute, local_modules, module_folders
from ..user_code import told
from .conversation_env import SPLITS, Split
from .dataset_rows import is_saved, object_splits, read_hub, read_saved
from .task_file import ENDINGS, OTHER_ENDINGS, Splits, ending_of, read_file
from .task_tables import Row, column_rows, frame_rows, plain, plain_row

Task = Mapping[str, Any]
Placed = tuple[str, Task | str]  # where a task stands, and the task
TaskSource = Iterable[Task | str] | Callable[..., Any] | str | Path
Picked = str | Mapping[str, str]  # one split of a source, or which of its splits is which of ours
_MADE_HERE = {
    "peripatos/digits": "..worlds.maths.digits:ranked",
    "peripatos/digit-turns": "..worlds.maths.digits:ranked_turns",
}
_ASKED = {"prompt", "question", "problem", "messages", "text"}  # columns, after which no split is called
_MOST_ROWS = 10_000_000  # of an iterator, which might not end
_ALLOWED = (
    "a list of rows, a data set, a frame, a function of (rng), a generator function, a file (.jsonl, .json, .csv, "
    ".tsv, .parquet), a folder, and a hub's dataset, owner/name"
)


def load_tasks(source: TaskSource, split: Picked | None = None) -> list[Task]:
    """The tasks of a source that has a list of them; those of a split that is kept as such say it.

    Raises:
        UserError: the source cannot be read, a row is wrong, or there is no such split.
    """
    return [task for _, task in placed_tasks(source, split) if not isinstance(task, str)]


def placed_tasks(source: TaskSource, split: Picked | None = None, *, alone: str = "prompt") -> list[Placed]:
    """As `load_tasks`, each task with where it stands, for messages. `alone`: the key of what is text alone,
    where a split is said beside it."""
    if isinstance(source, str | Path):
        found, named = _of_name(source)
        if named is not None and split is not None:
            raise UserError(f"{str(source)!r} names a split, and split is {split!r}; give one of them")
        split = split or named
    else:
        found = _of_object(source)
    if isinstance(found, list):  # whose rows may say their splits
        if split is None:
            return found
        splits = dict[str, list[Placed]]()
        for place, task in found:
            mine = str(task.get("split") or "") if isinstance(task, Mapping) else ""
            splits.setdefault(mine, []).append((place, task))
        found = splits
    return _picked(found, split, str(source) if isinstance(source, str | Path) else "the rows", alone)


def is_drawn(source: TaskSource) -> bool:
    """Whether tasks are drawn one at a time, by a function of a random generator."""
    if not callable(source) or inspect.isgeneratorfunction(source):
        return False
    try:
        inspect.signature(source).bind("rng")
    except TypeError:  # it takes nothing, and so gives all tasks at once
        return False
    except ValueError:  # of what is not written in Python
        pass
    return True


def split_of(content: str, one_in: int) -> Split:
    """The split to which the task that `content` names belongs: one in `one_in` is for testing and as many are for
    validation, on average; the others are for training.

    A function of the content alone: the same in every process, and unmoved when other tasks come or go.
    """
    digest = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    place = int.from_bytes(digest, "little") % one_in
    return "test" if place == 0 else "validation" if place == 1 else "train"


def _of_name(source: str | Path) -> tuple[list[Placed] | dict[str, list[Placed]], str | None]:
    """What a name means, and the split that stands behind a file's."""
    name = str(source)
    if not name.strip():
        raise UserError("the name of the file of rows is empty; it ends in .jsonl, or is a hub's dataset, owner/name")
    if "://" in name:
        raise UserError(f"rows are read from files, not from {name!r}; download it, and name the file")
    if name in _MADE_HERE:
        module, _, maker = _MADE_HERE[name].partition(":")
        return _of_object(getattr(importlib.import_module(module, __package__), maker)), None
    path, split = Path(source).expanduser(), None
    if not path.exists() and ":" in name:
        before, _, behind = name.rpartition(":")
        if Path(before).expanduser().exists() or ending_of(Path(before)):
            path, split = Path(before).expanduser(), behind
    if path.is_dir() and is_saved(path):
        return _alone(read_saved(path)), split
    if path.is_dir() or ending_of(path):
        return _alone(read_file(path)), split
    if path.exists() or name.lower().endswith(OTHER_ENDINGS):
        raise UserError(
            f"{name!r} is a file that is not read here; a file of rows ends in one of {', '.join(ENDINGS)} (and .gz)"
        )
    module, colon, attribute = name.partition(":")
    if colon and attribute.isidentifier() and module in local_modules():
        return _of_object(load_attribute(name)), None
    meant, beside = _like(name)
    is_path = isinstance(source, Path) or name.startswith((".", "~", "/")) or name.partition(":")[0].count("/") != 1
    if is_path or beside:
        raise UserError(f"there is no file or folder {name!r}{beside}, and a hub's dataset is owner/name.{meant}")
    return _alone(read_hub(name)), None


def _alone(splits: Splits) -> list[Placed] | dict[str, list[Placed]]:
    """The rows alone, where nothing but themselves may say their splits."""
    return [*splits[""]] if set(splits) <= {""} else {split: [*rows] for split, rows in splits.items()}


def _of_object(source: object) -> list[Placed] | dict[str, list[Placed]]:
    """The rows of what is no name."""
    if splits := object_splits(source):
        return _alone(splits)
    if (rows := frame_rows(source)) is not None:
        return [*rows]
    if isinstance(source, Mapping) and (rows := _columns(source)) is not None:
        return [*rows]
    if isinstance(source, Mapping) and source and all(_holds_rows(rows) for rows in source.values()):
        return {str(split): _listed(rows, f"{split}, task") for split, rows in source.items()}
    if callable(source) and not isinstance(source, type):
        with told(f"the function {getattr(source, '__name__', 'of rows')!r} cannot be called without arguments"):
            return _of_object(source())
    if isinstance(source, Sized) and not isinstance(source, Iterable):
        each: Any = source  # as data sets of torch are, by number
        source = (each[number] for number in range(len(source)))
    if isinstance(source, Mapping | bytes | str) or not isinstance(source, Iterable):
        raise UserError(f"the rows are {source!r:.80}; allowed are {_ALLOWED}")
    return _listed(source, "task")


def _columns(source: Mapping[Any, Any]) -> list[Row] | None:
    """The rows of columns, of which one may be called test, as HumanEval's is; None for a mapping of splits."""
    return column_rows(source) if _ASKED & set(source) or not set(source) & set(SPLITS) else None


def _holds_rows(rows: object) -> bool:
    return isinstance(rows, Iterable) and not isinstance(rows, str | bytes)


def _listed(source: Any, where: str) -> list[Placed]:
    if (rows := frame_rows(source)) is not None:
        return [(f"{where.rpartition(', ')[0]}, {place}".lstrip(", "), row) for place, row in rows]
    with told("the rows cannot be listed"):
        tasks = list(itertools.islice(source, _MOST_ROWS + 1))
    if len(tasks) > _MOST_ROWS:
        raise UserError(f"the rows are more than {_MOST_ROWS:,}: does what gives them end?")
    return [
        (f"{where} {number}", plain_row(task) if isinstance(task, Mapping) else plain(task))
        for number, task in enumerate(tasks)
    ]


def _picked(splits: Mapping[str, list[Placed]], split: Picked | None, where: str, alone: str) -> list[Placed]:
    """Rows of the splits that are asked for, marked where they are kept as such."""
    names = {name: name for name in SPLITS if name in splits}
    if isinstance(split, str):
        if split not in splits:
            raise UserError(f"{where}: {_no_split(split, splits)}")
        return [(place, _marked(task, None, alone)) for place, task in splits[split]]
    if split is not None:
        names = dict(split)
        for ours, theirs in names.items():
            if ours not in SPLITS:
                raise UserError(f"split: {unknown('split', str(ours), SPLITS)}")
            if theirs not in splits:
                raise UserError(f"{where}: {_no_split(str(theirs), splits)}")
    _check_named(names, [name for name in splits if name], where, said=split is not None)
    marked = {"validation", *(names if {"train", "test"} <= set(names) else ())}
    return [
        (place, _marked(task, ours if ours in marked else None, alone))
        for ours, theirs in names.items()
        for place, task in splits[theirs]
    ]


def _check_named(names: Mapping[str, str], there: Sequence[str], where: str, *, said: bool) -> None:
    """`UserError` where no split is for training, or one of other name may be for testing: nobody learns from test
    rows, or does without rows, unless it is `said`."""
    foreign = [] if said or "test" in names else [name for name in there if name not in SPLITS]
    if "train" in names and not foreign:
        return
    train = names.get("train") or next((name for name in there if "train" in name.lower()), there[0])
    test = next((name for name in there if "test" in name.lower() and name != train), "…")
    lacks = "neither a train nor a test" if not {"train", "test"} & set(names) else "no train"
    lacks = "no test" if "train" in names else lacks
    raise UserError(
        f"{where}: {'split says' if said else 'there is'} {lacks} split, but {', '.join(map(repr, there))}; name one "
        f"by split: {train}, whose rows are divided, or say which is which: split: {{train: {train}, test: {test}}}"
    )


def _no_split(name: str, splits: Mapping[str, list[Placed]]) -> str:
    there = [split for split in splits if split]
    if there:
        return unknown("split", name, there)
    return f"unknown split {name!r}: its rows say none (in a column 'split', or by files called train and test)"


def _marked(task: Task | str, split: str | None, alone: str) -> Task | str:
    """A task that says that split, or none. What is no task is left to who reads it."""
    if isinstance(task, str):
        return task if split is None else {alone: task, "split": split}
    if not isinstance(task, Mapping):
        return task
    return {**{key: value for key, value in task.items() if key != "split"}, **({"split": split} if split else {})}


def _like(name: str) -> tuple[str, str]:
    """The file that may be meant by a name without its ending; and where a folder of files is that it should be in."""
    path = Path(name.partition(":")[0]).expanduser()
    for folder in (Path(), *module_folders()):
        place = folder / path.parent
        there = sorted(file for file in place.glob("*") if ending_of(file))
        same = [file for file in there if _stem(file) == path.name.lower()]
        meant = f" Did you mean {str(same[0])!r}?" if same else nearest(f"{folder / path}.jsonl", map(str, there), 0.85)
        if meant or there:
            return meant, "" if path.parent == Path() else f" beside {there[0].name} in {place}"
    return "", ""


def _stem(file: Path) -> str:
    return file.name.lower().removesuffix(".gz").removesuffix(ending_of(file))
