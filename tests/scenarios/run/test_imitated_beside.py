"""Demonstrations that are imitated beside reinforcement (`update.imitation_coefficient`): whole runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scenarios_runs import TINY, command, rows, write_scenario

WORDS = """\
name: tiny
world: {id: peripatos/Arithmetic-v0, options: {operators: ["+"], digits: 1, prompt: bare}}
agent: {kind: tiny_llama, hidden: 32, layers: 1, heads: 2}
sampling: {max_tokens: 3}
stages:
  - name: learn
    method: grpo
    demonstrations: {agent: {kind: oracle}}
    collect: {groups: 4, group_size: 2}
    overrides: {update: {imitation_coefficient: 1.0, minibatches: 2}}
    optimizer: {lr: 1e-2}
    budget: {updates: 6}
evaluation: {episodes: 4}
checkpoint: {every: 3}
"""
SCRIPT = '    demonstrations: {agent: {kind: scripted, function: "beside_expert:lean"}}'
BODY = TINY.replace("method: ppo", f"method: ppo\n{SCRIPT}")
BODY = BODY.replace("minibatches: 2", "minibatches: 2, imitation_coefficient: 0.5").replace("updates: 12", "updates: 6")
BODY = BODY.replace("    budget", "    optimizer: {lr: 1e-2}\n    budget")
LEAN = "def lean(observation):\n    return int(observation[2] + observation[3] > 0)\n"


def losses(run: Path) -> list[float]:
    return [row["imitation/loss"] for row in rows(run / "metrics.jsonl")]


def test_a_language_agent_imitates_the_oracle_beside_its_own_episodes_and_a_resume_changes_no_bit(
    tmp_path: Path,
) -> None:
    path, whole, parted = write_scenario(tmp_path, WORDS), tmp_path / "whole", tmp_path / "parted"
    assert command("run", path, "--out", whole, "-q") == 0
    assert command("run", path, "--out", parted, "-q", "--set", "stages.learn.budget.updates=3") == 0
    assert command("resume", parted, "-q", "--set", "stages.learn.budget.updates=6") == 0
    assert losses(whole)[-1] < losses(whole)[0] - 0.5
    assert rows(parted / "metrics.jsonl") == rows(whole / "metrics.jsonl")
    saved = [run / "checkpoints" / "000006" / "policy" / "model.safetensors" for run in (whole, parted)]
    assert saved[0].read_bytes() == saved[1].read_bytes()
    first = rows(whole / "metrics.jsonl")[0]
    assert (first["env_steps"], first["batch/rows"]) == (4 * 2 + 4, 4 * 2)  # the oracle's steps are steps of the world


def test_an_agent_with_a_body_imitates_a_script_beside_its_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside_expert.py").write_text(LEAN)
    monkeypatch.syspath_prepend(tmp_path)
    assert command("run", write_scenario(tmp_path, BODY), "--out", tmp_path / "run", "-q") == 0
    assert losses(tmp_path / "run")[-1] < losses(tmp_path / "run")[0] - 0.02


def test_chats_are_imitated_beside_and_epochs_are_of_the_worlds_own_tasks(tmp_path: Path) -> None:
    chats, tasks = tmp_path / "chats.jsonl", tmp_path / "tasks.jsonl"
    chats.write_text("".join(json.dumps({"prompt": f"{n}?", "completion": "4"}) + "\n" for n in range(10)))
    tasks.write_text("".join(json.dumps({"prompt": f"{n}+1", "answer": n + 1}) + "\n" for n in range(40)))
    path, run = write_scenario(tmp_path, WORDS), tmp_path / "run"
    world = f"world={{id: peripatos/Tasks-v0, options: {{tasks: {tasks}, grader: number}}}}"
    stage = [f"demonstrations={{chats: {chats}}}", "budget={epochs: 1}", "collect={groups: 8, group_size: 2}"]
    sets = [part for change in stage for part in ("--set", f"stages.learn.{change}")]
    assert command("run", path, "--out", run, "-q", "--set", world, *sets) == 0
    assert len(losses(run)) > 2  # 10 chats would be two updates
    assert losses(run)[-1] < losses(run)[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["demonstrations=null"], "needs `demonstrations` (update.imitation_coefficient is 1); write such as"),
        (["demonstrations={pairs: x.jsonl}"], "imitates, and of demonstrations.pairs one reply is not to be imitated"),
        (["overrides={}"], "takes no `demonstrations`; overrides: {update: {imitation_coefficient: 0.1}} imitates"),
        (["overrides.update.imitation_coefficient=-1"], "update.imitation_coefficient is -1"),
        (["method=sft", "overrides={update: {imitation_coefficient: 1}}"], "demonstrations are all that is learned"),
    ],
)
def test_what_has_nothing_to_imitate_is_refused_when_the_scenario_is_read(
    tmp_path: Path, changes: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = [part for change in changes for part in ("--set", f"stages.learn.{change}")]
    assert command("run", write_scenario(tmp_path, WORDS), "--dry-run", *sets) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_a_body_has_no_oracle_to_imitate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = BODY.replace('{kind: scripted, function: "beside_expert:lean"}', "{kind: oracle}")
    assert command("run", write_scenario(tmp_path, text), "--dry-run") == 2
    assert "control worlds have no oracle" in " ".join(capsys.readouterr().err.split())
