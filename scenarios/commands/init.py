"""The command `init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .app import app, gone_on_with, print_lines


@app.command()
def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the world and its folder, such as word_games.")],
    kind: Annotated[str, typer.Option(help="language, tool, control or dataset.")] = "language",
) -> None:
    """Write a new world as a package of its own: the world, its test, a scenario, and a README with four commands."""
    from ..start import begin

    made = begin(name, kind, Path())
    with gone_on_with(f"stopped; {name} is written all the same"):
        print_lines(*map(str, made), f"next: cd {name} && peripatos check {made[-1].parent.name}:{_class_of(made)}")


def _class_of(made: list[Path]) -> str:
    title = next(path for path in made if path.name == "README.md").read_text(encoding="utf-8").splitlines()[0]
    return title.removeprefix("# ")
