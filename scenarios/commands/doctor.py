"""The command that examines: `doctor`, of this machine, of a model, or of an agent in its worlds."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app import FAILED, Json, Quiet, Trust, Verbose, app, load_plugins, print_json, print_table, worlds_at_work

if TYPE_CHECKING:
    from ..doctor.checkup import Finding
    from ..doctor.patient import Patient

_LONG, _COLLECTIONS = 30.0, 25  # seconds that need a word before; how long all takes, in first collections


@app.command()
def doctor(
    model: Annotated[
        str | None,
        typer.Argument(help="A hub id, a folder, a .gguf file, package:NAME, or tiny; default: this machine."),
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Of a hub id.")] = None,
    run: Annotated[Path | None, typer.Option(help="A run directory: its agent in its worlds.")] = None,
    scenario: Annotated[str | None, typer.Option(help="A shipped scenario or a path to YAML: the same.")] = None,
    checkpoint: Annotated[str | None, typer.Option(help="Of a run: best, last or a number; default: last.")] = None,
    quiet: Quiet = False,
    trust: Trust = False,
    verbose: Verbose = False,
    json_: Json = False,
) -> None:
    """Examine this machine, a model and its chat template, or (`--run`, `--scenario`) an agent in its worlds."""
    from ...envs.errors import UserError

    given = {"MODEL": model, "--run": run, "--scenario": scenario}
    named = [str(value) if name == "MODEL" else f"{name} {value}" for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise UserError(f"{', '.join(named)} are {len(named)} patients; give one of MODEL, --run and --scenario")
    if revision is not None and model is None:
        raise UserError("--revision belongs to a model: peripatos doctor MODEL --revision REVISION")
    if checkpoint is not None and run is None:
        raise UserError(
            f"--checkpoint {checkpoint} belongs to a run: peripatos doctor --run RUN --checkpoint CHECKPOINT"
        )
    if run is not None or scenario is not None:
        load_plugins()
        if scenario is not None:
            _refuse_a_comparison(scenario)
        from ..doctor.patient import of_run, of_scenario

        patient = of_scenario(scenario or "") if run is None else of_run(run, checkpoint or "last")
        _examine(patient, quiet, json_)
    elif model is not None:
        _refuse_others(model)
        from ..doctor.model import examine

        _report(examine(model, revision=revision), json_)
    else:
        from ..doctor.machine import examine_machine

        _report(examine_machine(), json_)


def _refuse_a_comparison(name: str) -> None:
    """UserError where that is no scenario, but a comparison of methods in some."""
    from ...envs.errors import UserError
    from ..compare.comparison_file import find_comparison

    if (found := find_comparison([name])) is not None:
        scenario = next(iter(found.scenarios))
        raise UserError(f"{name} is a comparison; examine a scenario of it: peripatos doctor --scenario {scenario}")


def _refuse_others(model: str) -> None:
    """UserError for what has a flag of its own."""
    from ...envs.errors import UserError
    from ..config.loading import shipped
    from ..run.disk import typed
    from ..run.no_run import is_run

    as_typed = typed(Path(model))
    if is_run(Path(model)):
        raise UserError(f"{model} is a run and no model; to examine its agent: peripatos doctor --run {as_typed}")
    if model in shipped() or (model.endswith((".yaml", ".yml")) and Path(model).is_file()):
        raise UserError(f"{model} is a scenario and no model; to examine it: peripatos doctor --scenario {as_typed}")


def _report(findings: Iterable[Any], json_: bool) -> None:
    """A table of what was found; the exit code says whether something is fatal."""
    findings = list(findings)
    rows = [{"what": f.what, "result": f.result, "detail": f.detail} for f in findings]
    print_json(rows) if json_ else print_table(rows)
    if any(finding.fatal for finding in findings):
        raise typer.Exit(FAILED)


def _examine(opened: AbstractContextManager[Patient], quiet: bool, json_: bool) -> None:
    """Every check on an agent in its worlds; the exit code says whether one failed."""
    from ..doctor.checkup import CHECKS, examine
    from ..run.disk import finite
    from ..run.signals import tell

    found: list[Finding] = []
    with worlds_at_work(), opened as patient:
        for finding in examine(patient):
            found.append(finding)
            if quiet:
                continue
            tell(f"{len(found)} of {len(CHECKS)}, {finding.check}: {finding.verdict} ({finding.seconds:.1f} s)")
            in_all = patient.seconds * _COLLECTIONS
            if finding.check == "seeding" and in_all > _LONG:
                tell(f"a collection takes {patient.seconds:.0f} s, and all of this about {in_all:.0f} s")
    print_json(finite([asdict(one) for one in found])) if json_ else print_table(list(map(_row, found)))
    if any(one.verdict == "FAILED" for one in found):
        raise typer.Exit(FAILED)


def _row(finding: Finding) -> dict[str, str]:
    """As a table shows it."""
    figure, tolerance = finding.figure, finding.tolerance
    near = "" if figure is None else f"{figure:.2g} {'≤' if finding.verdict == 'passed' else '>'} {tolerance:g}"
    said = {"check": finding.check, "what": finding.says, "result": finding.verdict}
    return {**said, "figure": near, "detail": finding.detail}
