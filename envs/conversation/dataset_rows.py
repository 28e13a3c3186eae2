"""Rows of Hugging Face data sets: from the hub by name, from a folder that `save_to_disk` made, from their objects."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError
from .task_file import Splits
from .task_tables import Row, narrow_features, optional, placed_row

_SAVED = ("dataset_dict.json", "state.json")  # in folders that `save_to_disk` makes, of several splits and of one


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` made this folder."""
    return any((folder / name).is_file() for name in _SAVED)


def read_saved(folder: Path) -> Splits:
    """The rows of a data set that was saved, by split."""
    datasets = _library(f"{folder} was made by save_to_disk, and to read it")
    try:
        found = datasets.load_from_disk(str(folder))
    except Exception as error:  # the library raises what its many back ends raise; the user reads the reason
        raise UserError(f"cannot read the data set in {folder}: {_said(error)}") from error
    return splits_of(found, str(folder))


def read_hub(source: str) -> Splits:
    """The rows of the data set called `owner/name` or `owner/name:configuration`, by split."""
    datasets = _library(f"{source!r} names a data set of the Hugging Face hub, which")
    name, _, configuration = source.partition(":")
    try:
        found = datasets.load_dataset(name, configuration or None)
    except Exception as error:
        raise UserError(f"cannot load the data set {source!r} from the hub: {_said(error)}") from error
    return splits_of(found, source)


def object_splits(source: object) -> Splits | None:
    """The rows of a `Dataset`, an `IterableDataset`, or a dictionary of them, by split; None for anything else."""
    one, several = sys.modules.get("datasets.arrow_dataset"), sys.modules.get("datasets.dataset_dict")
    if one is None or several is None:
        return None
    kinds = one.Dataset, several.DatasetDict, several.IterableDatasetDict
    return splits_of(source, "") if isinstance(source, kinds) else None


def splits_of(found: Any, where: str) -> Splits:
    """The rows of a data set, under "", or of a dictionary of data sets, by name."""
    if isinstance(found, Mapping):
        return {str(split): _rows(rows, f"{where}, {split}, row".lstrip(", ")) for split, rows in found.items()}
    return {"": _rows(found, f"{where}, row".lstrip(", "))}


def _library(what: str) -> Any:
    """The package `datasets`, and not a module of that name that somebody has beside their scenario."""
    library = optional("datasets", what)
    if not callable(getattr(library, "load_from_disk", None)):
        raise UserError(f"{what} needs the package datasets, which is hidden by {library.__file__}; rename that file")
    return library


def _rows(rows: Iterable[Mapping[str, Any]], where: str) -> list[Row]:
    narrow = narrow_features(rows)
    return [placed_row(f"{where} {number}", row, narrow) for number, row in enumerate(rows)]


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
