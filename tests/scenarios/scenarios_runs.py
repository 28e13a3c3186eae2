"""A scenario that takes a second, and ways to run it here or in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from peripatos.scenarios.cli import main
from peripatos.scenarios.run.checkpoint import pointed_to
from peripatos.scenarios.run.counters import AXES, Progress

PATIENCE = 600.0  # seconds for what usually comes at once, on a machine that is busy with something else
TINY = """\
name: tiny
world: {id: CartPole-v1}
agent: {kind: mlp, hidden: [16]}
stages:
  - name: learn
    method: ppo
    collect: {groups: 2, horizon: 32}
    overrides: {update: {epochs: 2, minibatches: 2}}
    budget: {updates: 12}
evaluation: {every: 4, episodes: 3}
checkpoint: {every: 2}
"""


def write_scenario(folder: Path, text: str = TINY) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(text)
    return path


def command(*arguments: object) -> int:
    """Run a command line in this process, and give its exit code."""
    before = sys.argv
    sys.argv = ["peripatos", *map(str, arguments)]
    try:
        with pytest.raises(SystemExit) as exit_:
            main()
    finally:
        sys.argv = before
    return int(exit_.value.code or 0)


def start(*arguments: object, cwd: Path | None = None, prelude: str = "") -> subprocess.Popen[str]:
    """Begin a command line in a process of its own; `prelude` is Python that runs there first."""
    # in the background, and where who tests is under `nohup`, too
    hears = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    hangs_up = "signal.signal(signal.SIGHUP, signal.SIG_DFL)"
    code = f"{hears}; {hangs_up}\n{prelude}\nfrom peripatos.__main__ import main\nmain()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()  # one that does not end outlives the test otherwise
    return process.returncode, out, err


def rows(path: Path) -> list[dict[str, Any]]:
    """A JSON-lines file without the columns that a clock writes."""
    parsed = [json.loads(line) for line in whole_lines(path)]
    return [{k: v for k, v in row.items() if k != "seconds" and not k.startswith("time/")} for row in parsed]


def progress(**given: Any) -> dict[str, Any]:
    """What progress.json of a checkpoint holds at the least, with what is given in the place of zeros."""
    session = {"packages": {}, "code": {}, "data": {}, "cwd": "", "command": []}
    known = {"logs": {}, "scenario": {}, "session": session, "scored_by": ""}
    begun = dict.fromkeys((*AXES, "episodes", "failed", "seconds"), 0)
    return {**asdict(Progress()), "known": known, "begun": begun, **given}


def until(ready: Callable[[], object], what: object = "what was waited for") -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < deadline, f"{what} never came"
        time.sleep(0.002)


def wait_for_rows(path: Path, count: int) -> None:
    until(lambda: len(whole_lines(path)) >= count, f"row {count} of {path}")


def whole_lines(path: Path) -> list[str]:
    """What stands in a log that somebody may be writing, or was writing when he was killed: half a line is none yet."""
    return path.read_text().split("\n")[:-1] if path.exists() else []


def in_row(number: int, act: str) -> str:
    """Python for the prelude of a run, which does `act` there as soon as so many rows of metrics are written."""
    return f"""
import os, signal, time
from peripatos.scenarios.run.journal import Journal
row, written = Journal.row, []
def counted(self, values):
    row(self, values)
    written.append(values)
    if len(written) == {number}:
        {act}
Journal.row = counted
"""


def assert_same_run(run: Path, other: Path) -> None:
    for name in ("metrics.jsonl", "evaluations.jsonl"):
        assert rows(run / name) == rows(other / name)
    mine, theirs = (pointed_to(path / "checkpoints", "last") for path in (run, other))
    assert mine is not None
    assert theirs is not None
    assert mine.name == theirs.name
    for file in sorted(theirs.rglob("*.safetensors")):
        assert (mine / file.relative_to(theirs)).read_bytes() == file.read_bytes(), file.name
    for file in sorted((other / "episodes").iterdir()):
        assert (run / "episodes" / file.name).read_bytes() == file.read_bytes(), file.name
