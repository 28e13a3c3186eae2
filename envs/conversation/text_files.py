"""Files of text, each of which is one text, and folders of them.

    book.txt  LICENSE  book.txt.gz      a file that holds no rows
    books                               every .txt and .text of a folder; of one without them every .md

In a folder train, validation and test stand in the names of files and folders, as they do of files of rows. What else a
folder holds is left out and counted: hidden files, other endings, links that lead to a folder or nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from .dataset_rows import is_saved
from .task_file import ENDINGS, check_packed_alone, ending_of, is_hidden, row_files, split_named

_TEXTS = (".txt", ".text")
_PAGES = (".md",)  # of a folder of .txt the README is none of its texts


@dataclass(frozen=True)
class TextFiles:
    """The files to learn from, and what is to be said of the others."""

    files: Sequence[Path]
    remarks: tuple[str, ...] = ()


def text_files(source: str | Path) -> TextFiles | None:
    """The files of text that a name means; None where it means rows.

    Raises:
        UserError: a folder that holds texts and rows, or neither, or whose files say no single way of splitting;
            a split of what has none.
    """
    path = Path(source).expanduser()
    before, colon, _ = str(path).rpartition(":")
    if colon and not path.exists() and Path(before).exists() and text_files(before) is not None:
        raise UserError(
            f"{str(source)!r} names a split, and {before} is text, which has no splits; name what is learned"
        )
    if path.is_dir():
        return None if is_saved(path) else _in_folder(path)
    is_text = not ending_of(path) and (path.is_file() or _ends_in(path, (*_TEXTS, *_PAGES)))
    return TextFiles([path]) if is_text else None


def _in_folder(folder: Path) -> TextFiles | None:
    # what is a folder and no link is gone through
    within = sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    seen = [path for path in within if path.is_file() and not is_hidden(path.relative_to(folder))]
    texts, rows = [path for path in seen if _ends_in(path, _TEXTS)], row_files(folder)
    if texts and rows:
        raise UserError(
            f"{folder} holds texts ({texts[0].name}) and rows ({rows[0].name}), and what is learned is of one kind; "
            "name the file of rows, or a folder of one kind"
        )
    if rows:
        return None
    texts = texts or [path for path in seen if _ends_in(path, _PAGES)]
    if not texts:
        ends = f"{', '.join((*_TEXTS, *_PAGES))} (texts), {', '.join(ENDINGS)} (rows)"
        raise UserError(f"cannot read {folder}: it is a folder, and no file in it ends in {ends}")
    check_packed_alone(texts)
    learned, remarks = _not_held_out(folder, texts)
    others = [path for path in within if path not in set(texts)]
    if others:
        first = others[0].relative_to(folder)
        remarks.append(
            f"{len(others):,} of {len(within):,} files of {folder} are no texts, and left out; the first is {first}"
        )
    return TextFiles(learned, tuple(remarks))


def _not_held_out(folder: Path, texts: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The files that are not for validation or testing by their names, and a remark on the others."""
    splits = {path: split_named(path.relative_to(folder)) for path in texts}
    unnamed = [path for path, split in splits.items() if not split]
    if unnamed and len(unnamed) < len(texts):
        raise UserError(
            f"the files of {folder} are train, validation or test by their names, but for {unnamed[0]}; rename it, or "
            "name what is learned alone"
        )
    learned = [path for path, split in splits.items() if split in ("", "train")]
    if not learned:
        raise UserError(
            f"all {len(texts):,} texts of {folder} are test or validation by their names, and such are held out; name "
            "the file to learn from it all the same"
        )
    out = f"{len(texts) - len(learned):,} of {len(texts):,} texts"
    held_out = [f"{out} are test or validation by their names, and are held out"] * (len(learned) < len(texts))
    return learned, held_out


def _ends_in(path: Path, endings: tuple[str, ...]) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(endings)
