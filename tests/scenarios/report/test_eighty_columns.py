"""What is printed for people fits 80 columns, and nothing of it is lost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from scenarios_runs import TINY, command, write_scenario

from peripatos.scenarios.report.audit_tables import print_audit
from peripatos.scenarios.report.tables import summary_lines
from peripatos.scenarios.report.text_table import print_lines, print_table

SPOKEN = """\
name: spoken
world: {id: peripatos/Arithmetic-v0}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 4}
stages:
  - {name: learn, method: reinforce, collect: {groups: 2}, budget: {updates: 1}}
evaluation: {episodes: 3}
"""


@pytest.fixture(autouse=True)
def _eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def squeezed(text: str) -> str:
    return "".join(text.split())


def fits(text: str, *parts: str) -> None:
    """No line of `text` is longer than 80 characters, and all of `parts` stand in it."""
    assert text.strip()
    assert [line for line in text.splitlines() if len(line.rstrip()) > 80] == []
    assert [part for part in parts if squeezed(part) not in squeezed(text)] == []


def cells(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [str(value) for row in rows for value in row.values() if value not in (None, "")]


@pytest.mark.parametrize("what", ["worlds", "methods", "scenarios"])
def test_lists(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("list", what, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert command("list", what) == 0
    fits(capsys.readouterr().out, *cells(rows))


@pytest.mark.parametrize("world", ["CartPole-v1", "peripatos/Store-v0"])
def test_checks(world: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("check", world, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert command("check", world) == 0
    drawn = re.compile(r"\d+ (train|test)")  # as many tasks as a clock allows
    fits(drawn.sub(r"# \1", capsys.readouterr().out), *(drawn.sub(r"# \1", cell) for cell in cells(rows)))


@pytest.mark.parametrize("arguments", [(), ("tiny",)], ids=["machine", "model"])
def test_doctors(arguments: tuple[str, ...]) -> None:
    env = {**os.environ, "COLUMNS": "80"}
    run = [sys.executable, "-m", "peripatos", "doctor", *arguments]
    wide = subprocess.run([*run, "--json"], capture_output=True, text=True, env=env)
    narrow = subprocess.run(run, capture_output=True, text=True, env=env)
    rows = [row for row in json.loads(wide.stdout) if row["what"] != "drawing"]  # whether it succeeds in some seconds
    fits(narrow.stdout, *(row["what"] for row in rows), *(row["result"] for row in rows))


def test_an_audit(capsys: pytest.CaptureFixture[str]) -> None:
    from peripatos.envs.auditing import Audit
    from peripatos.envs.auditing.results import Result, Row

    strategy = "always '" + "\\boxed{123456} and so on " * 6 + "'"
    long = "the oracle's first reply stood in 0 of 40 openings, and so did its last, which nobody could have known " * 3
    row = Row(strategy, 0.1234, played_again=True, share=0.5)
    audit = Audit("conversation", 0.0, 1.1, "oracle", [row], [Result("no leakage", "passed", long)])
    print_audit(audit)
    fits(capsys.readouterr().out, strategy, long, "50.0% of the reward of oracle (1.100), by the best blind strategy")


def test_a_run_its_measurement_and_a_comparison(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_scenario(tmp_path, TINY.replace("updates: 12", "updates: 2"))
    assert command("run", path, "--out", "run", "-q") == 0
    summary = json.loads(Path("run/summary.json").read_text())
    fits(capsys.readouterr().out, *summary_lines(summary, Path("run")))
    assert command("evaluate", "run") == 0
    fits(capsys.readouterr().out, "return", "3 episodes")
    arguments = ("--methods", "ppo", "--seeds", 2, "--out", "out", "-q")
    assert command("compare", path, *arguments) == 0
    fits(capsys.readouterr().out, "tiny", "ppo", "of return", "95 % interval", "out/runs.csv", "out/curves.png")


def test_an_episode_to_read(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("run", write_scenario(tmp_path, SPOKEN), "--out", "run", "-q") == 0
    fits(capsys.readouterr().out, "learn: reinforce, 1 update, ended by budget of 1 updates", "success")
    assert command("show", "run", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert command("show", "run") == 0
    fits(capsys.readouterr().out, f"task {shown['task']}")


def test_a_stage_with_much_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = {"success_rate": 0.972, "success_low": 0.954, "success_high": 0.983, "return_mean": -12345.678}
    numbers |= {"return_low": -23456.7, "return_high": -1234.56, "episodes": 12000, "failed": 17, "unanswered": 300}
    numbers |= {"unscored": 12}
    stage = {"name": "a-very-long-name-of-a-stage" * 4, "method": "reinforce_baseline", "updates": 1}
    stage |= {"ended_by": "return_mean 252.1 ≥ 250, distance_mean 6.7 ≥ 6.5, turns_mean 400 ≥ 400"}
    summary = {"stages": [{**stage, "evaluation": {"before": numbers, "after": numbers}}], "env_steps": 10**9}
    print_lines(*summary_lines({**summary, "wall_s": 1e6}, Path("runs/" + "x" * 90)))
    fits(capsys.readouterr().out, stage["ended_by"], "success 97.2 % [95.4, 98.3]", "12 not scored", "x" * 90)


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_no_table_loses_a_letter_however_long_its_words_are(columns: int, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    rows = [
        {"name": "n" * 130, "what": "w" * 90 + " and words", "detail": "https://" + "d" * 120},
        {"name": "short", "what": "[not bold]markup[/not bold]", "detail": "十二" * 30},
    ]
    print_table(rows)
    print_table([{"name": "a", "detail": "b" * 500}])
    out = capsys.readouterr().out
    assert max(len(line.rstrip()) for line in out.splitlines()) <= columns
    assert [cell for cell in (*cells(rows), "b" * 500) if squeezed(cell) not in squeezed(out)] == []


def test_a_pipe_gets_one_line_for_each_row(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.delenv("COLUMNS")
    print_table([{"name": "a", "detail": "word " * 60}, {"name": "b", "detail": "word"}])
    print_lines("sentence " * 40)
    assert len(capsys.readouterr().out.splitlines()) == 4
