"""Long texts that make a careless regular expression slow, and the clock that shows it.

A pattern of quadratic time needs seconds for 65,536 characters, one of linear time some milliseconds. What is counted
is the time of this thread on a processor, so that a busy machine changes little.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from peripatos.envs.thoughts import MARKS
from peripatos.envs.tools.call_formats import MARKERS

_LETTERS = ("a", " ", "\n", "1", "½", ";", '"', "\\", "<", "|", "=", "(", "[", "{", ")", "]", "-", "\ud800")
_PIECES = ("a ", "B. ", "B\n", "1 ", "1, ", "1)", "1+", "1=1 ", '{"a":', "[1,", "f(", "<|", "|>", "to=functions.f")
_MESSAGES = ("<|message|>", "<|channel|>", "<|start|>assistant", "<|end|>", "<|start|>assistant to=functions.f{}")
UNITS = (*_LETTERS, *_PIECES, *_MESSAGES, *MARKERS, *(mark for pair in MARKS for mark in pair))


def hostile_texts(length: int, before: str = "", after: str = "") -> Iterator[tuple[str, str]]:
    """What is repeated, and the text of about `length` characters that repeats it between `before` and `after`."""
    for unit in UNITS:
        yield unit, before + unit * ((length - len(before) - len(after)) // len(unit)) + after


def seconds(read: Callable[[str], object], text: str) -> float:
    """The processor time that `read` takes for `text`."""
    begun = time.thread_time()
    read(text)
    return time.thread_time() - begun
