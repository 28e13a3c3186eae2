"""Commands that look at what is there: `evaluate`, `record`, `show`, `list`, `check`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ..streams import data
from .app import (
    FAILED,
    LARGEST,
    MOST,
    Device,
    Json,
    Quiet,
    RunPath,
    Set,
    Trust,
    Verbose,
    app,
    load_plugins,
    print_json,
    print_lines,
    print_table,
    worlds_at_work,
)


@app.command()
def evaluate(
    run_path: RunPath,
    episodes: Annotated[int | None, typer.Option(min=1, max=MOST, help="Default: as the scenario says.")] = None,
    checkpoint: Annotated[str, typer.Option(help="best, last or a number.")] = "best",
    seed: Annotated[
        int | None, typer.Option(min=0, max=LARGEST, help="Other held-out tasks than the run's own.")
    ] = None,
    world: Annotated[str | None, typer.Option(help="Another world's id; its options by --set world.options.…")] = None,
    sample: Annotated[bool, typer.Option("--sample", help="Draw actions as in training, not the likeliest.")] = False,
    temperature: Annotated[float | None, typer.Option(help="Draw tokens at this temperature.")] = None,
    k: Annotated[int, typer.Option("--k", min=1, max=MOST, help="Draw so many episodes of each task: pass@k.")] = 1,
    sets: Set = [],  # noqa: B006 (typer copies it)
    device: Device = None,
    trust: Trust = False,
    verbose: Verbose = False,
    json_: Json = False,
) -> None:
    """Measure a run's agent on held-out episodes, in its world or another, greedily or drawn."""
    from ..config.loading import Typed
    from ..run.ended import tell_how_it_stands
    from ..run.run_directory import RunDirectory
    from ..run.saved_agent import Examination, evaluate_run

    load_plugins()
    tell_how_it_stands(RunDirectory.open(run_path))
    flags: list[str] = [*([] if world is None else [Typed.of("--world", world, "world", inside="id")]), *sets]
    flags += [] if temperature is None else [Typed.of("--temperature", temperature, "sampling.temperature")]
    how = Examination(episodes, seed, sample or temperature is not None, k, flags)
    with worlds_at_work():
        numbers = evaluate_run(run_path, checkpoint, how, device=device)
    _print_numbers(numbers, json_)


@app.command()
def record(
    run_path: RunPath,
    checkpoint: Annotated[str, typer.Option(help="best, last or a number.")] = "best",
    seed: Annotated[int, typer.Option(min=0, max=LARGEST, help="Which episode.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Default: videos/ of the run.")] = None,
    gif: Annotated[bool, typer.Option("--gif", help="A gif as well.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, max=MOST, help="Most steps of it; default: 2000.")] = None,
    sets: Set = [],  # noqa: B006 (typer copies it)
    quiet: Quiet = False,
    trust: Trust = False,
    verbose: Verbose = False,
    json_: Json = False,
) -> None:
    """Film a run's agent in its world, with the reward terms drawn in; where the world has feet, tell of the gait."""
    from ...envs.visible_text import visible
    from ..report.film import MOST_STEPS, record_run
    from ..run.display import make_display
    from ..run.signals import tell

    load_plugins()
    display = make_display(quiet=quiet)
    with worlds_at_work():
        films = record_run(
            run_path, checkpoint, seed=seed, out=out, gif=gif, display=display, most=limit or MOST_STEPS, sets=sets
        )
    if json_:
        print_json([{**asdict(film), "files": list(map(str, film.files))} for film in films])
        return
    for film in films:
        for path in film.files:
            print(path, file=data(), flush=True)
        if film.gait is not None:
            words = film.gait.spelled()
            tell(visible(f"{film.world}: {words}" if film.world else words))


@app.command()
def show(
    run_path: RunPath,
    episode: Annotated[int, typer.Option(min=0, max=MOST, help="Which of the kept episodes.")] = 0,
    update: Annotated[
        int | None, typer.Option(min=0, max=LARGEST, help="After which update; default: the latest.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="train, test or validation; default: train where it was kept.")
    ] = None,
    by: Annotated[
        str, typer.Option(help="What colours a token: advantage, weight, gap, entropy, value or logp.")
    ] = "advantage",
    verbose: Verbose = False,
    json_: Json = False,
) -> None:
    """Read an episode: turns, tool calls, rewards, and a colour for every token; and how the run ended."""
    from ..report.terminal import print_transcript
    from ..report.transcript import read_transcript, transcript_row
    from ..run.ended import tell_how_it_stands
    from ..run.run_directory import RunDirectory

    load_plugins()
    tell_how_it_stands(RunDirectory.open(run_path))
    transcript = read_transcript(run_path, episode, update=update, split=split, by=by)
    if json_:
        print_json(transcript_row(transcript))
    else:
        print_transcript(transcript)


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(metavar="[worlds|methods|presets|scenarios]")] = "scenarios",
    name: Annotated[
        str | None,
        typer.Option("--show", metavar="NAME", help="One method: formulas, words and every constant; or one preset."),
    ] = None,
    framework: Annotated[
        str | None, typer.Option("--compat", metavar="trl|verl|prime-rl", help="What is otherwise there; with --show.")
    ] = None,
    verbose: Verbose = False,
    json_: Json = False,
) -> None:
    """Print a table from the code, or all of one method or preset."""
    from ...envs.errors import UserError
    from ..report.tables import detail, table

    load_plugins()
    if name is not None:
        lines = detail(what, name, framework)
        print_json(lines) if json_ else print_lines(*lines)
        return
    if framework is not None:
        raise UserError("--compat is about one method: peripatos list methods --show NAME --compat " + framework)
    rows = table(what)
    if json_:
        print_json(rows)
    else:
        print_table(rows)


@app.command()
def check(
    world: Annotated[
        str, typer.Argument(help="A Gymnasium id, module:Class, or a scenario, whose worlds have its options.")
    ],
    sets: Set = [],  # noqa: B006 (typer copies it)
    audit: Annotated[bool, typer.Option("--audit", help="Search blind strategies that the world pays.")] = False,
    episodes: Annotated[int, typer.Option(min=1, max=MOST, help="Of an audit, for each of the best strategies.")] = 60,
    split: Annotated[str, typer.Option(help="Of an audit: train or test.")] = "train",
    verbose: Verbose = False,
    json_: Json = False,
) -> None:
    """Check that a world keeps the contract, or (`--audit`) that it pays for its task and for nothing else."""
    from ...envs.errors import UserError
    from ..config.loading import shipped

    load_plugins()
    is_scenario = world in shipped() or world.endswith((".yaml", ".yml"))
    if audit and is_scenario:
        raise UserError(f"{world!r} is a scenario, and an audit is of a world by its id")
    if sets and not is_scenario:
        raise UserError(
            f"--set is for the worlds of a scenario, and {world!r} is none; write a file with the world in it"
        )
    if audit:
        _audit(world, episodes, split, json_)
        return
    with worlds_at_work():
        rows = _checked_scenario(world, sets) if is_scenario else _checked(world)
    if json_:
        print_json(rows)
    else:
        print_table(rows)
    if any(row["result"] == "FAILED" for row in rows):
        raise typer.Exit(FAILED)


def _checked(world: Any, **options: Any) -> list[dict[str, str]]:
    """A row for each check of a world, given by name or as it is."""
    from ...envs.check import check_world

    return [
        {
            "check": found.check,
            "result": ("passed" if found.tested else "untested") if found.passed else "FAILED",
            "detail": found.detail,
        }
        for found in check_world(world, **options)
    ]


def _checked_scenario(name: str, sets: Sequence[str]) -> list[dict[str, str]]:
    """The same of each of a scenario's worlds, as the scenario has them."""
    from ..assembly.worlds import WorldSources
    from ..config.loading import load_scenario

    scenario, rows = load_scenario(name, sets), []
    with WorldSources.of(scenario) as sources:
        for which, one in scenario.alone().items():
            bodies = sources[which].facts.kind == "control"  # in the wrappers that the scenario puts around them
            found = _checked(sources[which].make()) if bodies else _checked(one.world.id, **one.world.options)
            rows += [{"world": which, **row} if which else row for row in found]
    return rows


def _audit(world: str, episodes: int, split: str, json_: bool) -> None:
    from ...envs.auditing import audit_world
    from ..report.audit_tables import audit_row, print_audit

    audit = audit_world(world, episodes=episodes, split=split)
    if json_:
        print_json(audit_row(audit))
    else:
        print_audit(audit)
    if not audit.passed:
        raise typer.Exit(FAILED)


def _print_numbers(numbers: Mapping[str, Any], json_: bool) -> None:
    if json_:
        print_json(dict(numbers))
    else:
        from ..run.several_worlds import spell_worlds

        print_lines(spell_worlds(dict(numbers)))
