"""Data sets as they come: every way to give the same rows gives the same tasks."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peripatos.envs.conversation import TaskWorld, load_tasks
from peripatos.envs.conversation.task_source import placed_tasks
from peripatos.envs.errors import UserError

BIG = 2**80 + 1
ROWS: list[dict[str, Any]] = [
    {"question": f'What is {n} + 1,\n"{n}" and größe?', "answer": str(n + 1), "note": None if n == 3 else f"n{n}"}
    for n in range(12)
]


def _csv(rows: list[dict[str, Any]], delimiter: str = ",", ends: str = "\r\n") -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, lineterminator=ends)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


TEXT: dict[str, bytes] = {
    "rows.jsonl": _jsonl(ROWS),
    "rows.ndjson": _jsonl(ROWS),
    "ROWS.JSONL": _jsonl(ROWS),
    "bom.jsonl": b"\xef\xbb\xbf" + _jsonl(ROWS),
    "list.json": json.dumps(ROWS, indent=2, ensure_ascii=False).encode(),
    "data.json": json.dumps({"version": "1.0", "data": ROWS, "authors": ["x"]}).encode(),
    "lines.json": _jsonl(ROWS),
    "rows.csv": _csv(ROWS),
    "bom.csv": b"\xef\xbb\xbf" + _csv(ROWS),
    "semicolons.csv": _csv(ROWS, ";"),
    "index.csv": _csv([{"": n, **row} for n, row in enumerate(ROWS)], ends="\n"),
    "rows.tsv": _csv(ROWS, "\t"),
    "tabs.csv": _csv(ROWS, "\t"),
    "rows.jsonl.gz": gzip.compress(_jsonl(ROWS)),
    "packed.jsonl": gzip.compress(_jsonl(ROWS)),
    "rows.csv.gz": gzip.compress(_csv(ROWS)),
    "rows.json.gz": gzip.compress(json.dumps(ROWS).encode()),
    "rows.tsv.GZ": gzip.compress(_csv(ROWS, "\t")),
}


@pytest.fixture
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks the hub fails."""
    monkeypatch.setitem(sys.modules, "datasets", None)


@pytest.mark.usefixtures("_offline")
@pytest.mark.parametrize("name", TEXT)
def test_files_of_text_give_the_same_rows_and_are_never_asked_of_the_hub(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(TEXT[name])
    assert load_tasks(tmp_path / name) == ROWS
    assert load_tasks(str(tmp_path / name)) == ROWS


def _pandas(rows: list[dict[str, Any]]) -> Any:
    return pytest.importorskip("pandas").DataFrame(rows)


def _parquet(rows: list[dict[str, Any]], folder: Path) -> Path:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.Table.from_pylist(rows), folder / "rows.parquet")
    return folder / "rows.parquet"


def _packed_parquet(rows: list[dict[str, Any]], folder: Path) -> Path:
    (folder / "rows.parquet.gz").write_bytes(gzip.compress(_parquet(rows, folder).read_bytes()))
    return folder / "rows.parquet.gz"


def _dataset(rows: list[dict[str, Any]]) -> Any:
    return pytest.importorskip("datasets").Dataset.from_list(rows)


def _saved(rows: list[dict[str, Any]], folder: Path) -> Path:
    _dataset(rows).save_to_disk(folder / "saved")
    return folder / "saved"


def _module(rows: list[dict[str, Any]], folder: Path) -> str:
    (folder / "their_rows.py").write_text(f"def each():\n    yield from {rows!r}\n")
    return "their_rows:each"


def _generator(rows: list[dict[str, Any]]) -> Callable[[], Any]:
    def each():
        yield from rows

    return each


class ByNumber:
    """As data sets of torch are."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return self.rows[number]


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def _json_columns(rows: list[dict[str, Any]], folder: Path) -> Path:
    (folder / "columns.json").write_text(json.dumps(_columns(rows)))
    return folder / "columns.json"


OBJECTS: dict[str, Callable[[list[dict[str, Any]], Path], Any]] = {
    "list": lambda rows, folder: rows,
    "tuple": lambda rows, folder: tuple(rows),
    "iterator": lambda rows, folder: iter(rows),
    "generator function": lambda rows, folder: _generator(rows),
    "function of nothing": lambda rows, folder: lambda: rows,
    "by number": lambda rows, folder: ByNumber(rows),
    "columns": lambda rows, folder: _columns(rows),
    "columns in a file": _json_columns,
    "function of a module": _module,
    "csv reader": lambda rows, folder: csv.DictReader(io.StringIO(_csv(rows).decode(), newline="")),
    "frame": lambda rows, folder: _pandas(rows),
    "records of a frame": lambda rows, folder: _pandas(rows).to_dict("records"),
    "polars": lambda rows, folder: pytest.importorskip("polars").DataFrame(rows),
    "lazy polars": lambda rows, folder: pytest.importorskip("polars").LazyFrame(rows),
    "table": lambda rows, folder: pytest.importorskip("pyarrow").Table.from_pylist(rows),
    "parquet": _parquet,
    "packed parquet": _packed_parquet,
    "dataset": lambda rows, folder: _dataset(rows),
    "streamed dataset": lambda rows, folder: _dataset(rows).to_iterable_dataset(),
    "saved dataset": _saved,
}


@pytest.mark.parametrize("way", OBJECTS)
def test_objects_folders_and_functions_give_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{**row, "note": row["note"] or ""} for row in ROWS] if way == "csv reader" else ROWS
    assert load_tasks(OBJECTS[way](rows, tmp_path)) == rows


SPLIT = {"train": ROWS[:8], "test": ROWS[8:]}
MARKED = [{**row, "split": split} for split, rows in SPLIT.items() for row in rows]


def _saved_dict(folder: Path) -> Path:
    datasets = pytest.importorskip("datasets")
    whole = datasets.DatasetDict({split: _dataset(rows) for split, rows in SPLIT.items()})
    whole.save_to_disk(folder / "saved")
    return folder / "saved"


def _folder_of(folder: Path, ending: str, write: Callable[[list[dict[str, Any]]], bytes]) -> Path:
    (folder / "data").mkdir()
    for split, rows in SPLIT.items():
        (folder / "data" / f"{split}-00000-of-00001{ending}").write_bytes(write(rows))
    (folder / "README.md").write_text("# rows")
    return folder


def _json_of_splits(folder: Path) -> Path:
    (folder / "rows.json").write_text(json.dumps(SPLIT))
    return folder / "rows.json"


SEVERAL: dict[str, Callable[[Path], Any]] = {
    "dictionary of lists": lambda folder: SPLIT,
    "dictionary of frames": lambda folder: {split: _pandas(rows) for split, rows in SPLIT.items()},
    "dataset dictionary": lambda folder: pytest.importorskip("datasets").DatasetDict(
        {split: _dataset(rows) for split, rows in SPLIT.items()}
    ),
    "saved dictionary": _saved_dict,
    "json": _json_of_splits,
    "folder of jsonl": lambda folder: _folder_of(folder, ".jsonl", _jsonl),
    "folder of csv": lambda folder: _folder_of(folder, ".csv.gz", lambda rows: gzip.compress(_csv(rows))),
    "rows that say it": lambda folder: MARKED,
}


@pytest.mark.parametrize("way", SEVERAL)
def test_splits_are_kept_and_one_can_be_picked_by_name(tmp_path: Path, way: str) -> None:
    source = SEVERAL[way](tmp_path)
    assert sorted(load_tasks(source), key=str) == sorted(MARKED, key=str)
    assert load_tasks(source, "test") == SPLIT["test"]
    swapped = load_tasks(source, {"train": "test", "test": "train"})
    assert [task["split"] for task in swapped] == ["train"] * 4 + ["test"] * 8
    with pytest.raises(UserError, match=r"unknown split 'tset'; allowed: test, train\. Did you mean 'test'\?"):
        load_tasks(source, "tset")
    if isinstance(source, Path):
        assert load_tasks(f"{source}:test") == SPLIT["test"]
        with pytest.raises(UserError, match="names a split, and split is 'train'; give one of them"):
            load_tasks(f"{source}:test", "train")


def test_splits_of_other_names_are_named_and_can_be_said() -> None:
    source = {"train_sft": ROWS[:6], "test_sft": ROWS[6:]}
    with pytest.raises(UserError, match=r"neither a train nor a test split, but 'train_sft', 'test_sft'; name one by"):
        load_tasks(source)
    tasks = load_tasks(source, {"train": "train_sft", "test": "test_sft"})
    assert [task["split"] for task in tasks] == ["train"] * 6 + ["test"] * 6
    with pytest.raises(UserError, match="unknown split 'tran'"):
        load_tasks(source, {"tran": "train_sft"})


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (
            ("auxiliary_train", "test", "validation", "dev"),
            r"no train split, but 'auxiliary_train', 'test', 'validation', 'dev'; name one by split: auxiliary_train, "
            r".*split: \{train: auxiliary_train, test: test\}",
        ),
        (("train_sft", "test"), r"no train split, .*split: \{train: train_sft, test: test\}"),
        (("train", "test_sft"), r"no test split, .*split: \{train: train, test: test_sft\}"),
        (("test", "validation"), r"no train split, but 'test', 'validation'; name one by split: test, whose rows"),
        (("Train", "test"), r"no train split, .*split: \{train: Train, test: test\}"),
    ],
)
def test_nobody_learns_from_a_test_split_or_does_without_one_unasked(names: tuple[str, ...], words: str) -> None:
    source = {name: [{"prompt": f"{name} {n}", "answer": "1"} for n in range(6)] for name in names}
    with pytest.raises(UserError, match=words):
        load_tasks(source)
    with pytest.raises(UserError, match="split says no train split"):
        load_tasks(source, {"test": names[1]})
    tasks = load_tasks(source, {"train": names[0], "test": names[1]})
    assert [task["split"] for task in tasks] == ["train"] * 6 + ["test"] * 6


def test_empty_cells_are_null_and_numbers_that_a_frame_widened_are_themselves(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    rows = [{"question": "a", "answer": 42, "n": BIG}, {"question": "b", "answer": None, "n": 2}]
    frame = pandas.DataFrame(rows)
    assert frame["answer"].dtype == float
    assert load_tasks(frame) == [{"question": "a", "answer": 42.0, "n": BIG}, {**rows[1], "answer": None}]
    with pytest.raises(UserError, match="row 1: 'answer' is null; it is the answer that a reply should give"):
        TaskWorld(frame, grader="number")
    world = TaskWorld(frame.iloc[:1], grader="exact", split=None)
    assert world.prompts("train") + world.prompts("test") + world.prompts("validation") == ["a"]
    (tmp_path / "big.jsonl").write_text(json.dumps({"prompt": "a", "answer": BIG}))
    assert load_tasks(tmp_path / "big.jsonl")[0]["answer"] == BIG
    typed = pandas.DataFrame({"question": ["a", pandas.NA], "when": [pandas.NaT, pandas.NaT]})
    assert load_tasks(typed) == [{"question": "a", "when": None}, {"question": None, "when": None}]


def test_cells_that_pandas_reads_as_null_are_null_in_a_text_of_commas(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    (tmp_path / "rows.csv").write_text("prompt,answer,note\na,NA,NaN\nb,<NA>,\nc,Na,NANA\n")
    read = load_tasks(tmp_path / "rows.csv")
    assert [(row["answer"], row["note"]) for row in read] == [(None, None), (None, None), ("Na", "NANA")]
    assert load_tasks(pandas.read_csv(tmp_path / "rows.csv")) == read


def test_lists_and_numbers_of_numpy_become_pythons_own() -> None:
    assert [type(task) for _, task in placed_tasks(np.array(["a", "b"]))] == [str, str]
    (task,) = load_tasks([{"prompt": np.array(["a", "b"]), "n": np.int64(3), "x": {"y": np.float32("nan")}}])
    assert task == {"prompt": ["a", "b"], "n": 3, "x": {"y": None}}
    assert type(task["n"]) is int


@pytest.mark.usefixtures("_offline")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("data/gsm.csv", r"there is no such file in .*data"),
        ("./gsm8k", r"no file or folder '\./gsm8k', and a hub's dataset is owner/name"),
        ("gsm8k", r"no file or folder 'gsm8k'"),
        ("a/b/c", r"no file or folder 'a/b/c'"),
        ("owner/name", r"names a data set of the Hugging Face hub, .*pip install 'peripatos\[data\]'"),
        ("owner/name:main", r"'owner/name:main' names a data set of the Hugging Face hub"),
        ("rows.zip", r"is a file that is not read here; a file of rows ends in one of \.jsonl"),
        ("rows.arrow", r"is a file that is not read here"),
        ("gsm.csv:train", r"there is no such file"),
    ],
)
def test_names_of_nothing_say_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words):
        load_tasks(name)


@pytest.mark.parametrize(
    ("name", "files", "words"),
    [
        ("data/gsm8k", ["gsm8k.jsonl"], r"no file or folder 'data/gsm8k'.* Did you mean 'data/gsm8k\.jsonl'\?"),
        ("data/gsm8k:train", ["math.csv", "GSM8K.csv.gz"], r"Did you mean 'data/GSM8K\.csv\.gz'\?"),
        (
            "data/gsm8q",
            ["gsm8k.jsonl", "math.csv"],
            r"beside gsm8k\.jsonl in data, .* Did you mean 'data/gsm8k\.jsonl'",
        ),
        ("data/other", ["gsm8k.jsonl"], r"no file or folder 'data/other' beside gsm8k\.jsonl in data"),
        ("data/gsm8k", ["notes.md"], "names a data set of the Hugging Face hub"),
    ],
)
@pytest.mark.usefixtures("_offline")
def test_a_name_in_a_folder_of_rows_is_never_asked_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, files: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for file in files:
        (tmp_path / "data" / file).write_text("")
    with pytest.raises(UserError, match=words):
        load_tasks(name)


def test_a_missing_package_is_named_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "state.json").write_text("{}")
    for module in ("pyarrow.parquet", "datasets"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        UserError, match=r"is a parquet file, which needs the package pyarrow: pip install 'peripatos\["
    ):
        load_tasks(tmp_path / "rows.parquet")
    with pytest.raises(
        UserError, match=r"made by save_to_disk, .* needs the package datasets: pip install 'peripatos\["
    ):
        load_tasks(tmp_path / "saved")


def test_a_module_that_hides_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "datasets.py").write_text("ROWS = []\n")
    monkeypatch.delitem(sys.modules, "datasets", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"which is hidden by .*datasets\.py; rename that file"):
        load_tasks("owner/name")
    monkeypatch.delitem(sys.modules, "datasets")


def test_frames_with_a_column_twice_and_iterators_without_an_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(UserError, match="two columns called 'a'"):
        load_tasks(pandas.DataFrame([[1, 2]], columns=["a", "a"]))
    monkeypatch.setattr("peripatos.envs.conversation.task_source._MOST_ROWS", 100)
    with pytest.raises(UserError, match="more than 100: does what gives them end"):
        load_tasks(iter(lambda: {"prompt": "x"}, None))


def test_what_a_generator_raises_is_told_with_its_line() -> None:
    def rows():
        yield {"prompt": "a"}
        raise KeyError("b")

    with pytest.raises(UserError, match=r"the rows cannot be listed: KeyError: 'b'\n.*test_task_source\.py, line"):
        load_tasks(rows)

    def wants(path):
        yield path

    with pytest.raises(UserError, match="the function 'wants' cannot be called without arguments"):
        load_tasks(wants)


def test_rows_stand_where_they_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(_csv(ROWS))
    (tmp_path / "a.json").write_text(json.dumps({"train": ROWS, "test": ROWS}))
    assert placed_tasks(tmp_path / "a.csv")[2][0] == f"{tmp_path}/a.csv:6"  # a row has two lines here
    assert placed_tasks(tmp_path / "a.json")[13][0] == f"{tmp_path}/a.json, test, row 1"
    assert placed_tasks({"train": ROWS, "test": ROWS})[13][0] == "test, task 1"


@pytest.mark.parametrize("ending", ["json", "python"])
def test_columns_of_unequal_length_are_refused_with_their_lengths(ending: str, tmp_path: Path) -> None:
    columns = {"prompt": ["a", "b", "c"], "answer": ["1", "2"]}
    path = tmp_path / "columns.json"
    path.write_text(json.dumps(columns))
    words = "the columns have different numbers of rows: prompt has 3, answer has 2"
    with pytest.raises(UserError, match=words):
        load_tasks(path if ending == "json" else columns)


def test_one_column_of_prompts_is_a_data_set() -> None:
    assert load_tasks({"prompt": ["a", "b"]}) == [{"prompt": "a"}, {"prompt": "b"}]


def test_columns_may_be_called_as_splits_are_where_one_is_what_is_asked() -> None:
    columns = {"prompt": ["a", "b"], "test": ["assert a", "assert b"], "more": [{"x": 1}, {"x": 2}]}
    first, second = load_tasks(columns)
    assert (first["test"], second["more"]) == ("assert a", {"x": 2})
    assert load_tasks({"text": [{"prompt": "a"}], "test": [{"prompt": "b"}]}) == [{"prompt": "b"}]  # rows of two splits
