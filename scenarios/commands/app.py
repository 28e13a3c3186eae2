"""What every command shares: the application, its flags, exit codes, and how tables and JSON are printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ..streams import claim_stdout, data

FAILED, MISTAKE, INTERRUPTED = 1, 2, 130
BY_DEFAULT = {  # no pings and banners of dependencies, no spinning threads; whoever sets these keeps their value
    "OMP_WAIT_POLICY": "PASSIVE",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "PYGAME_HIDE_SUPPORT_PROMPT": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

app = typer.Typer(
    help="One gymnasium for thinkers and walkers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

MOST = 1_000_000  # episodes that a command plays, of which all are held
LARGEST = 2**63 - 1  # a seed or a number of an update

Set = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override any key of the scenario.")]
Seed = Annotated[int | None, typer.Option(min=0, max=LARGEST, help="The run's seed.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Tracebacks of mistakes as well.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Trust = Annotated[
    bool,
    typer.Option("--trust", callback=lambda value: _trust(value), help="Let the scenario name and call anything."),
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]


def _trust(value: bool) -> bool:
    if value:
        from ...envs.named_objects import trust_names

        trust_names()
    return value


@app.callback()
def _before_every_command(context: typer.Context) -> None:
    for name, value in BY_DEFAULT.items():
        os.environ.setdefault(name, value)
    if not {"-h", "--help"} & {*sys.argv}:
        _need_current_folder()


def _need_current_folder() -> None:
    """UserError where it is gone: some libraries end the process without a word while they are imported there."""
    try:
        Path.cwd()
    except OSError:
        from ...envs.named_objects import current_folder

        current_folder()


def print_json(value: object) -> None:
    """On stdout, for programs."""
    import json

    from ...envs.visible_text import json_visible

    print(json_visible(json.dumps(value, indent=2, ensure_ascii=False)), file=data(), flush=True)


def print_table(rows: Sequence[Mapping[str, str]]) -> None:
    """On stdout, for people."""
    from ..report import text_table

    text_table.print_table(rows)


def print_lines(*lines: str) -> None:
    """Sentences on stdout, for people."""
    from ..report import text_table

    text_table.print_lines(*lines)


@contextmanager
def gone_on_with(words: str = "stopped; the same command goes on from here") -> Iterator[None]:
    """Where the same command goes on with whatever a signal stops, reports and tables too, or where other `words` are
    true: they are said, whatever a library has made of the signal."""
    from ..run.signals import asked_to_end, tell

    try:
        yield
    except BaseException:
        if (stopped := asked_to_end()) is None:
            raise
        tell(words)
        sys.exit(stopped.code)


def load_plugins() -> None:
    """Import the modules of the entry-point group `peripatos`; worlds, tools and methods register themselves.
    From here on stdout is for data."""
    from ...envs.plugins import import_plugins

    claim_stdout()
    import_plugins()


@contextmanager
def worlds_at_work() -> Iterator[None]:
    """Where worlds are played without a run: what is waited for is said, nothing of theirs ends the process, and a
    signal that one has swallowed ends what is played all the same."""
    from ...agents.protocols import PolicyNotFinite
    from ...envs.contained import no_exit, watch
    from ..run.disk import RunFailed
    from ..run.signals import asked_to_end, tell

    try:
        with no_exit(), watch(tell, deadline=lambda: None if asked_to_end() is None else 0.0):
            yield
    except PolicyNotFinite as broken:
        raise RunFailed(f"the policy gives NaN: {broken}") from broken


def command_line() -> list[str]:
    """What was typed, for the record of a run."""
    return ["peripatos", *sys.argv[1:]]


def separated(names: str | None) -> list[str] | None:
    """What a flag lists with commas between; None where it was not given."""
    return None if names is None else [name.strip() for name in names.split(",") if name.strip()]
