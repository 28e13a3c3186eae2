"""Which methods of a comparison read the runs of others, and whether what they read will be there.

A run that is still to be made leaves the last checkpoint and the best, and of others the newest, of which only a budget
in updates says the numbers beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...envs.errors import UserError, nearest
from ..config.roles import ModelSpec
from ..config.schema import Scenario
from ..run.checkpoint import KEPT
from ..run.run_directory import RunDirectory
from ..run.saved_agent import find_checkpoint


def who_reads(changed: Mapping[str, Scenario], first: int) -> dict[str, list[str]]:
    """Of each method those whose runs its stage, the one at `first`, reads; `changed` are the scenarios by their
    methods. UserError where they would wait for each other, and for what nobody will have made."""
    reads = {name: names_read(name, changed, first) for name in changed}
    for name in reads:
        waits = list(reads[name])
        for other in waits:  # grows, and ends: a name is added once
            waits += [one for one in reads[other] if one not in waits]
        if name in waits:
            raise UserError(f"{name} reads the run of {reads[name][0]}, which needs that of {name} first")
    return reads


def names_read(name: str, changed: Mapping[str, Scenario], first: int) -> list[str]:
    """The others whose runs the stage of `name` reads. UserError for its own, for what is neither one of them nor the
    folder of a run, and for a checkpoint that there is not."""
    read, models = [], changed[name].stages[first].models
    for role, spec in (models.played() if models else {}).items():
        if spec.run is None:
            continue
        if spec.run == name:
            raise UserError(f"{name} would read its own run: models.{role} is {spec.run!r}; name another method")
        if spec.run in changed:
            _check_checkpoint(name, role, spec, changed[spec.run], first)
            read.append(spec.run)
        elif not (Path(spec.run).expanduser() / "scenario.yaml").is_file():
            words = f"{name} reads the run {spec.run!r} as its {role}, and there is no such run, nor is it a method of "
            raise UserError(f"{words}this comparison ({', '.join(changed)}).{nearest(spec.run, changed)}")
        else:
            find_checkpoint(RunDirectory.open(Path(spec.run).expanduser()), spec.checkpoint or "best")
    return read


def _check_checkpoint(name: str, role: str, spec: ModelSpec, made: Scenario, first: int) -> None:
    """UserError for a checkpoint that the run of another method, which is `made` here, will not have."""
    asked, numbers = spec.checkpoint or "best", _numbers_left(made, first)
    if asked in ("best", "last") or (asked.isdecimal() and int(asked) in numbers):
        return
    there = ", ".join(["best", "last", *(f"{number:06d}" for number in numbers)])
    why = "" if numbers else "; its budget does not say which numbers there will be"
    raise UserError(
        f"{name} reads checkpoint {asked!r} of {spec.run} as its {role}, and the run that this comparison makes will "
        f"have {there}{why}.{nearest(asked, ['best', 'last'])}"
    )


def _numbers_left(made: Scenario, first: int) -> list[int]:
    """The checkpoints besides that a run which spends its whole budget will surely have, where they can be known."""
    budgets = [stage.budget for stage in made.stages[first:] if stage.budget is not None]
    if any(set(budget.limits()) != {"updates"} for budget in budgets):
        return []
    total, every = sum(budget.updates or 0 for budget in budgets), made.checkpoint.every
    regular = [*range(every, total, every), total]
    return regular[-1:] if made.evaluation.every is not None else regular[-KEPT:]  # a new best one takes a place
