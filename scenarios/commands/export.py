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
    worlds_at_work,
)


@app.command()
def export(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A scenario, a world (a Gymnasium id or module:Class), a run directory, or a file of its episodes.",
        ),
    ],
    episodes: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="How many the oracle plays; default: 100.")
    ] = None,
    seed: Seed = None,
    out: Annotated[Path | None, typer.Option(help="A new file; default: stdout.")] = None,
    sets: Set = [],  # noqa: B006 (typer copies it)
    merged: Annotated[bool, typer.Option("--merged", help="Of a run: add its adapter (LoRA) to its base.")] = False,
    to: Annotated[
        Path | None,
        typer.Option(help="Of a run: a new folder (default: RUN/model), onnx (RUN/model.onnx) or FILE.onnx."),
    ] = None,
    checkpoint: Annotated[str | None, typer.Option(help="Of a run: best, last or a number; default: best.")] = None,
    trust: Trust = False,
    verbose: Verbose = False,
) -> None:
    """Write the oracle's solved conversations, or those of RUN/episodes/FILE.jsonl, as chat data, a JSON object a line;
    or the model of a run: as a folder for transformers, of an agent in a body as ONNX, which peripatos play plays."""
    from ...envs.errors import UserError
    from ..config.loading import shipped

    load_plugins()
    of_worlds = {"--episodes": episodes, "--seed": seed, "--out": out, "--set": sets or None}
    of_runs = {"--merged": merged or None, "--to": to, "--checkpoint": checkpoint}
    is_run = name not in shipped() and Path(name).is_dir()
    strange = [flag for flag, value in (of_worlds if is_run else of_runs).items() if value is not None]
    if strange and not is_run:
        from ..run.no_run import no_run

        raise UserError(f"{strange[0]} is for the model of a run, and {no_run(Path(name))}")
    if strange:
        what = f"a folder, so it is the model of a run that is exported; allowed are {', '.join(of_runs)}"
        raise UserError(f"{strange[0]}: {name} is {what}{_its_episodes(Path(name))}")
    if is_run:
        print(_export_run(Path(name), to, checkpoint or "best", merged), file=sys.stderr)
        return
    from ..export_chat import check_export, export_demonstrations, write_export

    check_export(out)
    if name.endswith(".jsonl") and Path(name).is_file():
        from ..export_episodes import export_episodes

        if oracles := [flag for flag, value in of_worlds.items() if value is not None and flag != "--out"]:
            raise UserError(f"{oracles[0]} is for what the oracle plays, and {name} was played already; leave it out")
        done = export_episodes(Path(name))
    else:
        done = export_demonstrations(name, episodes or 100, seed=seed, sets=sets)
    write_export(done, out)
    print(done.summary, file=sys.stderr)
    if not done.rows:
        raise typer.Exit(FAILED)


def _its_episodes(run: Path) -> str:
    """How what the run's agent said is exported; empty where none of it was kept."""
    files = sorted(run.glob("episodes/*-train.jsonl"))
    return f". Its episodes: peripatos export {files[-1]} --out chats.jsonl" if files else ""


def _export_run(run: Path, to: Path | None, checkpoint: str, merged: bool) -> str:
    """The model of a run; what was done, in a sentence."""
    if to is not None and (to == Path("onnx") or to.suffix == ".onnx"):
        from ...envs.errors import UserError
        from ..export_onnx import export_onnx

        if merged:
            raise UserError("--merged adds the adapter of a language model, and a file of ONNX has none; leave it out")
        with worlds_at_work():
            return export_onnx(run, to if to.suffix else None, checkpoint=checkpoint)
    from ..export_model import export_model

    return export_model(run, to, checkpoint=checkpoint, merged=merged)
