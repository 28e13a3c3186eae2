"""Whoever looks at a run is told how it stands or has ended, also where it was killed and could not write it down."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from scenarios_runs import TINY, command, finish, rows, start, until, wait_for_rows, write_scenario

import peripatos
from peripatos.scenarios.run.ended import in_one_line
from peripatos.scenarios.run.logs import last_row

LONG = TINY.replace("updates: 12", "updates: 100000").replace("every: 4", "every: 1000")
BREAKS = TINY.replace("budget:", "optimizer: {lr: 1.0e+30}\n    budget:")


def begun(tmp_path: Path, updates: int) -> tuple[Path, object]:
    run = tmp_path / "a run"
    process = start("run", write_scenario(tmp_path, LONG), "--out", run, "-q")
    wait_for_rows(run / "metrics.jsonl", updates)
    return run, process


def test_a_run_that_was_killed_is_said_to_have_died_by_whatever_looks_at_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, process = begun(tmp_path, 3)
    command("show", run)
    assert f"{run} is being written by process {process.pid} on " in capsys.readouterr().err
    process.send_signal(signal.SIGKILL)
    finish(process)
    done, saved = len(rows(run / "metrics.jsonl")), max(path.name for path in (run / "checkpoints").glob("[0-9]*"))
    said = f"{run} died after update {done}: it was killed, or its machine stopped; its last checkpoint is {saved}"
    for look in (("show", run), ("evaluate", run, "--episodes", "1")):
        command(*look)
        assert f"{said}; to go on: peripatos resume '{run}'\n" in capsys.readouterr().err
    assert peripatos.load_run(run).summary["updates"] == done
    more = f"stages.0.budget.updates={done + 1}"
    assert command("resume", run, "--set", more) == 0
    assert f"{said}\n" in capsys.readouterr().err
    command("show", run)
    assert "died" not in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_that_was_killed_before_it_wrote_anything_is_said_to_have_died(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, process = begun(tmp_path, 0)
    until((run / "scenario.yaml").exists)
    process.send_signal(signal.SIGKILL)
    finish(process)
    command("show", run)
    said = capsys.readouterr().err
    assert f"{run} died " in said
    assert f"to go on: peripatos resume '{run}'" in said


@pytest.mark.slow
def test_a_run_that_was_stopped_and_one_that_failed_say_so_and_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, process = begun(tmp_path, 2)
    process.send_signal(signal.SIGINT)
    finish(process)
    command("show", run)
    assert f"{run} was stopped after update {len(rows(run / 'metrics.jsonl'))}; its last" in capsys.readouterr().err
    broken = tmp_path / "broken"
    assert command("run", write_scenario(tmp_path, BREAKS), "--out", broken, "-q") == 1
    capsys.readouterr()
    command("show", broken)
    said = capsys.readouterr().err
    assert f"{broken} failed " in said
    assert json.loads((broken / "summary.json").read_text())["why"] in said


def test_only_the_end_of_a_long_log_is_read_for_its_last_row(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    row = {"stage": "learn", "update": 1, "env_steps": 1}
    log.write_text("".join(json.dumps({**row, "update": n}) + "\n" for n in range(20_000)) + '{"half')
    assert last_row(log) == {**row, "update": 19_999}
    log.write_text(json.dumps(row) + "\n" + "x" * 3_000_000 + "\n")
    assert last_row(log) == row
    log.write_text("")
    assert last_row(log) is None
    assert last_row(tmp_path / "nothing") is None


def test_why_a_run_failed_is_one_line_with_the_cause_and_not_without_end() -> None:
    traced = 'Traceback (most recent call last):\n  File "w.py", line 3, in step\n    act()\n    ^^^^^\n'
    text = f"3 of 9 episodes failed; the first failure was:\n{traced}KeyError: 'x'\n"
    assert in_one_line(RuntimeError(text)) == "3 of 9 episodes failed; the first failure was: KeyError: 'x'"
    assert in_one_line(RuntimeError("none is whole:\n000004 is damaged\n")) == "none is whole: 000004 is damaged"
    assert in_one_line(RuntimeError()) == "RuntimeError"
    assert len(in_one_line(RuntimeError("a\n" * 9000))) == 500
