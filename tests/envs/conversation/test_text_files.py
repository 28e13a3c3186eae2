"""Folders of text: what is learned, what is held out by its name, and what is left out and counted."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest

from peripatos.envs.conversation.task_source import placed_tasks
from peripatos.envs.conversation.written_texts import WrittenTexts
from peripatos.envs.errors import UserError


def folder(at: Path, *names: str) -> Path:
    """A folder of files that hold their own names."""
    for name in names:
        file = at / name
        file.parent.mkdir(parents=True, exist_ok=True)
        content = f"text,id\n{name},1\n" if name.endswith(".csv") else name
        file.write_bytes(gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())
    return at


@pytest.mark.parametrize(
    "names",
    [
        ("train.txt", "test.txt"),
        ("train/a.txt", "test/b.txt"),
        ("books_train.txt", "books_dev.txt", "books-test.text"),
        ("deep/training/a.md", "deep/val/a.md"),
        ("train/test_of_time.txt", "train/a.txt"),
        ("train1.txt", "test1.txt", "eval.txt"),
        ("human_eval_train.txt", "human_eval_test.txt", "train_holdout.txt"),
    ],
)
def test_files_that_are_for_testing_by_their_names_are_held_out_and_counted(
    names: Sequence[str], tmp_path: Path
) -> None:
    read = WrittenTexts(folder(tmp_path, *names))
    assert [len(read.texts), read.texts[0].text in names] == [1, True]
    assert "train" in read.texts[0].text
    out = len(names) - 1
    assert read.remarks == (f"{out} of {len(names)} texts are test or validation by their names, and are held out",)


def test_rows_are_held_out_by_the_names_of_their_folders_too(tmp_path: Path) -> None:
    rows = placed_tasks(folder(tmp_path, "train/a.csv", "test/b.csv", "test/._b.csv"))
    assert [task["split"] for _, task in rows if not isinstance(task, str)] == ["train", "test"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("a.txt", "meta.csv"), r"holds texts \(a.txt\) and rows \(meta.csv\)"),
        (("a.txt", "deep/meta.json"), r"holds texts \(a.txt\) and rows \(meta.json\)"),
        (("a.txt", "test.txt"), "train, validation or test by their names, but for .*a.txt"),
        (("test.txt", "val.txt"), "all 2 texts of .* are test or validation by their names"),
        (("a.txt", "a.txt.gz"), r"a.txt lies beside a.txt.gz, and the one is the other, packed"),
        ((), r"no file in it ends in .txt, .text, .md \(texts\), .jsonl"),
        (("cover.png",), r"no file in it ends in .txt, .text, .md \(texts\), .jsonl"),
        ((".hidden.txt",), "no file in it ends in .txt"),
    ],
)
def test_a_folder_that_is_not_clear_is_refused(names: Sequence[str], words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        WrittenTexts(folder(tmp_path, *names))


def test_what_else_is_in_a_folder_is_left_out_and_counted(tmp_path: Path) -> None:
    books = folder(tmp_path / "books", "a.txt", "b.text", "c.txt.gz", "._a.txt", ".git/HEAD.txt", "README.md", "d.png")
    (books / "lost.txt").symlink_to(tmp_path / "nowhere.txt")
    (books / "linked").symlink_to(folder(tmp_path / "more", "e.txt"))
    (books / "good.txt").symlink_to(tmp_path / "more" / "e.txt")
    read = WrittenTexts(books)
    assert [one.text for one in read.texts] == ["a.txt", "b.text", "c.txt.gz", "e.txt"]
    left = f"6 of 10 files of {books} are no texts, and left out; the first is ._a.txt"
    assert read.remarks == (left,)


def test_a_readme_beside_rows_is_no_text_of_theirs_and_a_folder_of_pages_is_all_its_pages(tmp_path: Path) -> None:
    assert [one.text for one in WrittenTexts(folder(tmp_path / "rows", "README.md", "a.csv")).texts] == ["a.csv"]
    assert [one.text for one in WrittenTexts(folder(tmp_path / "pages", "b.md", "c.md")).texts] == ["b.md", "c.md"]


@pytest.mark.parametrize("name", ["book.txt", "books"])
def test_a_text_has_no_splits(name: str, tmp_path: Path) -> None:
    folder(tmp_path, "book.txt", "books/a.txt")
    with pytest.raises(UserError, match=f"names a split, and .*{name} is text, which has no splits"):
        WrittenTexts(f"{tmp_path / name}:test")
