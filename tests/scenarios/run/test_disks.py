"""Disks that fill up, vanish, or can only be read: one last line that says what happened and what to type."""

from __future__ import annotations

import errno
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scenarios_runs import TINY, command, finish, rows, start, until, write_scenario

from peripatos.scenarios.run.disk import RunFailed, disk_errors

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
LONG = TINY.replace("updates: 12", "updates: 100000").replace("every: 4", "every: 1000")


def test_a_folder_that_vanishes_while_it_is_written_is_said_and_not_made_anew(tmp_path: Path) -> None:
    run = tmp_path / "a run"
    process = start("run", write_scenario(tmp_path, LONG), "--out", run, "-q")
    until((run / "metrics.jsonl").exists)
    run.rename(tmp_path / "moved")
    code, _, err = finish(process)
    assert code == 1
    last = err.strip().splitlines()[-1]
    assert last.startswith(f"the run failed: {run} is gone: it was moved or removed while the run wrote into it")
    assert f"peripatos resume '{run}'" in last
    assert "Traceback" not in err
    assert not run.exists()
    (tmp_path / "moved").rename(run)
    assert command("resume", run, "--set", "stages.0.budget.updates=3", "-q") == 0


def test_a_place_where_no_folder_can_be_is_the_users_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    scenario = write_scenario(tmp_path)
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        assert command("run", scenario, "--out", out) == 2
        told = capsys.readouterr().err
        assert str(out) in told
        assert "Traceback" not in told


@pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode != 0,
    reason="no user namespaces here",
)
def test_a_run_whose_file_system_can_only_be_read_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert command("run", write_scenario(tmp_path), "--out", run, "--set", "stages.0.budget.updates=2", "-q") == 0
    before = rows(run / "metrics.jsonl")
    bound = f"mount --bind '{run}' '{run}' && mount -o remount,ro,bind '{run}' && exec \"$@\""
    code = "from peripatos.__main__ import main; main()"
    flags = ["resume", str(run), "--set", "stages.0.budget.updates=4"]
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", bound, "sh", sys.executable, "-c", code, *flags], capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert f"{run} cannot be written (its file system can only be read" in done.stderr
    assert "Traceback" not in done.stderr
    assert rows(run / "metrics.jsonl") == before


@pytest.mark.exhaustive
@pytest.mark.skipif(shutil.which("unshare") is None, reason="no namespaces here")
def test_random_kills_and_full_disks_change_nothing() -> None:
    command = [sys.executable, str(BENCHMARKS / "kills.py"), "--kills", "20", "--disks", "10"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_a_command_writes_outside_of_a_run_is_told_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(RunFailed) as told, disk_errors(tmp_path / "model", into_run=False):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert re.fullmatch(
        r".*model cannot be written \(.*No space left.*\); .*, then type the command again", str(told.value)
    )
    assert "resume" not in str(told.value)
