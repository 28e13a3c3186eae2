"""The command `play`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .app import (
    LARGEST,
    MOST,
    Json,
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
def play(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What peripatos export RUN --to onnx has written.")],
    episodes: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Default: as many as in the run's evaluations.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=LARGEST, help="Other held-out episodes than the run's own.")
    ] = None,
    trust: Trust = False,
    verbose: Verbose = False,
    json_: Json = False,
) -> None:
    """Play an agent out of a file of ONNX in its world, without torch, and print the return of each episode."""
    from ..play import episode_rows, play_file
    from ..run.several_worlds import spell_worlds, summarize_worlds

    load_plugins()
    with worlds_at_work():
        played = play_file(file, episodes=episodes, seed=seed)
    rows, summary = episode_rows(played), summarize_worlds(played.episodes)
    if json_:
        print_json({**summary, "played": rows})
        return
    print_table([{name: _shown(value) for name, value in row.items() if name != "metrics"} for row in rows])
    print_lines(spell_worlds(summary))


def _shown(value: object) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
