"""Plain texts that somebody has written down, to learn from as they stand: nobody asks anything in them.

    "book.txt"                          a file that holds no rows is one text; of a folder of .txt each file is
    "corpus.jsonl"                      rows {"text": …}, from wherever rows come, see `task_source`
    ["It was …", "There is …"]          a list of texts

What says that it is of the `split` test or validation is held out: nobody learns from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError, nearest
from .chat_world import placed_rows, split_said, to_learn
from .conversation_env import Split
from .dataset_rows import is_saved
from .task_columns import kind_of
from .task_file import ending_of, read_text
from .task_rows import strange_characters
from .task_source import Picked, TaskSource

_ENDINGS = (".txt", ".md")
_CHATS = ("messages", "conversations", "completion")


@dataclass(frozen=True)
class WrittenText:
    """One text, and where it stands."""

    place: str
    text: str
    split: Split | None = None  # None: nobody has said


class WrittenTexts:
    """The texts of a source.

    Args:
        source: a file or a folder of text, or where rows come from (`task_source`).
        split: as for `TaskWorld`: one split of the rows.

    Raises:
        UserError: a source that cannot be read, the first row that is no text, or no text at all.
    """

    def __init__(self, source: TaskSource, split: Picked | None = None) -> None:
        read = list(_read(source, split))
        kept, self.remarks = to_learn(read, "texts")
        self.texts = tuple(kept)
        if not any(one.text for one in self.texts):
            raise UserError("there is no text to learn from")
        self.remarks += tuple(strange_characters([(one.place, one.text) for one in self.texts], "texts"))


def _read(source: TaskSource, split: Picked | None) -> Iterator[WrittenText]:
    files = _files(Path(source).expanduser()) if isinstance(source, str | Path) and str(source).strip() else []
    if files and split is not None:
        raise UserError(f"split is {split!r}, and {source} is text, which has no splits; leave it out")
    if files:
        yield from (WrittenText(str(file), read_text(file)) for file in files)
    else:
        yield from (_text_in(place, row) for place, row in placed_rows(source, split))


def _files(path: Path) -> list[Path]:
    """The files of text that a name means; none where it means rows."""
    if path.is_dir() and not is_saved(path):
        within = sorted(file for file in path.rglob("*") if file.is_file())
        return [] if any(map(ending_of, within)) else [file for file in within if file.suffix.lower() in _ENDINGS]
    is_text = not ending_of(path) and (path.is_file() or path.suffix.lower() in _ENDINGS)
    return [path] if is_text else []


def _text_in(place: str, row: Mapping[str, Any] | str) -> WrittenText:
    """`UserError`, with its place, for a row that is no text."""
    if isinstance(row, str):
        return WrittenText(place, row)
    if "text" not in row:
        keys = list(map(str, row))
        chats = "; conversations are demonstrations: {chats: FILE}" if set(keys) & set(_CHATS) else ""
        named = ", ".join(map(repr, keys)) or "no key at all"
        raise UserError(f"{place} has no 'text'; it has {named}{chats}.{nearest('text', keys)}")
    text = row["text"]
    if not isinstance(text, str):
        raise UserError(f"{place}: its text is {text!r:.60} ({kind_of(text)}); allowed is a text, as it stands")
    return WrittenText(place, text, split_said(place, row))
