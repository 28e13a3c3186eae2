"""Rows of tables: text with commas or tabs, parquet, frames of pandas and polars, tables of pyarrow.

A cell that is empty, NaN or NA is null. Cells of text stay text: "007" is no number; but `choices` and `options` in a
text of commas may be a list in JSON or as Python writes it, ["red", "blue"]. Numbers, lists and texts of numpy
become Python's own, so that a task is the same wherever it comes from.
"""

from __future__ import annotations

import ast
import csv
import importlib
import io
import itertools
import json
import math
import sys
import tokenize
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError

Row = tuple[str, Mapping[str, Any]]  # where it stands, and what stands there
_SEPARATORS = (",", ";", "\t", "|")
# by usual names
_COLUMNS = {"prompt", "question", "problem", "answer", "completion", "chosen", "rejected", "messages", "text"}
CHOICES = ("choices", "options")
_NONE = ("", "NA", "NaN", "nan", "<NA>")  # cells that pandas reads as null too
_LONGEST_CELL = 1 << 27  # characters


def read_csv(path: Path, text: str, *, tabs: bool = False) -> list[Row]:
    """The rows of a text whose first line names the columns; what parts them is seen there. A column without a name,
    such as the index that pandas writes, is left out."""
    head = text.partition("\n")[0]
    separator = "\t" if tabs else max(_SEPARATORS, key=head.count)
    before, rows = csv.field_size_limit(_LONGEST_CELL), list[Row]()
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    began = 1
    try:
        names = _named_once(path, next(lines, []))
        began = lines.line_num + 1
        for cells in lines:
            place, began = f"{path}:{began}", lines.line_num + 1
            if not any(cells):
                continue
            if len(cells) != len(names):
                raise UserError(
                    f"{place}: this row has {len(cells)} cells, and the first line names {len(names)} columns "
                    f"({', '.join(names)}); a cell that holds a {separator!r} or a line break stands in quotes"
                )
            rows.append((place, {name: _read(name, cell) for name, cell in zip(names, cells, strict=True) if name}))
    except csv.Error as error:
        raise UserError(f"{path}:{began}: this row is no CSV: {error}; a quote in a cell is written twice") from error
    finally:
        csv.field_size_limit(before)
    return rows


def _read(name: str, cell: str) -> Any:
    """What a cell holds: a list, where it is one of choices; else its text."""
    if name in CHOICES and cell.lstrip().startswith(("[", "{")):
        found = written_list(cell)
        return cell if found is None else found  # what needs a list will say that a text is none
    return None if cell in _NONE else cell


def written_list(cell: str) -> list[Any] | dict[str, Any] | None:
    """The list or the mapping that a text of JSON or of Python says; None where it says neither."""
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(cell.strip())
            kinds = [token.type for token in tokenize.generate_tokens(io.StringIO(cell.strip()).readline)]
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, tokenize.TokenError):
            return None
        kinds = [kind for kind in kinds if kind != tokenize.NL]
        if (tokenize.STRING, tokenize.STRING) in itertools.pairwise(kinds):  # ['red' 'blue'], as numpy writes two
            return None
    return found if isinstance(found, list | dict) else None


def _named_once(path: Path, names: list[str]) -> list[str]:
    names = [name.strip() for name in names]
    for name in names:
        if name and names.count(name) > 1:
            raise UserError(f"{path}:1: two columns are called {name!r}; give each a name of its own")
    return names


def read_parquet(path: Path, raw: bytes) -> list[Row]:
    """The rows of a parquet file. Needs pyarrow."""
    parquet = optional("pyarrow.parquet", f"{path} is a parquet file, which")
    try:
        table = parquet.read_table(io.BytesIO(raw))
    except Exception as error:  # the library raises what its parts raise; the user reads the reason
        raise UserError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    return _of_records(table.to_pylist(), f"{path}, row")


def frame_rows(source: object) -> list[Row] | None:
    """The rows of a frame of pandas or polars, or of a table of pyarrow; None for anything else."""
    given: Any = source
    if _is_a(source, "pandas", "DataFrame"):
        if not given.columns.is_unique:
            name = next(name for name in given.columns if list(given.columns).count(name) > 1)
            raise UserError(f"the frame has two columns called {name!r}; give each a name of its own")
        return _of_records(given.to_dict("records"), "row")
    if _is_a(source, "polars", "LazyFrame"):
        given = given.collect()
    if _is_a(given, "polars", "DataFrame"):
        return _of_records(given.to_dicts(), "row")
    return _of_records(given.to_pylist(), "row") if _is_a(source, "pyarrow", "Table") else None


def column_rows(columns: Mapping[Any, Any]) -> list[Row] | None:
    """The rows of a mapping of columns, lists of one length and not all of rows themselves; None for any other mapping.
    UserError where they are columns by all but their lengths."""
    lists = [values for values in columns.values() if isinstance(values, list | tuple | np.ndarray)]
    if len(lists) < len(columns) or (len(lists) < 2 and not _COLUMNS & set(columns)):
        return None
    alike = len({len(values) for values in lists}) == 1
    asked = [value for name in _COLUMNS & set(columns) for value in columns[name][:1]]
    are_columns = alike and any(not isinstance(value, Mapping) for value in asked)  # whose cells may be mappings
    if not are_columns and any(isinstance(value, Mapping) for values in lists for value in values[:1]):
        return None
    if not alike:
        if not _COLUMNS & set(columns):  # they may be splits
            return None
        lengths = ", ".join(f"{name!s:.40} has {len(values):,}" for name, values in zip(columns, lists, strict=True))
        raise UserError(f"the columns have different numbers of rows: {lengths}; a row has a value in each")
    return _of_records((dict(zip(columns, cells, strict=True)) for cells in zip(*lists, strict=True)), "row")


def _is_a(source: object, module: str, kind: str) -> bool:
    """Whether `source` is one of that kind. Where the library was never imported, nothing is."""
    found = getattr(sys.modules.get(module), kind, None)
    return isinstance(found, type) and isinstance(source, found)


def _of_records(records: Iterable[Mapping[Any, Any]], where: str) -> list[Row]:
    return [(f"{where} {number}", plain_row(record)) for number, record in enumerate(records)]


def plain_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row with values of Python's own."""
    return {str(key): plain(value) for key, value in row.items()}


def plain(value: Any) -> Any:
    """A value of Python's own; None for what is none."""
    if isinstance(value, np.ndarray | list):
        return [plain(each) for each in (value.tolist() if isinstance(value, np.ndarray) else value)]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return None if type(value).__name__ in ("NAType", "NaTType") else value


def optional(module: str, what: str) -> Any:
    """A module of the extra `data`; `UserError` with the line that installs it where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise UserError(f"{what} needs the package {package}: pip install 'peripatos[data]'") from None
