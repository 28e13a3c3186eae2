"""A scenario that takes a second, and ways to run it here or in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from peripatos.scenarios.cli import main
from peripatos.scenarios.run.checkpoint import pointed_to
from peripatos.scenarios.run.counters import AXES, Progress

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
    code = f"{hears}; {hangs_up}\n{prelude}\nfrom peripatos.scenarios.cli import main\nmain()"
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
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()  # one that does not end outlives the test otherwise
    return process.returncode, out, err


def rows(path: Path) -> list[dict[str, Any]]:
    """A JSON-lines file without the columns that a clock writes."""
    if not path.exists():
        return []
    parsed = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds" and not k.startswith("time/")} for row in parsed]


def progress(**given: Any) -> dict[str, Any]:
    """What progress.json of a checkpoint holds at the least, with what is given in the place of zeros."""
    session = {"packages": {}, "code": {}, "data": {}, "cwd": "", "command": []}
    known = {"logs": {}, "scenario": {}, "session": session, "scored_by": ""}
    begun = dict.fromkeys((*AXES, "episodes", "failed", "seconds"), 0)
    return {**asdict(Progress()), "known": known, "begun": begun, **given}


def wait_for_rows(path: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(rows_as_lines(path)) < count:
        assert time.monotonic() < deadline, f"{path} never had {count} rows"
        time.sleep(0.002)


def rows_as_lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


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
