"""Damaged runs: every kind of file, in every way, under every command that reads runs; see `damaged_runs`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import damaged_runs
import pytest


def results(folder: Path, *words: str) -> list[dict]:
    """What the matrix says, from a process of its own: it forks, and this one has threads."""
    done = subprocess.run(
        [sys.executable, damaged_runs.__file__, str(folder), *words, "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def assert_nothing_is_silently_wrong(found: list[dict]) -> None:
    bad = [case for case in found if case["kind"] in ("traceback", "hang", "silent wrong")]
    assert not bad, json.dumps(bad[:5], indent=1)


def test_a_sample_of_damages_is_noticed_named_and_stepped_over_or_refused(tmp_path: Path) -> None:
    found = results(tmp_path, "sample")
    assert_nothing_is_silently_wrong(found)
    counts = Counter(case["kind"] for case in found if case["command"] == "resume")
    assert counts["right, told"] > counts["told"]


@pytest.mark.slow
@pytest.mark.parametrize("run", ["control", "language"])
def test_every_damage_is_noticed_named_and_stepped_over_or_refused(run: str, tmp_path: Path) -> None:
    assert_nothing_is_silently_wrong(results(tmp_path, run))
