"""Runs whose bodies are stepped in processes (`world.workers`): the same run, whatever happens to a process."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest
import torch
from scenarios_runs import assert_same_run, command, finish, rows, start, until, wait_for_rows, write_scenario

import peripatos

WORLDS = str(Path(__file__).parents[1] / "envs" / "control")
RUN = """\
name: processes
world: {id: "crashing_world:Crashing", options: {max_episode_steps: 100}}
agent: {kind: mlp, hidden: [8], memory: {size: 4}}
stages:
  - name: learn
    method: ppo
    collect: {groups: 3, horizon: 16}
    overrides: {update: {epochs: 1, minibatches: 2}}
    budget: {updates: 8}
evaluation: {episodes: 5}
checkpoint: {every: 2}
"""
IN_TWO = RUN.replace('Crashing"', 'Crashing", workers: 2')
ON_THE_PATH = f"import sys; sys.path.insert(0, {WORLDS!r})"


@pytest.fixture(autouse=True)
def _world_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(WORLDS)


@pytest.mark.slow
def test_a_run_is_the_same_in_any_number_of_processes_also_when_it_was_killed_and_goes_on_in_others(tmp_path: Path):
    torch.set_num_threads(1)  # as in the other process: sums in another order are other sums
    assert command("run", write_scenario(tmp_path, RUN), "--out", tmp_path / "here", "-q") == 0
    process = start("run", write_scenario(tmp_path, IN_TWO), "--out", tmp_path / "run", "-q", prelude=ON_THE_PATH)
    wait_for_rows(tmp_path / "run" / "metrics.jsonl", 5)
    process.send_signal(signal.SIGKILL)
    finish(process)
    assert command("resume", tmp_path / "run", "-q", "--set", "world.workers=3") == 0
    assert_same_run(tmp_path / "run", tmp_path / "here")


@pytest.mark.parametrize(("file", "share"), [("000001-train.jsonl", 1), ("000000-test.jsonl", 0.1)])
def test_a_crash_costs_its_episodes_which_are_counted_with_their_cause(
    file: str, share: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    options = "{max_episode_steps: 100, what: segfault, at: 3, seeds: [SEED]}"
    calm = peripatos.run(write_scenario(tmp_path, RUN), {"stages.learn.budget.updates": 1}, out=tmp_path / "calm")
    seed = re.search(r'"seed": (\d+)', (calm.path / "episodes" / file).read_text())
    assert seed is not None
    path = write_scenario(
        tmp_path,
        IN_TWO.replace("{max_episode_steps: 100}", options.replace("SEED", seed[1]))
        + f"failures: {{max_share: {share}}}\n",
    )
    code = command("run", path, "--out", tmp_path / "run", "--set", "stages.learn.budget.updates=1")
    assert code == (0 if share == 1 else 1)
    said = " ".join(capsys.readouterr().err.split())
    assert "crashing_world:Crashing failed in step: its process was ended by SIGSEGV" in said
    if share == 1:
        found = [row["episodes/failed"] for row in rows(tmp_path / "run" / "metrics.jsonl")]
        found += [row["failed"] for row in rows(tmp_path / "run" / "evaluations.jsonl")]
        assert sum(found) >= 1


def test_ctrl_c_ends_a_run_whose_worlds_hang_and_their_processes(tmp_path: Path):
    marks = tmp_path / "marks"
    marks.mkdir()
    options = f"{{max_episode_steps: 100, what: hang, at: 3, every: true, mark: {marks}}}"
    text = IN_TWO.replace("{max_episode_steps: 100}", options)
    process = start("run", write_scenario(tmp_path, text), "--out", tmp_path / "run", prelude=ON_THE_PATH)
    until(lambda: len(list(marks.iterdir())) >= 3)  # one in the run's own process
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert code == 130, err
    assert out == ""
    assert "Traceback" not in err
    for mark in marks.iterdir():
        with pytest.raises(ProcessLookupError):
            os.kill(int(mark.name), 0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("workers: 2", "workers: autp"), "'autp' is no number of processes; allowed are auto and 1 to 1000. Did you"),
        (("workers: 2", "workers: 0"), "0 is no number of processes"),
        (("workers: 2", "workers: true"), "true is no number of processes"),
        (("workers: 2", "workers: 2.5"), "2.5 is no number of processes"),
        (("workers: 2", "step_seconds: 3"), "give world.workers as well, to step it in processes"),
        (("workers: 2", "workers: 2, episode_seconds: 3"), "world.episode_seconds is for worlds that wait"),
        (('"crashing_world:Crashing", workers', "peripatos/Walker-v0, workers"), "give world.threads"),
    ],
    ids=lambda given: given[1] if isinstance(given, tuple) else "",
)
def test_what_has_no_processes_is_said_where_it_stands(
    change: tuple[str, str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert command("run", write_scenario(tmp_path, IN_TWO.replace(*change)), "--dry-run") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "tiny.yaml, line 2" in said
    assert told in said


def test_a_conversation_has_no_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    text = (
        "name: t\nworld: {id: peripatos/Arithmetic-v0, workers: auto}\nagent: {kind: oracle}\nstages: [{name: look}]\n"
    )
    assert command("run", write_scenario(tmp_path, text), "--dry-run") == 2
    assert "this is a conversation" in " ".join(capsys.readouterr().err.split())


def test_what_auto_came_to_is_said_once_and_by_a_rehearsal_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("CI", "1")
    path = write_scenario(tmp_path, RUN.replace('Crashing"', 'Crashing", workers: auto'))
    for flags in (["--dry-run"], ["--out", tmp_path / "run", "--set", "stages.learn.budget.updates=1"]):
        assert command("run", path, *flags) == 0
        said = " ".join(capsys.readouterr().err.split())
        assert said.count("'crashing_world:Crashing' is stepped in the process of the run: a step takes ") == 1
