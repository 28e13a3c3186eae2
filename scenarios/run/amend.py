"""Going on with a run for longer than it was to last: what may change, and whether that makes more to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...envs.errors import UserError
from ..config.loading import apply_sets, check_scenario, dump_scenario, read_yaml
from .checkpoint import last_good, read_progress
from .counters import Progress
from .disk import disk_errors, write_text
from .run_directory import RunDirectory

MAY_CHANGE = ("evaluation", "checkpoint", "failures", "log", "trackers", "cluster", "variants", "description")
MAY_CHANGE_IN_A_STAGE = ("budget", "stop")


def amend(run: RunDirectory, sets: Sequence[str]) -> None:
    """Put `--set` flags into the run's own scenario.yaml. UserError for a key that would make it another run."""
    path = run.path / "scenario.yaml"
    data, source = read_yaml(path)
    before, after = run.scenario(), check_scenario(apply_sets(data, sets, source), source)
    changed = [*_changes(before.model_dump(), after.model_dump(), MAY_CHANGE, "")]
    over = [stage["name"] for stage in run.summary().get("stages", [])]
    last = before.stages[-1].name
    for old, new in zip(before.stages, after.stages, strict=False):
        changed += _changes(old.model_dump(), new.model_dump(), MAY_CHANGE_IN_A_STAGE, f"stages.{old.name}.")
        if old != new and old.name in over and (old.name != last):
            raise UserError(f"stage {old.name!r} is over, and others have come after it; its budget cannot change")
    changed = [key for key in changed if key != "stages"]
    if changed or len(before.stages) != len(after.stages):
        raise UserError(
            f"{changed[0] if changed else 'stages'} is what the run is made of, and cannot change; it may go on with "
            f"another budget or stop of a stage, and other {', '.join(MAY_CHANGE[:6])}. To begin from what it has "
            f"learned, run a scenario with agent: {{from: {run.path}}}"
        )
    with disk_errors(run.path):
        write_text(path, dump_scenario(after))


def has_more_to_do(run: RunDirectory) -> bool:
    """Whether a run that was finished would go on, by what its scenario says now."""
    folder, _ = last_good(run.checkpoints)
    return folder is not None and Progress.from_json(read_progress(folder)).may_go_on(run.scenario().stages)


def _changes(before: dict[str, Any], after: dict[str, Any], allowed: Sequence[str], where: str) -> list[str]:
    return [f"{where}{key}" for key in before if key not in allowed and before[key] != after.get(key)]
