"""How a run stands or has ended, in a sentence for whoever looks at it: a run that was killed cannot say so itself."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from . import lock
from .checkpoint import checkpoints, in_place
from .disk import typed
from .logs import last_row
from .run_directory import RunDirectory
from .signals import Stopped, asked_to_end, tell

WHY = 500  # characters of the reason for which a run failed, in summary.json
TRACEBACK = "Traceback (most recent call last)"


def how_it_stands(run: RunDirectory, *, again: bool = True) -> str | None:
    """One sentence, and with `again` what to type; None of a run that is done, or of which nobody knows."""
    summary = run.summary()
    status = summary.get("status") or _of_a_beginning(run)
    row, saved = last_row(run.metrics), in_place(run.checkpoints)
    when = f"after update {row['update']}" if row else "before its first update was written down"
    left = f"its last checkpoint is {saved[-1].name}" if saved else "it has no checkpoint"
    to_go_on = f"; to go on: peripatos resume {typed(run.path)}" if again else ""
    match status:
        case "running":
            return f"{run.path} is being written by {lock.describe(run.path)}; this is how it stands {when}"
        case "died":
            return f"{run.path} died {when}: it was killed, or its machine stopped; {left}{to_go_on}"
        case "interrupted":
            return f"{run.path} was stopped {when}; {left}{to_go_on}"
        case "failed":
            why = f": {summary['why']}" if summary.get("why") else ""
            return f"{run.path} failed {when}{why}; {left}{to_go_on}"
        case _:
            return None


def tell_how_it_stands(run: RunDirectory, *, again: bool = True) -> None:
    """The same as a line on stderr, where there is something to say."""
    from ...envs.visible_text import visible  # brings gymnasium, which a page of help need not wait for

    text = how_it_stands(run, again=again)
    if text is not None and sys.stderr is not None:
        tell(visible(text))


def in_one_line(error: BaseException) -> str:
    """Why a run failed, with the cause: of each traceback in the error's text only what it ends with is kept."""
    told: list[str] = []
    inside = False  # a traceback, whose own lines are all indented
    for line in str(error).splitlines():
        inside = line.startswith(TRACEBACK) or (inside and line[:1] in ("", " "))
        if inside or not line.strip():
            continue
        told.append(line.strip())
    text = " ".join(told) or type(error).__name__
    return text if len(text) <= WHY else f"{text[: WHY - 1]}…"


@contextmanager
def stopped_when_done(words: str) -> Iterator[None]:
    """What is left to do of a run that is done. A signal within, or what a library that was interrupted while it was
    imported has made of one, becomes `Stopped` with `words`, where it has none yet."""
    try:
        yield
    except BaseException as problem:
        stopped = problem if isinstance(problem, Stopped) else asked_to_end()
        if stopped is None and isinstance(problem, KeyboardInterrupt):
            stopped = Stopped(signal.SIGINT)
        if stopped is None:
            raise
        raise Stopped(stopped.number, str(stopped) or words) from problem


def _of_a_beginning(run: RunDirectory) -> str | None:
    """The status of a run that has written no summary yet."""
    if (run.path / "summary.json").exists() or checkpoints(run.checkpoints):
        return None
    return "running" if lock.is_written(run.path) else "died"
