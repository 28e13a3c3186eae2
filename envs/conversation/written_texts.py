"""Plain texts that somebody has written down, to learn from as they stand: nobody asks anything in them.

    "book.txt"                          a file that holds no rows is one text, of a folder each, see `text_files`
    "corpus.jsonl"                      rows {"text": …}, from wherever rows come, see `task_source`
    ["It was …", "There is …"]          a list of texts

What says that it is of the `split` test or validation is held out: nobody learns from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError, nearest
from .chat_rows import split_said
from .chat_world import placed_rows, to_learn
from .conversation_env import Split
from .task_columns import kind_of
from .task_file import read_text
from .task_rows import repeated, strange_characters
from .task_source import Picked, TaskSource
from .text_files import text_files

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
        read, of_files = _read(source, split)
        kept, held_out = to_learn(read, "texts")
        self.texts = tuple(kept)
        if not any(one.text for one in self.texts):
            raise UserError("there is no text to learn from")
        strange = strange_characters([(one.place, one.text) for one in self.texts], "texts")
        again = repeated([(one.place, one.text) for one in self.texts], "texts")
        self.remarks = (*of_files, *held_out, *again, *strange)


def _read(source: TaskSource, split: Picked | None) -> tuple[list[WrittenText], tuple[str, ...]]:
    """The texts, and what is to be said of files that are none."""
    found = text_files(source) if isinstance(source, str | Path) and str(source).strip() else None
    if found is None:
        return [_text_in(place, row) for place, row in placed_rows(source, split)], ()
    if split is not None:
        raise UserError(f"split is {split!r}, and {source} is text, which has no splits; leave it out")
    return [WrittenText(str(file), read_text(file)) for file in found.files], found.remarks


def _text_in(place: str, row: Mapping[str, Any] | str) -> WrittenText:
    """`UserError`, with its place, for a row that is no text."""
    if isinstance(row, str):
        return WrittenText(place, row)
    if not isinstance(row, Mapping):  # a list may hold anything
        raise UserError(f'{place} is {row!r:.60}; allowed is a text, or {{"text": "…"}}')
    if "text" not in row:
        keys = list(map(str, row))
        chats = "; conversations are demonstrations: {chats: FILE}" if set(keys) & set(_CHATS) else ""
        named = ", ".join(map(repr, keys)) or "no key at all"
        meant = nearest("text", keys)
        raise UserError(f"{place} has no 'text'; it has {named}{chats}.{meant}{' Then call it text.' * bool(meant)}")
    text = row["text"]
    if not isinstance(text, str):
        raise UserError(f"{place}: its text is {text!r:.60} ({kind_of(text)}); allowed is a text, as it stands")
    return WrittenText(place, text, split_said(place, row))
