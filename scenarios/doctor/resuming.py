"""The check on resuming: a run of two updates, and one that was killed after the first and went on."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from ..config.schema import Budget, Checkpoints, Evaluation, LogSpec, Scenario
from ..entrance import as_it_was
from ..run.checkpoint import checkpoints
from ..run.display import Silent
from ..run.logs import METRICS, read_jsonl
from ..run.run_directory import RunDirectory
from ..run.runner import Runner
from .measures import Measured, same
from .patient import WAITS, DoesNotApply, Patient

_UPDATES = 2


class _Unheard(Silent):
    """Says nothing at all: what is wrong with a run of two updates is no news."""

    def warn(self, text: str) -> None: ...


def check_resume(patient: Patient) -> Measured:
    """How many numbers differ, of the last checkpoint and of the rows of metrics, between a run that was killed after
    its first update and went on and one that was not."""
    place = next(patient.policy.module().parameters()).device.type
    if place != "cpu":
        raise DoesNotApply(f"bit for bit is promised on the CPU, and this agent is on {place}")
    if patient.waits:
        raise DoesNotApply(WAITS)
    scenario = _short(patient)
    with tempfile.TemporaryDirectory() as folder, as_it_was():
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        _go(RunDirectory.create(whole, scenario, ["peripatos", "doctor"]))
        shutil.copytree(whole, killed)
        (killed / "summary.json").unlink()
        shutil.rmtree(checkpoints(killed / "checkpoints")[-1])
        _go(RunDirectory.open(killed))
        ours, theirs = _left_by(whole), _left_by(killed)
    differ = [name for name in {**ours, **theirs} if not _equal(ours.get(name), theirs.get(name))]
    some = f": {', '.join(differ[:3])}{', …' if len(differ) > 3 else ''}" if differ else ""
    return Measured(len(differ), f"{len(differ)} of {len(ours)} tensors and metrics of update {_UPDATES} differ{some}")


def _short(patient: Patient) -> Scenario:
    """The scenario with two updates of the stage that learns, from the agent as it stands."""
    stage = patient.learning.model_copy(update={"budget": Budget(updates=_UPDATES), "stop": {}})
    return patient.scenario.model_copy(
        update={
            "stages": [stage],
            "device": "cpu",
            "evaluation": Evaluation(episodes=1),
            "checkpoint": Checkpoints(every=1),
            "log": LogSpec(episodes=0),
            "cluster": None,
            "trackers": [],
            "variants": {},
        }
    )


def _go(run: RunDirectory) -> None:
    with run.held():
        Runner(run, _Unheard()).go()


def _left_by(run: Path) -> dict[str, Tensor | object]:
    """What a run has left that no clock has written: tensors of its last checkpoint, and the last row of metrics."""
    last = checkpoints(run / "checkpoints")[-1]
    found: dict[str, Tensor | object] = {}
    for file in sorted(last.rglob("*.safetensors")):
        found |= {f"{file.relative_to(last)}: {name}": x for name, x in load_file(file).items()}
    row: Mapping[str, Any] = read_jsonl(run / METRICS)[0][-1]
    return found | {name: x for name, x in row.items() if name != "seconds" and not name.startswith("time/")}


def _equal(one: Tensor | object, other: Tensor | object) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and bool(same(one, other).all())
    return one == other or (one != one and other != other)
