"""Rows of tables: text with commas or tabs, parquet, frames of pandas and polars, tables of pyarrow.

A cell that is empty, NaN or NA is null. Cells of text stay text: "007" is no number; but `choices` and `options` in a
text of commas may be a list in JSON or as Python writes it, ["red", "blue"]. Numbers, lists and texts of numpy,
decimals and tensors become Python's own, so that a task is the same wherever it comes from; a float of 32 bits
becomes the shortest number that means it, 0.1 and not 0.10000000149011612.
"""

from __future__ import annotations

import ast
import csv
import importlib
import io
import itertools
import json
import math
import re
import sys
import tokenize
from collections.abc import Iterable, Mapping
from decimal import Decimal
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
_TOO_LONG = 10**4300  # Python does not spell it
# what numpy, pandas, polars, pyarrow and datasets call floats of 16 and 32 bits, also in lists
_NARROW = re.compile(r"\b(?:(?P<float16>float16|halffloat)|(?P<float32>float32|float))\b", re.IGNORECASE)


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
    return _of_records(table.to_pylist(), f"{path}, row", narrow_columns(table.column_names, table.schema.types))


def frame_rows(source: object) -> list[Row] | None:
    """The rows of a frame of pandas or polars, or of a table of pyarrow; None for anything else."""
    given: Any = source
    if _is_a(source, "pandas", "DataFrame"):
        if not given.columns.is_unique:
            name = next(name for name in given.columns if list(given.columns).count(name) > 1)
            raise UserError(f"the frame has two columns called {name!r}; give each a name of its own")
        return _of_records(given.to_dict("records"), "row", narrow_columns(given.columns, given.dtypes))
    if _is_a(source, "polars", "LazyFrame"):
        given = given.collect()
    if _is_a(given, "polars", "DataFrame"):
        return _of_records(given.to_dicts(), "row", narrow_columns(given.columns, given.dtypes))
    if not _is_a(source, "pyarrow", "Table"):
        return None
    return _of_records(given.to_pylist(), "row", narrow_columns(given.column_names, given.schema.types))


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


def _of_records(records: Iterable[Mapping[Any, Any]], where: str, narrow: Mapping[Any, str] | None = None) -> list[Row]:
    return [placed_row(f"{where} {number}", record, narrow) for number, record in enumerate(records)]


def narrow_columns(names: Iterable[Any], types: Iterable[object]) -> dict[Any, str]:
    """The columns of floats of fewer than 64 bits, with numpy's name of the type."""
    found = ((name, _NARROW.search(str(kind))) for name, kind in zip(names, types, strict=True))
    return {name: match.lastgroup for name, match in found if match and match.lastgroup}


def narrow_features(rows: object) -> dict[Any, str]:
    """The same of a data set of Hugging Face, streamed or not; empty for other rows."""
    types = getattr(rows, "features", None)
    return narrow_columns(types.keys(), types.values()) if isinstance(types, Mapping) else {}


def placed_row(place: str, row: Mapping[Any, Any], narrow: Mapping[Any, str] | None = None) -> Row:
    """A row with values of Python's own; `narrow`: which of them are of a float type that is not Python's.
    UserError for numbers that Python does not spell."""
    of_type = narrow or {}
    plain_one = {str(key): _shortest(plain(value), of_type.get(key, "")) for key, value in row.items()}
    check_digits(place, plain_one)
    return place, plain_one


def check_digits(place: str, value: object, key: str = "") -> None:
    """UserError where a whole number in a value has more digits than Python spells."""
    if isinstance(value, int) and abs(value) >= _TOO_LONG:
        named = f"{key!r} has" if key else "it is"
        raise UserError(f"{place}: {named} a whole number of more than 4,300 digits; write it as text, in quotes")
    if isinstance(value, Mapping):
        for name, each in value.items():
            check_digits(place, each, key or str(name))
    if isinstance(value, list | tuple):
        for each in value:
            check_digits(place, each, key)


def plain(value: Any) -> Any:
    """A value of Python's own; None for what is none."""
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # of numpy, torch and jax
        value = _shortest(value.tolist(), str(value.dtype).rpartition(".")[2])
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, Decimal):
        value = _of_decimal(value)
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return None if type(value).__name__ in ("NAType", "NaTType") else value


def _shortest(value: Any, kind: str) -> Any:
    """The shortest numbers that mean the same in numpy's type `kind`, where that has fewer bits than Python's."""
    if kind not in ("float16", "float32"):
        return value
    if isinstance(value, list):
        return [_shortest(each, kind) for each in value]
    return float(str(np.dtype(kind).type(value))) if isinstance(value, float) else value


def _of_decimal(value: Decimal) -> int | float | str:
    """The number, or its text where neither a whole number nor a float is exactly what it says."""
    if not value.is_finite():
        return float(value)
    if abs(value.adjusted()) < 300 and value == value.to_integral_value():
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else str(value)


def optional(module: str, what: str) -> Any:
    """A module of the extra `data`; `UserError` with the line that installs it where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise UserError(f"{what} needs the package {package}: pip install 'peripatos[data]'") from None
