"""Plain texts from files, folders, rows and lists; the first that is none is named by its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from peripatos.envs.conversation.written_texts import WrittenTexts
from peripatos.envs.errors import UserError


def texts(source: object, **more: str) -> list[str]:
    return [one.text for one in WrittenTexts(source, **more).texts]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["book.txt", "NOTES.md", "LICENSE", "poem.text"])
def test_a_file_that_holds_no_rows_is_one_text_as_it_stands(name: str, tmp_path: Path) -> None:
    told = "  One line,\n\nand « another ».\n{not: json}\n"
    (tmp_path / name).write_text(told, encoding="utf-8")
    assert texts(str(tmp_path / name)) == texts(tmp_path / name) == [told]


def test_each_file_of_a_folder_of_text_is_one(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("a/2.txt", "a/b/1.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "a" / "cover.png").write_bytes(b"\x89PNG")
    assert sorted(texts(tmp_path / "a")) == ["a/2.txt", "a/b/1.txt"]


def test_rows_have_a_text_from_wherever_rows_come(tmp_path: Path) -> None:
    rows = [{"text": "one", "id": 3}, {"text": "", "id": 4}, {"text": "three", "id": 5}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "rows.csv").write_text("id,text\n3,one\n5,three\n")
    assert texts(str(tmp_path / "rows.jsonl")) == texts(rows) == texts(lambda: iter(rows)) == ["one", "", "three"]
    assert texts(str(tmp_path / "rows.csv")) == ["one", "three"]
    assert texts(["one", "two"]) == ["one", "two"]


def test_a_data_set_is_read_as_it_is() -> None:
    datasets = pytest.importorskip("datasets")
    assert texts(datasets.Dataset.from_dict({"text": ["one", "two"], "url": ["a", "b"]})) == ["one", "two"]
    assert texts(datasets.DatasetDict(train=datasets.Dataset.from_dict({"text": ["one"]}))) == ["one"]


def test_columns_and_lists_for_each_split_are_texts_too(tmp_path: Path) -> None:
    assert texts({"text": ["one", "two"]}) == ["one", "two"]
    assert texts({"text": ["one", "two"], "id": [1, 2]}) == ["one", "two"]
    (tmp_path / "columns.json").write_text('{"text": ["one", "two"]}')
    assert texts(tmp_path / "columns.json") == ["one", "two"]
    (tmp_path / "list.json").write_text('["one", "two"]')
    assert texts(tmp_path / "list.json") == ["one", "two"]
    assert texts({"train": ["one"], "test": ["two"]}) == ["one"]
    assert texts({"train": ["one"], "validation": [{"text": "two"}], "test": []}) == ["one"]
    assert texts({"train": ["one"], "test": ["two"]}, split="test") == ["two"]


@pytest.mark.parametrize("row", [None, 5, b"abc", ["abc"], True, 0.5])
@pytest.mark.parametrize("splits", [False, True])
def test_a_row_that_is_neither_a_text_nor_has_one_is_named(row: object, splits: bool) -> None:
    source = {"train": ["aa", row], "test": ["bb"]} if splits else ["aa", row]
    with pytest.raises(UserError, match=r'row 1 is .*; allowed is a text, or \{"text": "…"\}'):
        WrittenTexts(source)  # type: ignore[arg-type]


def test_what_is_held_out_is_counted_and_nobody_learns_from_it() -> None:
    rows = [{"text": "a"}, {"text": "b", "split": "test"}, {"text": "c", "split": "train"}]
    read = WrittenTexts(rows)
    assert [one.text for one in read.texts] == ["a", "c"]
    assert read.remarks == ('1 of 3 texts say "split": "test" or "validation", and are held out',)
    assert texts(rows, split="test") == ["b"]
    with pytest.raises(UserError, match="all 1 texts say"):
        WrittenTexts(rows[1:2])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"txt": "b"}, "row 1 has no 'text'; it has 'txt'. Did you mean 'txt'\\? Then call it text"),
        ({"text": None}, "row 1: its text is None"),
        ({"text": 5}, "row 1: its text is 5"),
        ({"text": ["b"]}, r"row 1: its text is \['b'\]"),
        ({}, "row 1 has no 'text'; it has no key at all"),
        ({"text": "b", "split": "tset"}, "row 1: unknown split 'tset'"),
        (
            {"messages": []},
            r"has no 'text'; it has 'messages'; conversations are demonstrations: \{chats: FILE\}",
        ),
        ({"prompt": "a", "completion": "b"}, "conversations are demonstrations"),
    ],
)
def test_the_first_row_that_is_no_text_is_named_by_its_place(row: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        WrittenTexts([{"text": "a"}, row, {"text": 7}])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.txt", None, "there is no such file"),
        ("latin.txt", "caf\xe9 au lait".encode("latin-1"), "latin.txt:1: the byte 0xe9 .*save the file as UTF-8"),
        ("wide.txt", "wide".encode("utf-16"), "is text in UTF-16"),
        ("books.zip", b"PK\x03\x04", "is a zip archive"),
        ("empty.txt", b"", "there is no text to learn from"),
        ("rows.jsonl", b'{"text": ""}', "there is no text to learn from"),
        ("rows.jsonl", b'{"text": "a"}\n{"text": 1}', "rows.jsonl:2: its text is 1"),
        ("rows.jsonl", b"just text", "rows.jsonl:1: this line is not JSON"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(name: str, content: bytes | None, words: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words):
        WrittenTexts(str(tmp_path / name))


@pytest.mark.parametrize("source", ["", "  ", "nobody", "https://a.b/c.txt"])
def test_a_name_that_means_nothing_is_refused(source: str) -> None:
    with pytest.raises(UserError):
        WrittenTexts(source)


def test_text_that_nobody_types_is_said(tmp_path: Path) -> None:
    (tmp_path / "odd.txt").write_text("a\x00b and so on")
    (remark,) = WrittenTexts(tmp_path / "odd.txt").remarks
    assert "a NUL (in 1 of 1 texts)" in remark
