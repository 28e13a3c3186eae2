"""What was found wrong with a run's files and stepped over: a warning from Python, a line on stderr from a command."""

from __future__ import annotations

import warnings
from typing import TextIO

from ...envs.visible_text import visible
from .signals import tell


class Damaged(UserWarning):
    """A file of a run is not as it was written. The message says which, and what was used in its place."""


def notice(text: str) -> None:
    """Tell whoever looks that something was stepped over; the work goes on."""
    warnings.warn(text, Damaged, stacklevel=3)


def print_notices() -> None:
    """From here on each notice of this process is one line on stderr, and other warnings are as they were."""
    others, told = warnings.showwarning, set[str]()

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, Damaged):
            others(message, category, filename, lineno, file, line)
            return
        if str(message) not in told:  # several parts of a command may look at one file
            told.add(str(message))
            tell(visible(f"note: {message}"))

    warnings.filterwarnings("always", category=Damaged)
    warnings.showwarning = show
