"""A run whose prompts do not fit into the model's context says so: at once where none does, once where some do."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenarios_runs import command, rows, write_scenario

from peripatos.envs.conversation import TaskWorld

SCENARIO = """\
name: overlong
world: {id: "test_unanswered_run:Letters", options: {train: TRAIN, test: TEST}}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 4}
stages:
  - name: learn
    method: reinforce
    collect: {groups: 8}
    budget: {updates: 2}
evaluation: {episodes: 8}
"""


class Letters(TaskWorld):
    """Prompts of which the first `train` and `test` of eight are far too long."""

    def __init__(self, train: int, test: int) -> None:
        long = {"train": train, "test": test}
        tasks = [
            {"prompt": f"{split} {n}" + (9000 * "x" if n < long[split] else ""), "split": split}
            for split in long
            for n in range(8)
        ]
        super().__init__(tasks, lambda reply, task: float(len(reply.text)))


def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, train: int, test: int
) -> tuple[int, str]:
    monkeypatch.setenv("CI", "1")
    text = SCENARIO.replace("TRAIN", str(train)).replace("TEST", str(test))
    code = command("run", write_scenario(tmp_path, text), "--out", tmp_path / "out")
    return code, capsys.readouterr().err


def test_a_run_in_which_some_prompts_do_not_fit_goes_on_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = run(tmp_path, monkeypatch, capsys, train=3, test=2)
    assert code == 0, said
    assert said.count("have prompts that do not fit into the context") == 1
    assert [row["episodes/unanswered"] for row in rows(tmp_path / "out" / "metrics.jsonl")] == [3.0, 3.0]
    assert {row["unanswered"] for row in rows(tmp_path / "out" / "evaluations.jsonl")} == {2}
