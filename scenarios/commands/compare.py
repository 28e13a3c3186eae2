"""The command `compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .app import (
    FAILED,
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
def compare(
    scenarios: Annotated[list[str], typer.Argument(help="Scenarios, or a comparison such as compare-quick.")],
    methods: Annotated[str | None, typer.Option(help="Comma-separated; a comparison has its own.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, max=MOST, help="How many seeds: 0, 1, … (default: 3)")] = None,
    out: Annotated[Path, typer.Option(help="The folder; one that exists is gone on with.")] = Path("runs/compare"),
    sets: Set = [],  # noqa: B006 (typer copies it)
    limit: Annotated[int | None, typer.Option(min=1, max=MOST, help="Processes at once; default: the cores.")] = None,
    quiet: Quiet = False,
    trust: Trust = False,
    verbose: Verbose = False,
    json_: Json = False,
) -> None:
    """Run methods × scenarios × seeds with equal budgets, and say what can be concluded."""
    from ..compare.findings import report, tables
    from ..compare.jobs import compare as run_compare

    load_plugins()
    wanted = separated(methods)
    with gone_on_with():
        compared = run_compare(scenarios, wanted, seeds, out, sets=sets, limit=limit, quiet=quiet)
        found = report(compared.results, out, compared.against)
        if json_:
            print_json(found)
        else:
            for heading, rows in tables(found).items():
                if rows:
                    print_lines("", f"{heading}:")
                    print_table(rows)
            print_lines(
                "",
                *found["conclusions"],
                *found["notes"],
                *found["settings"],
                *found["failures"],
                ", ".join(found["files"]),
            )
    if found["failures"]:
        raise typer.Exit(FAILED)
