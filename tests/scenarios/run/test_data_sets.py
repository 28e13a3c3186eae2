"""A data set is a world by options alone: it is learned from, and every held-out task is evaluated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scenarios_runs import command, write_scenario

ROWS = [{"question": f"What is {n} + 1?", "answer": f"{n} + 1 = {n + 1}\n#### {n + 1}"} for n in range(60)]
SCENARIO = """\
name: rows
world:
  id: peripatos/Tasks-v0
  options:
    tasks: rows.jsonl
    system: You add.
    prompt: "{question}\\nAnswer with a number."
    answer: {column: answer, after: "#### "}
    grader: number
agent: {kind: tiny_llama, hidden: 32, layers: 1, heads: 2}
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
evaluation: {every: 1, episodes: all}
sampling: {max_tokens: 4}
log: {episodes: 100}
"""


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    return write_scenario(tmp_path, SCENARIO)


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_file_is_learned_from_and_every_held_out_task_is_evaluated(scenario: Path, tmp_path: Path) -> None:
    from peripatos.envs.conversation import TaskWorld

    world = TaskWorld("rows.jsonl", grader="number", prompt="{question}\nAnswer with a number.")
    assert command("run", scenario, "--out", tmp_path / "run") == 0
    for split in ("test", "validation"):
        played = [row for row in read(tmp_path / "run" / "evaluations.jsonl") if row["set"] == split]
        assert {row["episodes"] for row in played} == {world.tasks_in(split)}  # type: ignore[arg-type]
        seen = [row["task"] for row in read(next((tmp_path / "run" / "episodes").glob(f"*-{split}.jsonl")))]
        assert sorted(seen) == sorted(world.prompts(split))  # type: ignore[arg-type]
    assert command("evaluate", tmp_path / "run") == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("world.options.grader=nubmer", "unknown grader 'nubmer'"),
        ("world.options.tasks=row.jsonl", "there is no such file"),
        ("world.options.prompt='{quesion}'", "rows.jsonl:1 has no 'quesion', which '{quesion}' asks for"),
        ("world.options.answer.after='##### '", "rows.jsonl:1: 'answer' has nothing behind '#####'"),
        ("world.options.split=tset", "unknown split 'tset'"),
        ("world.options.grade=exact", "unknown option 'grade'"),
        ("evaluation.episodes=al", "allowed are all (held-out tasks) and a whole number, 1 or greater"),
        ("evaluation.episodes=0", "allowed are all (held-out tasks) and a whole number, 1 or greater"),
    ],
)
def test_a_mistake_is_said_before_the_first_step(
    scenario: Path, change: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("run", scenario, "--dry-run", "--set", change) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_all_tasks_of_a_world_that_makes_them_by_chance_are_no_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = SCENARIO[: SCENARIO.index("world:")] + "world: {id: peripatos/Arithmetic-v0}\n"
    path = write_scenario(tmp_path, text + SCENARIO[SCENARIO.index("agent:") :])
    assert command("run", path, "--dry-run") == 2
    assert "the tasks of 'peripatos/Arithmetic-v0' are no list that has an end; give a number" in " ".join(
        capsys.readouterr().err.split()
    )


@pytest.mark.parametrize(("epochs", "repeats", "groups"), [(1, 1, 16), (0.5, 2, 16)])
def test_a_budget_in_epochs_is_as_many_updates_as_meet_every_task(
    scenario: Path, tmp_path: Path, epochs: float, repeats: int, groups: int
) -> None:
    from peripatos.envs.conversation import TaskWorld

    world = TaskWorld("rows.jsonl", grader="number", prompt="{question}\nAnswer with a number.", repeats=repeats)
    tasks = world.tasks_in("train")
    assert tasks == repeats * len(world.prompts("train"))
    sets = [
        f"stages.imitate.budget={{epochs: {epochs}}}",
        f"stages.imitate.collect.groups={groups}",
        f"world.options.repeats={repeats}",
        "evaluation.every=null",
        "stages.learn.method=null",
        "stages.learn.collect=null",
        "stages.learn.budget=null",
    ]
    flags = [part for text in sets for part in ("--set", text)]
    assert command("run", scenario, "--out", tmp_path / "run", *flags) == 0
    rows = read(tmp_path / "run" / "metrics.jsonl")
    assert len(rows) == -(-int(epochs * tasks) // groups)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["stages"][0]["ended_by"] == f"budget of {epochs:g} epochs"


def test_epochs_of_tasks_that_are_no_list_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = SCENARIO[: SCENARIO.index("world:")] + "world: {id: peripatos/Arithmetic-v0}\n"
    path = write_scenario(tmp_path, text + SCENARIO[SCENARIO.index("agent:") :].replace("all", "4"))
    assert command("run", path, "--dry-run", "--set", "stages.learn.budget={epochs: 2}") == 2
    assert (
        "budget.epochs counts passes over a list of tasks, and those of 'peripatos/Arithmetic-v0' are none"
        in " ".join(capsys.readouterr().err.split())
    )
