"""The command `rescore`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from .app import Json, RunPath, Set, Trust, Verbose, app, load_plugins, print_json


@app.command()
def rescore(
    run_path: RunPath,
    grader: Annotated[
        str | None, typer.Option(help="A grader such as maths, or module:function; default: the reward as it is now.")
    ] = None,
    update: Annotated[int | None, typer.Option(min=0, help="Only what was kept after this update.")] = None,
    sets: Set = [],  # noqa: B006 (typer copies it)
    trust: Trust = False,
    verbose: Verbose = False,
    json_: Json = False,
) -> None:
    """Grade a run's kept episodes anew, without sampling; the new numbers stand beside the first."""
    from ..report.rescore_tables import print_rescored
    from ..rescore import rescore as grade_anew

    load_plugins()
    files = grade_anew(run_path, grader=grader, sets=sets, update=update)
    if json_:
        print_json([{**asdict(file), "folder": file.folder and str(file.folder)} for file in files])
    else:
        print_rescored(files)
