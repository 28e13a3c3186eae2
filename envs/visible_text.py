"""Text of strangers, made harmless for a terminal: what would be obeyed is spelled out."""

from __future__ import annotations

import json
import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """`text` for people: everything that is not printable is spelled out, newlines and tabs excepted."""
    return "".join(c if c.isprintable() or c in "\n\t" else _spelled(c) for c in text)


def without_controls(text: str) -> str:
    """`text` for an agent: control characters, changes of direction and lone surrogates are spelled out; newlines, tabs
    and everything that is written (such as joined emoji) stay.
    """
    return _CONTROL.sub(lambda found: _spelled(found[0]), text.replace("\r\n", "\n"))


def json_visible(text: str) -> str:
    """JSON for a terminal: what is not printable is written as JSON's own escapes, so that it is read back the same."""
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode()
