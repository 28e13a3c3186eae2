"""Benchmarks whose tables have arithmetic of their own: tables of cells that were measured before, by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scenarios_runs import PATIENCE

from peripatos.scenarios.compare import interval

PROGRAM = Path(__file__).parents[1] / "benchmarks" / "tuned.py"


def keep(folder: Path, name: str, *, ours: list[tuple[float, float]], theirs: list[tuple[float, float]]) -> None:
    """Cells as `tuned.py` keeps them: (return, steps a second) of each seed; chance gets 0."""
    for who, cells in (("peripatos", ours), ("stable-baselines3", theirs)):
        for seed, (total, speed) in enumerate(cells):
            held = {"steps": 100, "return": total, "steps_per_second": speed, "curve": [[50, 1.0], [100, total]]}
            (folder / f"{name}-{who}-{seed}.json").write_text(json.dumps(held))
    (folder / f"{name}-chance-0.json").write_text(json.dumps({"return": 0.0}))


def tuned(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)


def test_cells_that_are_kept_are_not_run_again_and_are_compared_seed_by_seed(tmp_path: Path) -> None:
    keep(tmp_path, "cartpole", ours=[(475.0, 200.0), (380.0, 200.0)], theirs=[(475.0, 100.0), (190.0, 25.0)])
    keep(tmp_path, "pendulum", ours=[(-150.0, 300.0), (-150.0, 300.0)], theirs=[(-75.0, 300.0), (-75.0, 300.0)])
    done = tuned("cartpole", "pendulum", "--seeds", 2, "--out", tmp_path, "--json", "--picture", tmp_path / "x.png")
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    assert [row["goal"] for row in rows] == [475.0, -150.0]  # Gymnasium's own, and ours where it has none
    # cartpole: (0/475 + 190/475)/2 = 0.2, √(2 · 8) = 4 times as fast; pendulum: −75/−150 = 0.5, as fast
    assert [row["share"] for row in rows] == pytest.approx([0.2, 0.5])
    assert [row["speed"] for row in rows] == pytest.approx([4.0, 1.0])
    assert (tmp_path / "x.png").stat().st_size > 1000

    told = tuned("cartpole", "pendulum", "--seeds", 2, "--out", tmp_path).stdout
    low, high = interval([0.2, 0.5])
    assert told.splitlines()[-1] == f"Mean difference over 2 worlds: +0.35 [{low:+.2f}, {high:+.2f}]; speed 2.0 ×"
    assert "| `cartpole-ppo` | 100 | 0 → 475 | 475, 380" in told


def test_a_world_that_is_not_in_the_table_is_told_what_is() -> None:
    done = tuned("cartpoll")
    assert done.returncode == 2
    assert "cartpoll: worlds are cartpole, acrobot" in done.stderr
    assert "Traceback" not in done.stderr
