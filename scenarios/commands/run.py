"""Commands that make a run or go on with one: `run`, `resume`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from .app import (
    Device,
    Json,
    Quiet,
    RunPath,
    Seed,
    Set,
    Trust,
    Verbose,
    app,
    command_line,
    load_plugins,
    print_json,
    print_lines,
)


@app.command()
def run(
    scenario: Annotated[str, typer.Argument(help="A shipped scenario or a path to YAML.")],
    seed: Seed = None,
    out: Annotated[Path | None, typer.Option(help="The run directory; default runs/NAME-SEED.")] = None,
    sets: Set = [],  # noqa: B006 (typer copies it)
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, run nothing.")] = False,
    print_config: Annotated[bool, typer.Option("--print-config", help="Print the resolved scenario.")] = False,
    device: Device = None,
    quiet: Quiet = False,
    trust: Trust = False,
    verbose: Verbose = False,
    json_: Json = False,
) -> None:
    """Run a scenario from its beginning."""
    from ..config.loading import Typed, dump_scenario, open_scenario

    given = {"seed": seed, "device": device}
    flags = [*sets, *(Typed.of(f"--{key}", value, key) for key, value in given.items() if value is not None)]
    resolved, source = open_scenario(scenario, flags)
    if print_config:
        print(dump_scenario(resolved), end="")
    if print_config and not dry_run:
        return
    from ..assembly.checks import check_parts
    from ..assembly.no_effect import remarks_on
    from ..config.mistakes import placed
    from ..run.beginning import check_place, rehearse_beginning

    load_plugins()
    from ..run.run_directory import RunDirectory
    from ..run.signals import Stopped

    with placed(source), check_parts(resolved, source) as worlds:
        resolved = check_place(resolved, out)
        if dry_run:
            begun = rehearse_beginning(resolved, worlds)
            remarks = [*worlds.remarks(), *worlds.decided(), *worlds.endless()]
            for remark in (*remarks_on(resolved), *remarks, *begun.said, *begun.warned):
                print(remark, file=sys.stderr)
            print(f"{resolved.name}: all is well; nothing was run", file=sys.stderr)
            return
        directory = RunDirectory.create(out, resolved, command_line())
        with directory.held():
            try:
                _go(directory, quiet, json_, worlds)
            except BaseException as problem:  # what a library makes of a signal may be anything
                if directory.discard_unless_begun() or not isinstance(problem, Stopped):
                    raise
                _stopped(directory, problem)


@app.command()
def resume(
    run_path: RunPath,
    sets: Set = [],  # noqa: B006 (typer copies it)
    quiet: Quiet = False,
    trust: Trust = False,
    verbose: Verbose = False,
    json_: Json = False,
) -> None:
    """Go on with a run that was stopped, from its last checkpoint; or, with a larger budget, with one that was done."""
    from ..run import lock
    from ..run.amend import begin_again, is_over
    from ..run.ended import tell_how_it_stands
    from ..run.noticed import notice
    from ..run.run_directory import RunDirectory
    from ..run.signals import Stopped

    load_plugins()
    directory = RunDirectory.open(run_path)
    directory.resumed = True
    if not sets and is_over(directory):
        _finished(directory, quiet, json_)
        return
    if not quiet and not lock.is_written(directory.path):
        tell_how_it_stands(directory, again=False)
    with directory.held(command_line()):
        going_on = begin_again(directory, sets)
        if not going_on.to_do:
            for note in going_on.notes:
                notice(note)
            _finished(directory, quiet, json_)
            return
        directory.note_command(command_line())
        try:
            _go(directory, quiet, json_, going_on=going_on)
        except Stopped as stopped:
            _stopped(directory, stopped)


def _go(directory: Any, quiet: bool, json_: bool, worlds: Any = None, going_on: Any = None) -> None:
    from ..report.curves import draw_if_possible
    from ..run.display import make_display
    from ..run.runner import Runner

    display = make_display(quiet=quiet)
    try:
        summary = Runner(directory, display, sources=worlds, going_on=going_on).go()
    finally:
        display.close()
    with _done(directory):
        draw_if_possible(directory, display)
        _report(summary, json_, directory.path)


def _finished(directory: Any, quiet: bool, json_: bool) -> None:
    """Tell of a run that was done before."""
    from ..report.curves import draw_if_missing

    print(f"{directory.path} is finished already", file=sys.stderr)
    with _done(directory):
        draw_if_missing(directory, quiet=quiet)
        _report(directory.summary(), json_)


@contextmanager
def _done(directory: Any) -> Iterator[None]:
    """A signal within says that the run is done, and ends the process."""
    from ..run.disk import typed
    from ..run.ended import stopped_when_done
    from ..run.signals import Stopped

    try:
        with stopped_when_done(f"stopped; the run is done: peripatos resume {typed(directory.path)} tells of it again"):
            yield
    except Stopped as stopped:
        _stopped(directory, stopped)


def _stopped(directory: Any, stopped: Any) -> NoReturn:
    from ..run.disk import typed
    from ..run.signals import tell

    tell(str(stopped) or f"stopped; to go on: peripatos resume {typed(directory.path)}")
    sys.exit(stopped.code)


def _report(summary: Mapping[str, Any], json_: bool, path: Path | None = None) -> None:
    if json_:
        print_json(dict(summary))
        return
    from ..report.tables import summary_lines

    print_lines(*summary_lines(summary, path))
