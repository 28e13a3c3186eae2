"""Rescoring: kept episodes are graded anew, both numbers stand, and no table mixes versions of a reward."""

from __future__ import annotations

import json
import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from scenarios_runs import command, rows, write_scenario

from peripatos.envs.errors import UserError
from peripatos.scenarios.compare.findings import report
from peripatos.scenarios.compare.jobs import ComparisonJob, JobResult
from peripatos.scenarios.rescore import rescore
from peripatos.scenarios.run.run_directory import RunDirectory

TASKS = [
    {"prompt": "Half of one?", "answer": "1/2", "oracle": "\\boxed{0.5}", "split": "test"},
    {"prompt": "Half of two?", "answer": "1", "oracle": "\\boxed{2}", "split": "test"},
    {"prompt": "Half of four?", "answer": "2", "oracle": "two", "split": "train"},
]
MARKS = "def score(reply, task):\n    return len(reply.text) > 3\n"
STRICT = "def score(reply, task):\n    return reply.text == task['answer']\n"
SCENARIO = """\
name: marks
world:
  id: peripatos.envs.conversation.task_world:TaskWorld
  options: {tasks: tasks.jsonl, reward: "MODULE:score"}
agent: {kind: oracle}
stages: [{name: look}]
evaluation: {episodes: 2}
log: {episodes: 6}
"""
STEPWISE = """\
name: steps
world: {id: peripatos/ToolMaths-v0, options: {digits: 1, weights: {length: 0.125}}}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 8}
stages:
  - name: imitate
    method: sft
    demonstrations: {agent: {kind: oracle}}
    collect: {groups: 4}
    budget: {updates: 1}
  - name: learn
    method: grpo
    collect: {groups: 2, group_size: 2}
    budget: {updates: 1}
evaluation: {every: 1, episodes: 3}
log: {episodes: 4}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A folder with tasks and a reward function in a module of its own name, and a run of them in `run`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = f"marks_{request.node.name}"
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in TASKS))
    (tmp_path / f"{module}.py").write_text(MARKS)
    assert command("run", write_scenario(tmp_path, SCENARIO.replace("MODULE", module)), "--out", "run", "-q") == 0
    return tmp_path


def edit(home: Path, text: str) -> None:
    """Another version of the reward function."""
    (module,) = home.glob("marks_*.py")
    module.write_text(text)
    sys.modules.pop(module.stem)
    # that of a version of equal length, written in the same second, would be taken for this one's
    Path(cache_from_source(str(module))).unlink(missing_ok=True)


def test_another_grader_gives_other_numbers_and_both_stand(home: Path) -> None:
    before = (home / "run" / "episodes" / "000000-test.jsonl").read_bytes()
    (done,) = rescore(home / "run", grader="maths")
    assert (done.before["return_mean"], done.after["return_mean"], done.changed) == (1.0, 0.5, 1)
    assert (home / "run" / "episodes" / "000000-test.jsonl").read_bytes() == before
    assert done.folder is not None
    again = rows(done.folder / "000000-test.jsonl")
    assert [row["reward"] for row in again] == [1.0, 0.0]
    assert all("maths" in row["scored_by"] for row in again)
    first = [json.loads(line)["scored_by"] for line in before.decode().splitlines()]
    assert all("marks_" in version for version in first)


def test_an_edited_reward_is_another_version(home: Path) -> None:
    (same,) = rescore(home / "run")
    assert (same.changed, same.folder) == (0, None)
    edit(home, STRICT)
    (done,) = rescore(home / "run")
    assert (done.before["success_rate"], done.after["success_rate"]) == (1.0, 0.0)
    assert done.versions[0] != done.versions[1]


def test_show_names_the_version_and_what_the_others_say(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("rescore", "run", "--grader", "maths") == 0
    capsys.readouterr()
    assert command("show", "run", "--episode", "1") == 0
    said = capsys.readouterr().out
    assert "scored by TaskWorld 1, marks_" in said
    assert "by another version, TaskWorld 1, maths" in said
    assert command("show", "run", "--episode", "1", "--json") == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["reward"], row["rescored"][0]["reward"]) == (1.0, 0.0)


def test_the_command_prints_one_table_for_each_version(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("rescore", "run", "--grader", "maths") == 0
    then, now = capsys.readouterr().out.split("scored now by ")
    assert "return 1 " in then
    assert "return 0.5" not in then
    assert "return 0.5" in now
    assert "return 1 " not in now


def test_a_run_does_not_go_on_with_another_version(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunDirectory.open(home / "run")
    run.write_summary({**run.summary(), "status": "interrupted"})
    edit(home, STRICT)
    assert command("resume", "run") == 2
    assert "its numbers would not be comparable" in capsys.readouterr().err


def test_a_table_of_mixed_versions_is_refused(home: Path) -> None:
    scenario = RunDirectory.open(home / "run").scenario()
    summary = json.loads((home / "run" / "summary.json").read_text())
    jobs = [ComparisonJob(scenario.model_copy(update={"seed": n}), "marks", "grpo", home / f"{n}") for n in (0, 1)]
    mixed = [JobResult(jobs[0], summary), JobResult(jobs[1], {**summary, "scored_by": "another"})]
    with pytest.raises(UserError, match="different versions of a reward never stand in one table"):
        report(mixed, home)
    assert "another" in (home / "runs.csv").read_text()


def test_a_task_that_has_changed_is_left_out_and_not_graded(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = [{**task, "prompt": task["prompt"].replace("Half", "Twice")} for task in TASKS]
    (home / "tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in changed))
    (done,) = rescore(home / "run")
    assert done.left_out == {"the world does not say what it said then": 2}
    (done,) = rescore(home / "run", grader="maths")
    assert done.left_out == {"the world does not give the task that it gave then": 2}
    capsys.readouterr()
    assert command("rescore", "run", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["left_out"] == {"the world does not say what it said then": 2}


def test_a_grader_that_there_is_not_and_an_option_that_is_none_of_the_world_are_refused(home: Path) -> None:
    with pytest.raises(UserError, match=r"--grader is .*; allowed: choice, .*, or module:function"):
        rescore(home / "run", grader="Maths")
    with pytest.raises(UserError, match=r"only world\.options can change"):
        rescore(home / "run", sets=["agent.kind=random"])


def test_other_weights_are_another_version(home: Path) -> None:
    (done,) = rescore(home / "run", sets=["world.options.weights={reward: 2.0}"])
    assert (done.before["return_mean"], done.after["return_mean"]) == (1.0, 2.0)
    assert "weights reward 2" in done.versions[1]


def test_every_episode_of_many_turns_is_graded_as_it_was(tmp_path: Path) -> None:
    assert command("run", write_scenario(tmp_path, STEPWISE), "--out", tmp_path / "run", "-q") == 0
    files = rescore(tmp_path / "run")
    assert {file.split for file in files} == {"train", "test", "validation"}
    for file in files:
        assert (file.changed, dict(file.left_out), file.folder) == (0, {}, None), file


def test_worlds_that_wait_for_tools_and_worlds_without_words_are_refused(tmp_path: Path) -> None:
    assert command("run", write_scenario(tmp_path), "--out", tmp_path / "run", "--set", "log={episodes: 2}", "-q") == 0
    with pytest.raises(UserError, match="is not a world of messages"):
        rescore(tmp_path / "run")
    waits = "from peripatos.envs.conversation.task_world import TaskWorld\nclass Slow(TaskWorld):\n    waits = True\n"
    (tmp_path / "slow_marks.py").write_text(waits + MARKS)
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in TASKS))
    text = SCENARIO.replace("peripatos.envs.conversation.task_world:TaskWorld", "slow_marks:Slow")
    text = text.replace("MODULE", "slow_marks").replace("tasks.jsonl", str(tmp_path / "tasks.jsonl"))
    assert command("run", write_scenario(tmp_path, text), "--out", tmp_path / "slow", "-q") == 0
    with pytest.raises(UserError, match="to replay an episode would be to do again what was done in it"):
        rescore(tmp_path / "slow")


RANKS = """\
def score(replies, task):
    best = max(reply.text for reply in replies)
    return [float(reply.text == best) for reply in replies]
"""
LOWEST = RANKS.replace("max(", "min(")
GROUPS = """\
name: groups
world: {id: peripatos/Tasks-v0, options: {tasks: tasks.jsonl, group_reward: "MODULE:score"}}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 4}
stages: [{name: learn, method: grpo, collect: {groups: 3, group_size: 4}, budget: {updates: 1}}]
evaluation: {episodes: 2}
log: {episodes: 10}
"""


def test_a_reward_that_judges_groups_grades_whole_groups_and_no_part_of_one(home: Path) -> None:
    (module,) = home.glob("marks_*.py")
    edit(home, RANKS)
    path = write_scenario(home, GROUPS.replace("MODULE", module.stem))
    assert command("run", path, "--out", "groups", "-q") == 0
    then = {one.split: one for one in rescore(home / "groups")}
    partial = "its group was not kept whole, and the reward judges groups (log.episodes)"
    assert (then["train"].changed, then["train"].left_out) == (0, {partial: 2})  # of 12, 10 were kept
    assert then["test"].left_out == {}
    edit(home, LOWEST)
    (now,) = [one for one in rescore(home / "groups") if one.split == "train"]
    assert now.folder is not None
    kept = {(row["group"], row["index"]): row for row in rows(home / "groups" / "episodes" / "000001-train.jsonl")}
    graded = [row for row in rows(now.folder / "000001-train.jsonl") if row["left_out"] is None]
    assert len(graded) == 8
    for group in {row["group"] for row in graded}:
        members = [row for row in graded if row["group"] == group]
        said = [kept[group, row["index"]]["messages"][-1]["content"] for row in members]
        assert [row["reward"] for row in members] == [float(text == min(said)) for text in said]


def test_a_reward_that_fails_on_a_group_leaves_its_episodes_out_with_the_reason(home: Path) -> None:
    (module,) = home.glob("marks_*.py")
    edit(home, RANKS)
    assert command("run", write_scenario(home, GROUPS.replace("MODULE", module.stem)), "--out", "groups", "-q") == 0
    edit(home, "def score(replies, task):\n    return [1 / (len(replies) - 4)] * len(replies)\n")
    (now,) = [one for one in rescore(home / "groups") if one.split == "train"]
    assert sum(count for why, count in now.left_out.items() if "ZeroDivisionError" in why) == 8
