"""The command `sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .app import (
    FAILED,
    LARGEST,
    MOST,
    Json,
    Quiet,
    Set,
    Trust,
    Verbose,
    app,
    gone_on_with,
    load_plugins,
    print_json,
    print_lines,
    print_table,
    separated,
)


@app.command()
def sweep(
    scenarios: Annotated[list[str], typer.Argument(help="Scenarios, or a comparison with its `search`.")],
    methods: Annotated[str | None, typer.Option(help="Comma-separated; a comparison has its own.")] = None,
    trials: Annotated[int, typer.Option(min=1, max=MOST, help="Settings to try for each method and scenario.")] = 8,
    seeds: Annotated[int, typer.Option(min=1, max=MOST, help="Runs of each trial: seeds 1000, 1001, …")] = 1,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST, help="Of the settings that are drawn.")] = 0,
    out: Annotated[Path, typer.Option(help="The folder; one that exists is gone on with.")] = Path("runs/sweep"),
    sets: Set = [],  # noqa: B006 (typer copies it)
    limit: Annotated[int | None, typer.Option(min=1, max=MOST, help="Processes at once; default: the cores.")] = None,
    quiet: Quiet = False,
    trust: Trust = False,
    verbose: Verbose = False,
    json_: Json = False,
) -> None:
    """Search settings for every method and scenario with one small budget, away from what results are reported on."""
    from ..compare.sweep import cost_sentence, tables
    from ..compare.sweep import sweep as run_sweep
    from ..compare.trials import SweepBudget
    from ..run.disk import typed

    load_plugins()
    wanted = separated(methods)
    budget = SweepBudget(trials, seeds, seed)
    with gone_on_with():
        found = run_sweep(scenarios, wanted, budget, out, sets=sets, limit=limit, quiet=quiet)
        if json_:
            print_json(found)
        else:
            for heading, rows in tables(found).items():
                print_lines("", f"{heading}:")
                print_table(rows)
            compare = f"peripatos compare {typed(Path(found['files'][-1]))}"
            print_lines(
                "", *found["sentences"], *found["failures"], cost_sentence(found), f"Compare with them: {compare}"
            )
    if found["failures"]:
        raise typer.Exit(FAILED)
