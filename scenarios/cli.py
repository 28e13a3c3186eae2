"""The command line: `peripatos run | resume | evaluate | record | show | rescore | export | play | compare | sweep |
list | check`, `init` and `doctor`.

Data goes to stdout, progress to stderr. Exit codes: 0 done, 1 the run failed, 2 the user's mistake, 130 Ctrl-C,
143 SIGTERM, 129 SIGHUP.
Each command imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import typer

from .commands import compare, doctor, export, init, look, play, rescore, run, sweep  # noqa: F401 (each registers its commands, in this order)
from .commands.app import FAILED, INTERRUPTED, MISTAKE, app
from .run.noticed import print_notices
from .run.signals import BEFORE_ANYTHING, ending_by_signals, silence, tell
from .streams import data, stdout_for_data

WRITERS = ("record", "rescore", "export", "init")  # may have written something when stopped; runs say it themselves


def main() -> NoReturn:
    """The entry point: exit codes, and one message for a user's mistake."""
    _mend_streams()
    print_notices()
    sys.excepthook = _print_traceback
    writes = any(name in sys.argv[1:2] for name in WRITERS)
    words = "stopped; the same command begins again" if writes else BEFORE_ANYTHING
    with ending_by_signals(words) as heard, stdout_for_data():
        try:
            code = app(standalone_mode=False)
            if code == INTERRUPTED:  # what typer makes of a KeyboardInterrupt, without a word
                raise KeyboardInterrupt
            data().flush()
        except BrokenPipeError:  # `peripatos list | head`
            silence(data().fileno())
            code = FAILED
        except (Exception, KeyboardInterrupt) as problem:
            if heard:
                raise
            code = explain(problem)
        sys.exit(code if isinstance(code, int) else 0)


def _mend_streams() -> None:
    """A closed stdout or stderr swallows what is written; one that cannot hold a character escapes it."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 (as long as the process)
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A traceback, in which the words of strangers (a world, a server, a file) obey nobody."""
    from ..envs.visible_text import visible

    print(visible("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)


def explain(problem: BaseException) -> int:
    """The exit code of an error, after its message. A programming error is raised again."""
    if isinstance(problem, KeyboardInterrupt | typer.Abort):
        tell(str(problem) or "stopped")
        return getattr(problem, "code", INTERRUPTED)
    if isinstance(problem, typer.Exit):
        return problem.exit_code
    show = getattr(problem, "show", None)  # click's own errors: unknown flags, missing arguments
    if type(problem).__name__ == "NoArgsIsHelpError" and show is not None:
        show()
        return MISTAKE
    from ..envs.errors import UserError
    from ..envs.visible_text import visible

    if show is not None:
        from .commands.usage import usage_sentence

        print(visible(f"error: {usage_sentence(problem, sys.argv[1:])}"), file=sys.stderr)
        return MISTAKE

    if "-v" in sys.argv or "--verbose" in sys.argv:
        raise problem
    if isinstance(problem, UserError):
        print(visible(f"error: {problem}"), file=sys.stderr)
        return MISTAKE
    from .run.disk import WRITING_ENDS, RunFailed, in_words

    if isinstance(problem, RunFailed):
        print(visible(f"the run failed: {problem}"), file=sys.stderr)
        return FAILED
    if isinstance(problem, OSError) and problem.errno in WRITING_ENDS:
        what, remedy = in_words(problem)
        tell(visible(f"nothing more can be done: {what} ({problem}); {remedy}, then the same command again"))
        return FAILED
    from ..envs.user_code import broken, is_theirs

    if is_theirs(problem):
        print(visible(f"error: {broken('what the scenario names', problem)}"), file=sys.stderr)
        return MISTAKE
    raise problem
