"""The command line: `peripatos run | resume | evaluate | record | show | export | compare | list | check | doctor`.

Data goes to stdout, progress to stderr. Exit codes: 0 done, 1 the run failed, 2 the user's mistake, 130 Ctrl-C.
Each command imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

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

Set = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override any key of the scenario.")]
Seed = Annotated[int | None, typer.Option(min=0, help="The run's seed.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Tracebacks of mistakes as well.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]


@app.callback()
def _before_every_command(context: typer.Context) -> None:
    for name, value in BY_DEFAULT.items():
        os.environ.setdefault(name, value)


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
    verbose: Verbose = False,
    json_: Json = False,
) -> None:
    """Run a scenario from its beginning."""
    from .config.loading import dump_scenario, open_scenario

    flags = [*sets, *([] if seed is None else [f"seed={seed}"]), *([] if device is None else [f"device={device}"])]
    resolved, source = open_scenario(scenario, flags)
    if print_config:
        print(dump_scenario(resolved), end="")
    if print_config and not dry_run:
        return
    from .build import check_parts

    _load_plugins()
    check_parts(resolved, source)
    if dry_run:
        print(f"{resolved.name}: all is well; nothing was run", file=sys.stderr)
        return
    from ..envs.errors import UserError
    from .run.run_directory import RunDirectory, new_run_path

    directory = RunDirectory.create(out or new_run_path(resolved.name, resolved.seed), resolved, _command())
    try:
        _go(directory, quiet, json_)
    except UserError:
        directory.discard_unless_begun()
        raise


@app.command()
def resume(run_path: RunPath, quiet: Quiet = False, verbose: Verbose = False, json_: Json = False) -> None:
    """Go on with a run that was stopped, from its last checkpoint."""
    from .run.run_directory import RunDirectory

    _load_plugins()
    directory = RunDirectory.open(run_path)
    if directory.summary().get("status") == "done":
        print(f"{run_path} is finished already", file=sys.stderr)
        _report(directory.summary(), json_)
        return
    directory.note_command(_command())
    _go(directory, quiet, json_)


@app.command()
def evaluate(
    run_path: RunPath,
    episodes: Annotated[int | None, typer.Option(min=1, help="Default: as the scenario says.")] = None,
    checkpoint: Annotated[str, typer.Option(help="best, last or a number.")] = "best",
    seed: Annotated[int | None, typer.Option(min=0, help="Other held-out tasks than the run's own.")] = None,
    device: Device = None,
    verbose: Verbose = False,
    json_: Json = False,
) -> None:
    """Measure a run's agent on held-out episodes."""
    from .run.saved_agent import evaluate_run

    _load_plugins()
    _print_numbers(evaluate_run(run_path, checkpoint, episodes=episodes, seed=seed, device=device), json_)


@app.command()
def record(
    run_path: RunPath,
    checkpoint: Annotated[str, typer.Option(help="best, last or a number.")] = "best",
    seed: Annotated[int, typer.Option(min=0, help="Which episode.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Default: videos/ of the run.")] = None,
    gif: Annotated[bool, typer.Option("--gif", help="A gif as well.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Film a run's agent in its world, with the reward terms drawn in."""
    from .report.film import record_run
    from .run.display import make_display

    _load_plugins()
    for path in record_run(run_path, checkpoint, seed=seed, out=out, gif=gif, display=make_display(quiet=quiet)):
        print(path)


@app.command()
def show(
    run_path: RunPath,
    episode: Annotated[int, typer.Option(min=0, help="Which of the kept episodes.")] = 0,
    update: Annotated[int | None, typer.Option(min=0, help="After which update; default: the latest.")] = None,
    split: Annotated[str | None, typer.Option(help="train or test; default: train where it was kept.")] = None,
    by: Annotated[str, typer.Option(help="What colours a token: advantage, gap or logp.")] = "advantage",
    verbose: Verbose = False,
    json_: Json = False,
) -> None:
    """Read an episode: turns, tool calls, rewards, and a colour for every token."""
    from .report.terminal import print_transcript
    from .report.transcript import read_transcript, transcript_row

    _load_plugins()
    transcript = read_transcript(run_path, episode, update=update, split=split, by=by)
    if json_:
        _print_json(transcript_row(transcript))
    else:
        print_transcript(transcript)


@app.command()
def export(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A scenario, or a world: a Gymnasium id or module:Class.")
    ],
    episodes: Annotated[int, typer.Option(min=1, help="How many the oracle plays.")] = 100,
    seed: Seed = None,
    out: Annotated[Path | None, typer.Option(help="A new file; default: stdout.")] = None,
    sets: Set = [],  # noqa: B006 (typer copies it)
    verbose: Verbose = False,
) -> None:
    """Write the oracle's solved conversations as chat data, one JSON object a line, for any trainer."""
    from .export_chat import export_demonstrations, write_export

    _load_plugins()
    done = export_demonstrations(name, episodes, seed=seed, sets=sets)
    write_export(done, out)
    print(done.summary, file=sys.stderr)
    if not done.rows:
        raise typer.Exit(FAILED)


@app.command()
def compare(
    scenarios: Annotated[list[str], typer.Argument(help="Shipped scenarios or paths.")],
    methods: Annotated[str, typer.Option(help="Comma-separated.")],
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds: 0, 1, …")] = 3,
    out: Annotated[Path, typer.Option(help="The folder; one that exists is gone on with.")] = Path("runs/compare"),
    sets: Set = [],  # noqa: B006 (typer copies it)
    limit: Annotated[int | None, typer.Option(min=1, help="Processes at once; default: the cores.")] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json_: Json = False,
) -> None:
    """Run methods × scenarios × seeds with equal budgets, and tabulate them with intervals."""
    from .compare.findings import report
    from .compare.jobs import compare as run_compare

    _load_plugins()
    names = [name.strip() for name in methods.split(",") if name.strip()]
    try:
        outcomes = run_compare(scenarios, names, seeds, out, sets=sets, limit=limit, quiet=quiet)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    text, rows = report(outcomes, out)
    if json_:
        _print_json(rows)
    else:
        print(text)
    if any(outcome.failure for outcome in outcomes):
        raise typer.Exit(FAILED)


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(metavar="[worlds|methods|scenarios]")] = "scenarios",
    verbose: Verbose = False,
    json_: Json = False,
) -> None:
    """Print a table from the code."""
    from .report.tables import table

    _load_plugins()
    rows = table(what)
    if json_:
        _print_json(rows)
    else:
        _print_table(rows)


@app.command()
def check(
    world: Annotated[str, typer.Argument(help="A Gymnasium id or module:Class.")],
    verbose: Verbose = False,
    json_: Json = False,
) -> None:
    """Check that a world keeps the contract."""
    from ..envs.check import check_world

    _load_plugins()
    findings = check_world(world)
    rows = [{"check": f.check, "result": "passed" if f.passed else "FAILED", "detail": f.detail} for f in findings]
    if json_:
        _print_json(rows)
    else:
        _print_table(rows)
    if not all(finding.passed for finding in findings):
        raise typer.Exit(FAILED)


@app.command()
def doctor(
    model: Annotated[str, typer.Argument(help="A hub id, a folder, a .gguf file, package:NAME, or tiny.")],
    revision: Annotated[str | None, typer.Option(help="Of a hub id.")] = None,
    verbose: Verbose = False,
    json_: Json = False,
) -> None:
    """Examine a model and its chat template: what holds in conversations of many turns."""
    from .doctor import examine

    findings = examine(model, revision=revision)
    rows = [{"what": f.what, "result": f.result, "detail": f.detail} for f in findings]
    if json_:
        _print_json(rows)
    else:
        _print_table(rows)
    if any(finding.fatal for finding in findings):
        raise typer.Exit(FAILED)


def main() -> NoReturn:
    """The entry point: exit codes, and one message for a user's mistake."""
    _mend_streams()
    try:
        code = app(standalone_mode=False)
    except Exception as problem:
        sys.exit(_explain(problem))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _mend_streams() -> None:
    """A closed stdout or stderr swallows what is written; one that cannot hold a character escapes it."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 (as long as the process)
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _explain(problem: Exception) -> int:
    """The exit code of an error, after its message. A programming error is raised again."""
    if isinstance(problem, typer.Exit):
        return problem.exit_code
    show = getattr(problem, "show", None)  # click's own errors: unknown flags, missing arguments
    if show is not None:
        show()
        return MISTAKE
    from ..envs.errors import UserError

    if "-v" in sys.argv or "--verbose" in sys.argv:
        raise problem
    if isinstance(problem, UserError):
        print(f"error: {problem}", file=sys.stderr)
        return MISTAKE
    from .run.run_directory import FULL, RunFailed

    if isinstance(problem, RunFailed):
        print(f"the run failed: {problem}", file=sys.stderr)
        return FAILED
    if isinstance(problem, OSError) and problem.errno in FULL:
        print(f"nothing more can be written: {problem}", file=sys.stderr)
        return FAILED
    raise problem


def _go(directory: Any, quiet: bool, json_: bool) -> None:
    from .run.display import make_display
    from .run.runner import Interrupted, Runner

    display = make_display(quiet=quiet)
    try:
        summary = Runner(directory, display).go()
    except (Interrupted, KeyboardInterrupt):
        display.close()
        print(f"stopped; to go on: peripatos resume {directory.path}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    _draw(directory, display)
    _report(summary, json_, directory.path)


def _draw(directory: Any, display: Any) -> None:
    from .report.curves import draw_learning_curve
    from .run.run_directory import disk_errors

    with disk_errors(directory.path):
        path = draw_learning_curve(directory)
    if path:
        display.say(f"learning curve: {path}")


def _report(summary: Mapping[str, Any], json_: bool, path: Path | None = None) -> None:
    if json_:
        _print_json(dict(summary))
        return
    from .report.tables import summary_table

    _print_table(summary_table(summary))
    print(f"{summary['env_steps']:,} steps of the world, {summary['wall_s']:.0f} s" + (f", {path}" if path else ""))


def _print_numbers(numbers: Mapping[str, Any], json_: bool) -> None:
    if json_:
        _print_json(dict(numbers))
    else:
        from .run.episode_statistics import spell_evaluation

        print(spell_evaluation(dict(numbers)))


def _print_json(value: object) -> None:
    import json

    print(json.dumps(value, indent=2, ensure_ascii=False))


def _print_table(rows: Sequence[Mapping[str, str]]) -> None:
    from .report.text_table import print_table

    print_table(rows)


def _load_plugins() -> None:
    """Import the modules of the entry-point group `peripatos`; worlds, tools and methods register themselves."""
    for plugin in entry_points(group="peripatos"):
        try:
            plugin.load()
        except ImportError as problem:
            from ..envs.errors import UserError

            raise UserError(f"the plug-in {plugin.name!r} ({plugin.value}) cannot be imported: {problem}") from problem


def _command() -> list[str]:
    return ["peripatos", *sys.argv[1:]]
