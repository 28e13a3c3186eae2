"""The check on resuming: a run of two updates, and one that was killed after the first and went on."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ..config.schema import Budget, Checkpoints, Evaluation, Failures, LogSpec, Scenario
from ..entrance import as_it_was
from ..run.checkpoint import checkpoints
from ..run.display import Silent
from ..run.logs import METRICS, read_jsonl
from ..run.run_directory import RunDirectory
from ..run.runner import Runner
from .measures import Measured
from .patient import WAITS, DoesNotApply, Patient

_UPDATES = 2


class _Unheard(Silent):
    """Says nothing at all: what is wrong with a run of two updates is no news."""

    def warn(self, text: str) -> None: ...


def check_resume(patient: Patient) -> Measured:
    """How many tensors of the last checkpoint and numbers of the last row of metrics differ between a run that was not
    stopped and the same when it has lost its second update and goes on."""
    place = next(patient.policy.module().parameters()).device.type
    if place != "cpu":
        raise DoesNotApply(f"bit for bit is promised on the CPU, and this agent is on {place}")
    if patient.waits:
        raise DoesNotApply(WAITS)
    patient.require_ends()  # evaluations are of whole episodes
    with tempfile.TemporaryDirectory() as folder, as_it_was():
        path = Path(folder) / "run"
        _go(RunDirectory.create(path, _short(patient), ["peripatos", "doctor"]))
        whole = _left_by(path)
        (path / "summary.json").unlink()
        shutil.rmtree(checkpoints(path / "checkpoints")[-1])
        _go(RunDirectory.open(path))
        resumed = _left_by(path)
    differ = [name for name in {**whole, **resumed} if whole.get(name) != resumed.get(name)]
    some = f": {', '.join(differ[:3])}{', …' if len(differ) > 3 else ''}" if differ else ""
    return Measured(len(differ), f"{len(differ)} of {len(whole)} tensors and metrics of update {_UPDATES} differ{some}")


def _short(patient: Patient) -> Scenario:
    """The scenario with two updates of the stage that learns, from the agent as it stands."""
    stage = patient.learning.model_copy(update={"budget": Budget(updates=_UPDATES), "stop": {}})
    return patient.scenario.model_copy(
        update={
            "stages": [stage],
            "device": "cpu",
            "evaluation": Evaluation(episodes=1),
            "failures": Failures(max_share=1.0),
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


def _left_by(run: Path) -> dict[str, str]:
    """What a run has left that no clock has written: a digest of each tensor of its last checkpoint, and the numbers of
    the last row of metrics."""
    last = checkpoints(run / "checkpoints")[-1]
    found: dict[str, str] = {}
    for file in sorted(last.rglob("*.safetensors")):
        found |= {f"{file.relative_to(last)}: {name}": _digest(x) for name, x in load_file(file).items()}
    row = read_jsonl(run / METRICS)[0][-1]
    return found | {name: repr(x) for name, x in row.items() if name != "seconds" and not name.startswith("time/")}


def _digest(tensor: Tensor) -> str:
    """Of its bits, shape and type."""
    bits = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return f"{tensor.dtype} {list(tensor.shape)} {hashlib.sha256(bits).hexdigest()}"
