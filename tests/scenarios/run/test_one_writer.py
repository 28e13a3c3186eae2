"""Two processes and one run: the second is refused, readers are not, and a kill frees the run."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scenarios_runs import TINY, command, finish, rows, start, wait_for_rows, write_scenario

import peripatos
from peripatos.envs.errors import UserError
from peripatos.scenarios.run import lock

pytestmark = pytest.mark.slow

LONG = TINY.replace("updates: 12", "updates: 100000").replace("every: 4", "every: 1000")


def test_a_run_that_is_written_refuses_every_other_writer_lets_readers_read_and_is_free_after_a_kill(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, scenario = tmp_path / "a run", write_scenario(tmp_path, LONG)
    process = start("run", scenario, "--out", run, "-q")
    try:
        wait_for_rows(run / "metrics.jsonl", 3)
        for arguments in (("resume", run), ("resume", run, "--set", "stages.0.budget.updates=5")):
            capsys.readouterr()
            assert command(*arguments) == 2
            told = capsys.readouterr().err
            assert f"{run} is being written by process {process.pid} on {socket.gethostname()} since " in told
            assert "wait for it or stop it" in told
        with pytest.raises(UserError, match=f"process {process.pid}"):
            peripatos.load_run(run).resume()
        assert command("run", scenario, "--out", run) == 2
        assert peripatos.load_run(run).summary["status"] == "running"
        assert json.loads((run / "summary.json").read_text())["status"] == "unfinished"
        assert command("evaluate", run, "--episodes", "1") == 0
        assert process.poll() is None, "nobody waited for it to end"
    finally:
        process.send_signal(signal.SIGKILL)
        finish(process)
    assert peripatos.load_run(run).summary["status"] == "died"
    assert command("resume", run, "--set", "stages.0.budget.updates=4", "-q") == 0
    assert peripatos.load_run(run).summary["status"] == "done"
    updates = [row["update"] for row in rows(run / "metrics.jsonl")]
    assert updates == [*range(1, len(updates) + 1)]


def test_of_two_runs_that_begin_in_one_new_folder_at_once_one_is_done_and_one_is_refused(tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path)
    ends = [finish(process) for process in [start("run", scenario, "--out", tmp_path / "run") for _ in range(2)]]
    assert sorted(code for code, _, _ in ends) == [0, 2]
    refused = next(err for code, _, err in ends if code == 2)
    assert "is being written by process" in refused or "is there already" in refused
    assert "Traceback" not in refused
    assert len(rows(tmp_path / "run" / "metrics.jsonl")) == 12


def test_a_child_does_not_keep_its_parents_lock(tmp_path: Path) -> None:
    held = lock.take(tmp_path, ["test"])
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(told, b"x")
        time.sleep(60)
        os._exit(0)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
    try:
        os.read(ready, 1)
        assert lock.is_written(tmp_path)
        held.release()
        assert not lock.is_written(tmp_path)
        lock.take(tmp_path, ["test"]).release()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        other.kill()
        other.wait()


def test_a_lock_whose_file_was_removed_is_no_lock(tmp_path: Path) -> None:
    held = lock.take(tmp_path, ["test"])
    (tmp_path / lock.NAME).unlink()
    assert not held.still_there()
    lock.take(tmp_path, ["test"]).release()
    held.release()


def test_a_lock_that_is_a_folder_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / lock.NAME).mkdir()
    with pytest.raises(UserError, match=r"\.lock is a folder, where a file says who writes the run: remove it$"):
        lock.take(tmp_path, ["test"])


def test_a_run_that_was_killed_before_it_was_one_is_begun_again_by_the_same_command(tmp_path: Path) -> None:
    run, scenario = tmp_path / "run", write_scenario(tmp_path, TINY.replace("updates: 12", "updates: 1"))
    (run / "checkpoints").mkdir(parents=True)
    (run / lock.NAME).write_text("")
    (run / "environment.json").write_text("{")
    assert command("run", scenario, "--out", run, "-q") == 0
    (run / "notes").mkdir()
    assert command("run", scenario, "--out", run, "-q") == 2


def test_a_users_folder_among_the_checkpoints_is_neither_taken_nor_removed(tmp_path: Path) -> None:
    run, scenario = tmp_path / "run", write_scenario(tmp_path, TINY.replace("updates: 12", "updates: 6"))
    assert command("run", scenario, "--out", run, "-q") == 0
    names = ("9", "000006.bak", "000004-good", "notes", "0000009", "000099x", ".hidden", "-1")
    for name in names:
        (run / "checkpoints" / name).mkdir()
        (run / "checkpoints" / name / "mine.txt").write_text("mine")
    assert command("resume", run, "--set", "stages.0.budget.updates=12", "-q") == 0
    assert [row["update"] for row in rows(run / "metrics.jsonl")] == [*range(1, 13)]
    assert all((run / "checkpoints" / name / "mine.txt").exists() for name in names)
    assert command("evaluate", run, "--checkpoint", "last", "--episodes", "1") == 0
