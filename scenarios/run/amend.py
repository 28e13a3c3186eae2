"""Going on with a run: from where, with which scenario, and whether there is anything to do.

scenario.yaml is compared with what the checkpoint was made by. What may change (a budget, how often is evaluated) is
followed and said; what would mix two runs (a seed, a method, another order of stages) is refused with both values.
`--set` goes the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...envs.errors import UserError
from ..config.loading import apply_sets, check_scenario, dump_data, dump_scenario
from ..config.schema import Scenario
from ..config.yaml_text import Source
from .checkpoint import settle
from .compared import Differences, differences
from .counters import Progress
from .disk import disk_errors, typed, write_text
from .kept_episodes import damaged_files
from .logs import COMMANDS, KEPT, KnownLog, end_whole_line, find_damage
from .run_directory import RunDirectory
from .verified import Standing, find_standing


@dataclass(frozen=True)
class GoingOn:
    """What a resume begins with."""

    standing: Standing | None  # None: from the beginning
    notes: tuple[str, ...]  # what was stepped over, followed or written again, in sentences
    to_do: bool  # whether the run is not over
    scenario: Scenario | None = None  # what scenario.yaml should say, where it does not


def begin_again(run: RunDirectory, sets: Sequence[str] = ()) -> GoingOn:
    """`prepare`, and make the files fit to be written on. Only whoever may write calls this."""
    if not run.checkpoints.is_dir():
        raise UserError(
            f"{run.path} has a scenario.yaml and no folder checkpoints, so there is no run to go on with; begin one: "
            f"peripatos run {run.path}/scenario.yaml --out ANOTHER"
        )
    settle(run.checkpoints)
    going_on = prepare(run, sets)
    if going_on.standing is None and (lost := run.lost_checkpoints()):
        anew = f"peripatos run {typed(run.path / 'scenario.yaml')} --out ANOTHER"
        raise UserError(f"{lost} to go on from: put one back, or run again into another folder: {anew}")
    with disk_errors(run.path):
        if going_on.scenario is not None:
            write_text(run.path / "scenario.yaml", dump_scenario(going_on.scenario))
        for name in (COMMANDS, KEPT):
            end_whole_line(run.path / name)
    return going_on


def is_over(run: RunDirectory) -> bool:
    """Whether a run says that it is done, and is; nothing is written."""
    return run.summary().get("status") == "done" and not prepare(run).to_do


def prepare(run: RunDirectory, sets: Sequence[str] = ()) -> GoingOn:
    """Verify, compare, and put `--set` flags into the run's own scenario; nothing is written.

    UserError for a change that would make it another run; BadCheckpoint where no checkpoint is whole.
    """
    standing = find_standing(run)
    notes = [*(standing.problems if standing else ())]
    said, lost = _scenario(run, standing, notes)
    scenario = said
    if sets:
        source = Source(str(run.path / "scenario.yaml"))
        scenario = check_scenario(apply_sets(dump_data(said), sets, source), source)
    before = (standing.scenario if standing else None) or said
    if standing is not None and standing.scenario is None:
        notes.append(f"{standing.folder} was written by another version: scenario.yaml cannot be compared with it")
    found = differences(before, scenario, standing.progress if standing else None)
    if standing is not None or sets:
        _refuse(run, standing, before, scenario, found, sets)
    if found.followed:
        notes.append(f"scenario.yaml has changed, and is followed from here on: {'; '.join(found.followed)}")
    if standing is not None:
        notes += _other_damage(run, standing)
    to_do = _has_more_to_do(run, standing, scenario)
    if sets and found.followed and standing is not None and not to_do:
        raise _nothing_to_do(run, standing.progress, scenario, sets)
    return GoingOn(standing, tuple(notes), to_do, scenario if lost or sets else None)


def _other_damage(run: RunDirectory, standing: Standing) -> list[str]:
    """What is wrong with files that are only for reading, in sentences."""
    told = damaged_files(run.path)
    for name in (COMMANDS, KEPT):
        damage = find_damage(run.path / name, KnownLog.of(standing.known.get("logs", {}), name), standing.folder)
        if damage is not None:
            told.append(f"{damage}; it is only for reading, and the run goes on")
    return told


def _scenario(run: RunDirectory, standing: Standing | None, notes: list[str]) -> tuple[Scenario, bool]:
    """What scenario.yaml says, or, where it cannot be read, what a checkpoint knows; and whether that was so."""
    try:
        return run.scenario(), False
    except UserError as problem:
        known = standing.scenario if standing else None
        if standing is None or known is None:
            raise
        notes.append(f"{problem}; it is written again as checkpoint {standing.folder.name} knows it")
        return known, True


def _refuse(
    run: RunDirectory,
    standing: Standing | None,
    before: Scenario,
    after: Scenario,
    found: Differences,
    sets: Sequence[str],
) -> None:
    """UserError for what cannot change, in scenario.yaml or by the flags `sets`."""
    if found.over is not None:
        changed = "; ".join(
            text for text in (*found.followed, *found.refused) if text.startswith(f"stages.{found.over}.")
        )
        raise UserError(f"stage {found.over!r} is over, and others have come after it: {changed} cannot change")
    if not found.refused:
        return
    where = typed(run.path)
    anew = f"To begin from what it has learned, run a scenario with agent: {{from: {where}}}"
    names = [stage.name for stage in before.stages]
    if standing is not None and names != [stage.name for stage in after.stages]:
        raise UserError(
            f"checkpoint {standing.folder.name} of {run.path} stands in stage {standing.progress.stage + 1} of "
            f"{', '.join(names)}; scenario.yaml now has {', '.join(stage.name for stage in after.stages)}: put it "
            f"back, or start a new run. {anew}"
        )
    keys = [text.partition(" ")[0] for text in found.refused]
    if all(".collect.tile nothing → " in text for text in found.refused):
        raise UserError(
            f"{where} was begun without a cluster and plays all its groups together; workers would share them out "
            f"({'; '.join(found.refused)}), which makes it another run: leave cluster out. {anew}"
        )
    what = [key for key in dict.fromkeys(keys) if not any(key.startswith(f"{other}.") for other in keys)]
    flags = [f"--set {text}" for text in sets if any(f"{key}.".startswith(f"{_key(text)}.") for key in keys)]
    place, remedy = (f"{' '.join(flags)}: ", "leave it out") if flags else ("", "put it back")
    raise UserError(
        f"{place}{', '.join(what)} {'is' if len(what) == 1 else 'are'} what the run is made of, and cannot change "
        f"({'; '.join(found.refused)}): {remedy}. The run may go on with another budget or stop of a stage, and "
        f"other evaluation, checkpoint, failures, log, trackers, cluster. {anew}"
    )


def _key(text: str) -> str:
    """The key of a `--set`."""
    return text.partition("=")[0].strip()


def _nothing_to_do(run: RunDirectory, progress: Progress, scenario: Scenario, sets: Sequence[str]) -> UserError:
    """For flags with which a run that is over stays so: what its last stage has spent, and what would let it go on."""
    stage = scenario.stages[min(progress.stage, len(scenario.stages) - 1)]
    limits, spent = stage.budget.limits() if stage.budget is not None else {}, progress.spent_by_name(progress.seconds)
    used = [f"{spent[name]:g} {name}" for name in limits if spent[name] >= limits[name]]
    more = [f"--set stages.{stage.name}.budget.{name}={2 * spent[name]:.0f}" for name in limits if spent.get(name)]
    over = f"its last stage, {stage.name!r}, has ended" + (f" with {' and '.join(used)} spent" if used else "")
    remedy = f"; to go on, give it more, such as {' '.join(more)}" if used else ""
    return UserError(
        f"{' '.join(f'--set {text}' for text in sets)}: {typed(run.path)} is over ({over}), and this leaves nothing "
        f"to do; its scenario.yaml was not changed{remedy}"
    )


def _has_more_to_do(run: RunDirectory, standing: Standing | None, scenario: Scenario) -> bool:
    """What the checkpoint says decides; where only stages without a method are left, which leave no checkpoint, what
    summary.json says."""
    progress = standing.progress if standing else Progress()
    rest = scenario.stages[progress.next_stage() :]
    learns = any(stage.method is not None for stage in rest) and (standing is not None or scenario.learns)
    return learns or progress.may_go_on(scenario.stages) or run.summary().get("status") != "done"
