"""A world whose tasks are many is constructed once in a whole run, and its tasks are held once."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from scenarios_runs import command, start, write_scenario

WORLDS = """\
import json, os, pathlib, re
from peripatos.envs.conversation import ConversationEnv, Outcome, TaskWorld

def note(**what):
    with open("notes.jsonl", "a") as file:
        file.write(json.dumps(what) + "\\n")

def tasks(rows):
    note(constructed=os.getpid())
    return [{"prompt": f"What comes after {n}?", "answer": str(n + 1), "note": "x" * 400} for n in range(rows)]

def right(reply, task):
    peak = re.search(r"VmHWM:\\s*(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]
    note(step=os.getpid(), megabytes=int(peak) // 1024)  # getrusage has what the process that began this one had
    return task["answer"] in reply.text

class Scored(TaskWorld):
    def __init__(self, rows):
        super().__init__(tasks(rows), self.score)

    def score(self, reply, task):
        assert task is self._task
        return right(reply, task)

def made(rows):
    return TaskWorld(tasks(rows), right)

class Talk(ConversationEnv):
    splits = ("train", "validation", "test")
    weights = {"right": 1.0}

    def __init__(self, rows):
        super().__init__()
        self.tasks = tasks(rows)

    def another(self):
        return self.sibling()

    def opening(self, rng, split):
        third = ("train", "validation", "test").index(split)
        self.task = self.pick(self.tasks[third::3], rng)
        return self.task["prompt"]

    def respond(self, reply):
        return Outcome(terms={"right": float(right(reply, self.task))}, terminated=True)
"""
SCENARIO = """\
name: many
world: {id: "many_tasks:NAME", options: {rows: ROWS}}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 2}
stages:
  - {name: shown, method: sft, demonstrations: {agent: {kind: random}}, collect: {groups: 4}, budget: {updates: 1}}
  - {name: learn, method: grpo, collect: {groups: 64, group_size: 8}, budget: {updates: 1}}
evaluation: {episodes: 20, every: 1}
"""


def write(folder: Path, name: str, rows: int) -> Path:
    (folder / "many_tasks.py").write_text(WORLDS)
    (folder / "notes.jsonl").unlink(missing_ok=True)
    return write_scenario(folder, SCENARIO.replace("NAME", name).replace("ROWS", str(rows)))


def noted(folder: Path) -> list[dict[str, int]]:
    """What the world noted since it was last asked."""
    lines = (folder / "notes.jsonl").read_text().splitlines()
    (folder / "notes.jsonl").unlink()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("name", ["Scored", "made", "Talk"])
def test_a_world_of_many_tasks_is_constructed_once_in_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "many_tasks", raising=False)
    path = write(tmp_path, name, 12_000)
    for arguments in (("run", path, "--dry-run"), ("run", path, "--out", "out", "--quiet"), ("evaluate", "out")):
        assert command(*arguments, "--trust") == 0
        notes = noted(tmp_path)
        assert len([note for note in notes if "constructed" in note]) == 1, arguments
        if "--out" in arguments:
            assert len([note for note in notes if "step" in note]) >= 64 * 8
    monkeypatch.delitem(sys.modules, "many_tasks")


def test_tasks_are_held_once_however_many_worlds_there_are(tmp_path: Path) -> None:
    most = []
    for rows in (300, 12_000):
        process = start("run", write(tmp_path, "Scored", rows), "--out", tmp_path / str(rows), "--quiet", cwd=tmp_path)
        _, said = process.communicate()
        assert process.returncode == 0, said
        most.append(max(note.get("megabytes", 0) for note in noted(tmp_path)))
    assert most[1] - most[0] < 200, "one set of tasks takes some 12 MB, and 512 of them 6 GB"
