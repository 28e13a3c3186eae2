"""Comparisons: which runs they make, and what they make of their scores."""

from __future__ import annotations

import csv
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scenarios_runs import TINY, command, finish, start, write_scenario

from peripatos.envs.cores import usable_cores
from peripatos.envs.errors import UserError
from peripatos.scenarios.compare import interval
from peripatos.scenarios.compare.findings import report, table
from peripatos.scenarios.compare.jobs import ComparisonJob, JobResult, plan, with_method
from peripatos.scenarios.config.loading import load_scenario

VARIED = TINY + "variants: {grpo: {stages.learn.collect: {groups: 2, group_size: 4}}}\n"


def outcome(folder: Path, method: str, seed: int, score: float | None) -> JobResult:
    scenario = load_scenario(str(write_scenario(folder))).model_copy(update={"seed": seed})
    job = ComparisonJob(scenario, "tiny", method, folder / f"{method}-{seed}")
    if score is None:
        return JobResult(job, {}, "exit code 1: it broke")
    summary: dict[str, Any] = {"stages": [{"evaluation": {"after": {"return_mean": score}}}], "env_steps": 10}
    return JobResult(job, summary)


def test_two_methods_on_equal_seeds_are_compared_seed_by_seed(tmp_path: Path) -> None:
    scores = {"ppo": [10.0, 50.0, 90.0, 20.0], "grpo": [12.0, 53.0, 92.0, None]}
    outcomes = [outcome(tmp_path, name, seed, score) for name, row in scores.items() for seed, score in enumerate(row)]
    rows, notes = report(outcomes, tmp_path)
    low, high = interval([2.0, 3.0, 2.0])
    assert rows[1]["minus"] == {"ppo": {"mean": pytest.approx(7 / 3), "low": low, "high": high, "seeds": 3}}
    assert rows[0]["minus"] == {}
    assert notes[0].startswith("tiny: grpo − ppo = 2.333 [")
    assert rows[1]["low"] < 0 < low  # side by side the two could not be told apart


def test_one_seed_and_equal_seeds_claim_no_width(tmp_path: Path) -> None:
    one, _ = report([outcome(tmp_path, "ppo", 0, 500.0)], tmp_path)
    equal, notes = report([outcome(tmp_path, "ppo", seed, 500.0) for seed in range(3)], tmp_path)
    assert (one[0]["mean"], one[0]["low"], one[0]["high"]) == (500.0, None, None)
    assert (equal[0]["mean"], equal[0]["low"], equal[0]["high"]) == (500.0, None, None)
    text = f"{table(one)} {table(equal)} {notes}"
    assert "nan" not in text
    assert "inf" not in text


def test_failed_seeds_are_shown_and_never_averaged_away(tmp_path: Path) -> None:
    outcomes = [outcome(tmp_path, "ppo", seed, score) for seed, score in enumerate([10.0, None, 20.0])]
    rows, notes = report(outcomes, tmp_path)
    assert (rows[0]["mean"], rows[0]["seeds"], rows[0]["failed"]) == (15.0, 3, 1)
    assert table(rows)[0]["seeds"] == "3, 1 failed"
    assert "FAILED tiny ppo seed 1: exit code 1: it broke" in notes
    with (tmp_path / "runs.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [row["score"] for row in written] == ["10.0", "", "20.0"]
    assert [row["status"] for row in written] == ["done", "failed", "done"]


def test_another_method_keeps_budget_and_optimiser_and_gets_its_variant(tmp_path: Path) -> None:
    scenario = load_scenario(str(write_scenario(tmp_path, VARIED)))
    changed = with_method(scenario, "grpo").stages[0]
    assert (changed.method, changed.overrides, changed.budget) == ("grpo", {}, scenario.stages[0].budget)
    assert changed.collect is not None
    assert (changed.collect.groups, changed.collect.group_size, changed.collect.horizon) == (2, 4, None)
    assert with_method(scenario, "ppo") == scenario


def test_a_method_that_the_scenario_is_not_ready_for_is_refused_before_anything_runs(tmp_path: Path) -> None:
    path = str(write_scenario(tmp_path))
    with pytest.raises(UserError, match=r"tiny cannot be run with rloo: .*horizon[\s\S]*variants: rloo"):
        plan([path], ["ppo", "rloo"], 2, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_named_twice_runs_once_and_two_scenarios_of_one_name_are_refused(tmp_path: Path) -> None:
    path = str(write_scenario(tmp_path))
    assert len(plan([path, path], ["ppo", "ppo"], 2, tmp_path / "out")) == 2
    (other := tmp_path / "other.yaml").write_text(TINY)
    with pytest.raises(UserError, match="two of the scenarios are called 'tiny'"):
        plan([path, str(other)], ["ppo"], 1, tmp_path / "out")


def test_a_scenario_whose_own_method_is_compared_is_checked_as_well(tmp_path: Path) -> None:
    path = str(write_scenario(tmp_path, TINY.replace("CartPole-v1", "CartPol-v1")))
    with pytest.raises(UserError, match=r"line 2, column \d+: unknown world 'CartPol-v1'"):
        plan([path], ["ppo"], 1, tmp_path / "out")


@pytest.mark.slow
def test_ctrl_c_ends_a_comparison_and_saves_its_runs(tmp_path: Path) -> None:
    path = write_scenario(tmp_path, TINY.replace("updates: 12", "updates: 1000000"))
    process = start("compare", path, "--methods", "ppo", "--seeds", 3, "--limit", 1, "--out", tmp_path / "out")
    run = tmp_path / "out" / "tiny" / "ppo" / "seed-0"
    for _ in range(600):
        if (run / "metrics.jsonl").exists():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    code, _, told = finish(process)
    assert code == 130
    assert "the same command goes on" in told
    assert json.loads((run / "summary.json").read_text())["status"] == "interrupted"
    assert not run.with_name("seed-1").exists()


@pytest.mark.slow
def test_a_comparison_runs_shows_failures_and_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("compare", write_scenario(tmp_path, VARIED), "--methods", "ppo,grpo", "--seeds", 2)
    assert command(*arguments, "--out", tmp_path / "out") == 0
    first = capsys.readouterr()
    assert "4/4" in first.err
    assert (tmp_path / "out" / "curves.png").exists()
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("metrics.jsonl")}
    assert len(stamps) == 4
    assert command(*arguments, "--out", tmp_path / "out") == 0
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert capsys.readouterr().out == first.out
    assert command(*arguments, "--out", tmp_path / "out", "--set", "stages.0.budget.updates=3") == 2


FALLS = """\
import os
import sys
from gymnasium.envs.classic_control import CartPoleEnv

class Falls(CartPoleEnv):
    def reset(self, **options):
        job = sys.argv[0].endswith("one_run.py") and any("rloo" in word for word in sys.argv)
        if os.environ.get("FALLS") and job:
            os.kill(os.getpid(), 9)
        return super().reset(**options)
"""
SHORT = (
    VARIED.replace("updates: 12", "updates: 2")
    .replace("CartPole-v1", "falls:Falls")
    .replace(
        "variants: {",
        """\
variants: {rloo: {stages.learn.collect: {groups: 2, group_size: 4}}, """,
    )
)


@pytest.mark.slow
def test_a_run_that_dies_is_one_failed_cell_and_goes_on_another_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "falls.py").write_text(FALLS)
    arguments = ("compare", write_scenario(tmp_path, SHORT), "--methods", "grpo,rloo", "--seeds", 1)
    monkeypatch.setenv("FALLS", "1")
    assert command(*arguments, "--out", tmp_path / "out") == 1
    told = capsys.readouterr().out
    assert "FAILED tiny rloo seed 0: exit code -9" in told
    assert "FAILED tiny grpo" not in told
    monkeypatch.delenv("FALLS")
    assert command(*arguments, "--out", tmp_path / "out") == 0
    assert "FAILED" not in capsys.readouterr().out


def _until(ready: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ready():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_run_outlives_its_comparison_and_each_is_saved(tmp_path: Path, how: signal.Signals) -> None:
    path = write_scenario(tmp_path, TINY.replace("updates: 12", "updates: 1000000"))
    process = start("compare", path, "--methods", "ppo", "--seeds", 2, "--limit", 2, "--out", tmp_path / "out")
    runs = [tmp_path / "out" / "tiny" / "ppo" / f"seed-{seed}" for seed in range(2)]

    def alive() -> list[str]:
        told = [file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if file.exists()]
        return [line.decode() for line in told if b"one_run" in line and str(tmp_path).encode() in line]

    begun = [run / "metrics.jsonl" for run in runs][: min(2, usable_cores())]
    assert _until(lambda: all(file.exists() for file in begun))
    assert alive()
    process.send_signal(how)
    finish(process)
    assert _until(lambda: not alive())
    for file in begun:
        assert json.loads((file.parent / "summary.json").read_text())["status"] == "interrupted"
