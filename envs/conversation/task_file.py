"""Rows in files: `.jsonl`, `.json`, `.csv`, `.tsv`, `.parquet`, each also packed (`.gz`), and folders of such files.

    read_file("gsm8k.jsonl")       one JSON object a line
    read_file("gsm8k.json.gz")     a list of objects, an object that has one, one with a list for each split, or one row
    read_file("gsm8k.csv")         see `task_tables`
    read_file("gsm8k")             all files of a folder; train, validation and test stand in their names

They are read strictly: each mistake is said with the file and the line, or the number of the row.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError, nearest
from ..named_objects import module_folders
from .json_slips import slip
from .task_tables import Row, column_rows, read_csv, read_parquet

ENDINGS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
OTHER_ENDINGS = (".txt", ".yaml", ".yml", ".xlsx", ".xls", ".zip", ".zst", ".bz2", ".xz", ".arrow", ".feather", ".pkl")
_PACKED = ".gz"
_MOST_BYTES = 1 << 30
_BETWEEN_COLUMNS = (",", "\t", ";")
_WIDE = b"\xff\xfe"
_OTHERS = {  # how files of other kinds begin, and what they are
    b"\xff\xfe\0\0": "text in UTF-32, and rows are read as UTF-8; save it as UTF-8",
    b"\0\0\xfe\xff": "text in UTF-32, and rows are read as UTF-8; save it as UTF-8",
    _WIDE: "text in UTF-16, and rows are read as UTF-8; save it as UTF-8",
    b"\xfe\xff": "text in UTF-16, and rows are read as UTF-8; save it as UTF-8",
    b"PK\x03\x04": "a zip archive; unpack it, and name the file in it",
    b"PAR1": "a parquet file; let its name end in .parquet",
    b"ARROW1": "an arrow file; write it as .parquet, or name the folder that save_to_disk made",
    b"version https://git-lfs": "a pointer of git lfs, not the file itself; fetch it with: git lfs pull",
}
_TEXTS = {  # how lines of other texts begin, and what they are
    re.compile(r"\s*<[!?a-zA-Z]"): "a page of HTML: what was downloaded is not the file itself",
    re.compile(r"\s*(?:- )?\w+:\s"): 'YAML; write each row as one JSON object a line, such as {"prompt": "…"}',
}
_SPLIT_WORDS = {
    **{name: name for name in ("train", "validation", "test")},
    **dict.fromkeys(("training",), "train"),
    **dict.fromkeys(("valid", "val", "dev"), "validation"),
    **dict.fromkeys(("testing", "eval", "evaluation", "holdout", "heldout"), "test"),
}  # in the names of files
_IN_WORD = re.compile(  # "trainset", "tests", "valdata", and the "testv" of "testv2"
    rf"({'|'.join(_SPLIT_WORDS)})(?:s|v|(?:data)?sets?|data|splits?|files?|parts?|folds?|rows|tasks|questions|problems|"
    r"prompts|examples|samples|chats|pairs|texts)?"
)
_EXAMPLE = '{"prompt": "…", …}'

Splits = dict[str, list[Row]]  # under "" those of which nothing says the split


def ending_of(path: Path) -> str:
    """`.csv` of `TASKS.CSV.gz`; empty where it is none that is read here."""
    name = path.name.lower().removesuffix(_PACKED)
    return next((ending for ending in ENDINGS if name.endswith(ending)), "")


def read_file(path: Path) -> Splits:
    """The rows of a file, or of all files of a folder, by split.

    Raises:
        UserError: there is no such file, it is of no kind that is read here, or a row of it is wrong.
    """
    if path.is_dir() and not ending_of(path):
        return _read_folder(path)
    ending, raw = ending_of(path), _content(path)
    if ending == ".parquet":
        splits = {"": read_parquet(path, raw)}
    elif ending in (".csv", ".tsv"):
        splits = {"": read_csv(path, _text(path, raw), tabs=ending == ".tsv")}
    elif ending == ".json":
        splits = _read_json(path, _text(path, raw))
    else:
        splits = {"": _read_lines(path, _text(path, raw))}
    if not any(splits.values()):
        shape = "one JSON object a line" if ending not in (".csv", ".tsv", ".parquet") else "one row for each"
        raise UserError(f"{path} holds no rows; write {shape}, such as {_EXAMPLE}")
    return splits


def read_text(path: Path) -> str:
    """All of a file that holds text and no rows. `UserError` where it cannot be read."""
    return _text(path, _content(path))


def row_files(folder: Path) -> list[Path]:
    """The files of rows in a folder, but for hidden ones and those that say what others hold."""
    files = sorted(file for file in folder.rglob("*") if ending_of(file) and file.is_file())
    aside = ("dataset_infos.json", "dataset_info.json", "state.json")
    return [file for file in files if file.name not in aside and not is_hidden(file.relative_to(folder))]


def is_hidden(within: Path) -> bool:
    """Whether a file, by its path within a folder, is one that a system keeps for itself: `._a.txt`, `.git/HEAD`."""
    return any(part.startswith(".") for part in within.parts)


def split_named(within: Path) -> str:
    """The split that stands in a file's name, or else in those of the folders that it is in; empty where none does."""
    names = (within.stem, *(folder.name for folder in within.parents))
    return next((split for name in names if (split := _said_by(name))), "")


def _said_by(name: str) -> str:
    """The split in a name: `train2024`, `gsm8kTest`, `TESTSET`, `held-out`. Of several the last: `human_eval_train`."""
    together = re.sub(r"(?i)(held|hold)[\W_]?(out)", r"\1\2", name)
    words = [
        part for word in re.split(r"[\W\d_]+", together) for part in (word, *re.split(r"(?<=[a-z])(?=[A-Z])", word))
    ]
    found = [match[1] for word in words if (match := _IN_WORD.fullmatch(word.lower()))]
    return _SPLIT_WORDS[found[-1]] if found else ""


def _read_folder(folder: Path) -> Splits:
    files = row_files(folder)
    if not files:
        raise UserError(f"cannot read {folder}: it is a folder, and no file in it ends in {', '.join(ENDINGS)}")
    check_packed_alone(files)
    named_of = {file: split_named(file.relative_to(folder)) for file in files}
    _check_counterparts([file for file, named in named_of.items() if not named])
    found: Splits = {}
    for file, named in named_of.items():
        for split, rows in read_file(file).items():
            found.setdefault(split or named, []).extend(rows)
    if len(found) > 1 and "" in found:
        place = found[""][0][0].rpartition(":")[0] or found[""][0][0]
        raise UserError(
            f"the files of {folder} are train, validation or test by their names, but for {place}; name the files alone"
        )
    return found


def _check_counterparts(files: Sequence[Path]) -> None:
    """UserError where two names, of which no split was read, differ in one alone: `mathtrain` and `mathtest`."""
    names = {file.name.lower(): file for file in files}
    others = [word for word, split in _SPLIT_WORDS.items() if split != "train"]
    for name, file in names.items():
        like = (name.replace("train", word) for word in others) if "train" in name else ()
        if (other := next((names[one] for one in like if one in names), None)) is not None:
            raise UserError(
                f"{file} and {other.name} seem to be for training and for testing, and in a name a split is a word of "
                "its own: rename them, as in my_train.jsonl, or name the one to learn from"
            )


def check_packed_alone(files: Sequence[Path]) -> None:
    """UserError where a file lies beside itself, packed, as `gunzip -k` leaves it: all of it would be read twice."""
    there = {str(file).lower(): file for file in files}
    for name, file in there.items():
        if (packed := there.get(name + _PACKED)) is not None:
            raise UserError(f"{file} lies beside {packed.name}, and the one is the other, packed; leave one of them")


def _content(path: Path) -> bytes:
    """The bytes of a file, unpacked."""
    if path.is_dir():
        raise UserError(f"cannot read {path}: it is a folder; name the file in it")
    if path.exists() and not path.is_file():
        raise UserError(f"cannot read {path}: it is a device or a pipe; name a .jsonl file")
    too_many = UserError(f"{path} has more than {_MOST_BYTES:,} bytes, which are too many to be read at once")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise too_many
        raw = path.read_bytes()
        if raw.startswith(b"\x1f\x8b"):
            with gzip.open(path) as packed:
                raw = packed.read(_MOST_BYTES + 1)
            if len(raw) > _MOST_BYTES:
                raise too_many
    except FileNotFoundError:
        raise UserError(f"cannot read {path}: there is no such file{_elsewhere(path)}") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} is packed with gzip, and damaged: {error}") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    return raw


def _text(path: Path, raw: bytes) -> str:
    for begins, what in _OTHERS.items():
        if raw.startswith(begins):
            raise UserError(f"{path} is {what}")
    if raw[:200].count(0) > len(raw[:200]) // 4:
        raise UserError(f"{path} is {_OTHERS[_WIDE]}")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        before = raw[raw.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8", "replace")
        raise UserError(
            f"{path}:{line}: the byte 0x{raw[error.start]:02x} behind {before[-20:]!r} is no UTF-8 (in latin-1 it is "
            f"{raw[error.start : error.start + 1].decode('latin-1')!r}): save the file as UTF-8"
        ) from error


def _elsewhere(path: Path) -> str:
    """The rest of a sentence about a file that is missing."""
    if path.is_absolute():
        place = path.parent
    else:
        place = Path.cwd() / path.parent
        for folder in module_folders():
            if (folder / path).is_file():
                return f" in {Path.cwd()}, where the command was typed; there is {folder / path}"
    beside = [other.name for other in place.iterdir()] if place.is_dir() else []
    return f" in {place}.{nearest(path.name, beside)}"


def _read_lines(path: Path, text: str) -> list[Row]:
    """One JSON object a line; empty lines are passed over."""
    lines = enumerate(text.split("\n"), start=1)
    return [(f"{path}:{number}", _object(f"{path}:{number}", line)) for number, line in lines if line.strip()]


def _read_json(path: Path, text: str) -> Splits:
    """A list of objects, wherever it stands; what is no JSON as a whole may be one object a line."""
    if not text.strip():
        return {"": []}
    try:
        whole = _loads(str(path), text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return {"": _read_lines(path, text)}
        before = text[: error.pos]
        line, column = before.count("\n") + 1, error.pos - (before.rfind("\n") + 1)
        said = json.JSONDecodeError(error.msg, text.split("\n")[line - 1], column)
        raise UserError(f"{path}:{line}: this is not JSON: {slip(said.doc, said)}") from error
    if isinstance(whole, list) and whole and all(isinstance(value, str) for value in whole):
        whole = {"text": whole}  # as Hugging Face's data sets call the column of plain text
    try:
        rows = column_rows(whole) if isinstance(whole, dict) else None
    except UserError as problem:
        raise UserError(f"{path}: {problem}") from problem
    if rows is not None:
        return {"": [(f"{path}, {place}", row) for place, row in rows]}
    if isinstance(whole, dict) and _is_row(whole):
        return {"": [(f"{path}, row 0", whole)]}
    lists = whole if isinstance(whole, dict) else {"": whole}
    listed = {str(key): value for key, value in lists.items() if isinstance(value, list) and _of_objects(value)}
    if not listed and isinstance(whole, list) and not whole:
        return {"": []}
    if not listed:
        raise UserError(
            f"{path} has no list of objects, but {_outline(whole)}; write [{_EXAMPLE}, …] (of a pandas frame: "
            'to_json(orient="records"))'
        )
    if len(listed) > 1 and not all(key in _SPLIT_WORDS for key in listed):
        raise UserError(
            f"{path} has several lists of objects, {', '.join(map(repr, listed))}; the rows are one list, or a list "
            "for each of train, validation and test"
        )
    splits: Splits = {}
    for key, rows in listed.items():
        where = f"{path}, {key}, row" if key else f"{path}, row"
        split = _SPLIT_WORDS.get(key, "")
        placed = [(f"{where} {number}", _checked(f"{where} {number}", row)) for number, row in enumerate(rows)]
        splits.setdefault(split, []).extend(placed)  # several names may mean one split
    return splits


def _is_row(whole: Mapping[str, Any]) -> bool:
    """Whether an object is a row itself: its lists of objects are messages, or tools beside something else."""
    listed = {key: value for key, value in whole.items() if isinstance(value, list) and _of_objects(value)}
    if len(whole) > 1 and set(listed) == {"tools"}:
        return True
    begun = [set(value[0]) for value in listed.values() if isinstance(value[0], dict)]
    return any({"role", "content"} <= keys or {"from", "value"} <= keys for keys in begun)


def _of_objects(values: list[Any]) -> bool:
    return any(isinstance(value, dict) for value in values)


def _outline(value: object) -> str:
    if isinstance(value, dict):
        return f"an object with {', '.join(map(repr, list(value)[:5])) or 'no key'}"
    return f"a list of {type(value[0]).__name__}" if isinstance(value, list) else f"{value!r:.40}"


def _checked(place: str, row: object) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise UserError(f"{place}: a row is a JSON object, not {row!r:.80}")
    return row


def _loads(place: str, text: str) -> Any:
    """What a text of JSON says. `UserError` for keys that stand twice, and for numbers that JSON does not have."""

    def unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            raise UserError(
                f"{place}: the key {next(k for k in keys if keys.count(k) > 1)!r} stands twice in one object"
            )
        return found

    def refuse(word: str) -> float:
        raise UserError(f"{place}: {word} is no number that JSON has; write null, or leave the key out")

    load: Callable[..., Any] = json.loads
    try:
        return load(text, object_pairs_hook=unique, parse_constant=refuse)
    except (UserError, json.JSONDecodeError):
        raise
    except (ValueError, RecursionError):
        raise UserError(f"{place}: this line is nested too deeply, or has a number of too many digits") from None


def _object(place: str, line: str) -> dict[str, Any]:
    try:
        task = _loads(place, line)
    except json.JSONDecodeError as error:
        if "{" not in line and any(mark in line for mark in _BETWEEN_COLUMNS):
            raise UserError(
                f"{place}: this line is no JSON but looks like a row of a table (CSV); write each row as one JSON "
                'object a line, such as {"prompt": "…", "answer": "…"}, or let the name end in .csv'
            ) from error
        for begins, what in _TEXTS.items():
            if begins.match(line):
                raise UserError(f"{place}: this line is no JSON but looks like {what}") from error
        raise UserError(f"{place}: this line is not JSON: {slip(line, error)}") from error
    if isinstance(task, list):
        raise UserError(f"{place}: a row is a JSON object, not the list {line!r:.80}; write one object a line, no [ ]")
    if not isinstance(task, dict):
        raise UserError(f"{place}: a row is a JSON object, not {line!r:.80}")
    return task
