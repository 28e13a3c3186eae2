"""The command `export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .app import (
    FAILED,
    MOST,
    Seed,
    Set,
    Trust,
    Verbose,
    app,
    load_plugins,
)


@app.command()
def export(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A scenario, or a world: a Gymnasium id or module:Class.")
    ],
    episodes: Annotated[int, typer.Option(min=1, max=MOST, help="How many the oracle plays.")] = 100,
    seed: Seed = None,
    out: Annotated[Path | None, typer.Option(help="A new file; default: stdout.")] = None,
    sets: Set = [],  # noqa: B006 (typer copies it)
    trust: Trust = False,
    verbose: Verbose = False,
) -> None:
    """Write the oracle's solved conversations as chat data, one JSON object a line, for any trainer."""
    from ..export_chat import export_demonstrations, write_export

    load_plugins()
    done = export_demonstrations(name, episodes, seed=seed, sets=sets)
    write_export(done, out)
    print(done.summary, file=sys.stderr)
    if not done.rows:
        raise typer.Exit(FAILED)
