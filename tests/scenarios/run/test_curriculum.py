"""Which tasks come next: decided by counting, kept in checkpoints, the same wherever it is collected, and refused where
there is nothing to choose from."""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scenarios_runs import assert_same_run, command, finish, rows, start, wait_for_rows, write_scenario

from peripatos.envs.errors import UserError
from peripatos.envs.vocabulary import Episode
from peripatos.scenarios.config.collect import Collect, CurriculumSpec
from peripatos.scenarios.run.checkpoint import BadCheckpoint, checkpoints, verify, write_manifest
from peripatos.scenarios.run.curriculum import FILE, Curriculum
from peripatos.scenarios.run.refill import FAR

KINDS = ("easy", "hard", "hard", "middle")  # of the tasks, in turn
JUDGE = """\
def score(reply, task):
    return {"easy": True, "hard": False, "middle": sum(reply.text.encode()) % 2 == 0}[task["kind"]]

def number(reply, task):
    return float(len(reply.text))
"""
SCENARIO = """\
name: chosen
world: {id: peripatos/Tasks-v0, options: {tasks: tasks.jsonl, reward: "a_judge:score"}}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 3}
stages:
  - name: learn
    method: grpo
    collect: {groups: 4, group_size: 4, staleness: 0, curriculum: {uniform: 0.1}}
    budget: {updates: 9}
evaluation: {every: 4, episodes: 4}
checkpoint: {every: 3}
log: {episodes: 100}
"""
WORLDS = """\
worlds:
  - {id: peripatos/Tasks-v0, name: one, options: {tasks: tasks.jsonl, reward: "a_judge:score"}}
  - {id: peripatos/Arithmetic-v0, name: two, options: {digits: 1}}
  - {id: peripatos/Arithmetic-v0, name: three, options: {digits: 3}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where tasks and their judge are; runs begin there, here and in processes of their own."""
    splits = ["train"] * 40 + ["test"] * 8 + ["validation"] * 8
    tasks = [{"prompt": f"{n}?", "kind": KINDS[n % 4], "id": f"t{n}", "split": split} for n, split in enumerate(splits)]
    (tmp_path / "tasks.jsonl").write_text("\n".join(map(json.dumps, tasks)))
    (tmp_path / "chats.jsonl").write_text(json.dumps({"prompt": "1?", "completion": "2"}))
    (tmp_path / "a_judge.py").write_text(JUDGE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "a_judge", raising=False)  # that of another test's folder
    return tmp_path


def text(changes: Mapping[str, str] = {}, *, staleness: int = 0) -> str:
    """The scenario with some words in the place of others."""
    changed = SCENARIO
    for old, new in {"staleness: 0": f"staleness: {staleness}", **changes}.items():
        assert old in changed
        changed = changed.replace(old, new)
    return changed


def episodes(groups: Sequence[int], successes: Sequence[bool | None]) -> list[Episode]:
    """One for each group, which earned what its success is worth."""
    return [
        Episode(
            group=group,
            index=0,
            seed=0,
            version=0,
            split="train",
            reward=None if succeeded is None else float(succeeded),
            reward_terms={},
            turns=1,
            units=1,
            terminated=True,
            truncated=False,
            success=succeeded,
            stop_reason="stop",  # type: ignore[arg-type]
        )
        for group, succeeded in zip(groups, successes, strict=True)
    ]


def curriculum(tasks: int = 6, *, staleness: int = 0, refill: int = 0, groups: int = 3, **how: float) -> Curriculum:
    spec = CurriculumSpec(**how)  # type: ignore[arg-type]
    collect = Collect(groups=groups, group_size=2, staleness=staleness, refill=refill, curriculum=spec)
    return Curriculum(collect, tasks, seed=7)


def seen(one: Curriculum, version: int) -> np.ndarray:
    return one.files()[FILE][f"{version:06d}"].numpy()


def test_what_was_seen_fades_by_its_half_life_and_what_is_not_scored_is_counted_apart() -> None:
    one = curriculum(half_life=1.0)
    one.saw(episodes([0, 6, 1, 2], [True, False, False, None]))  # 6 is task 0 again
    one.saw(episodes([0, 13], [True, True]))
    assert seen(one, 2).tolist() == [[1.5, 1.0, 0, 0, 0, 0], [2.0, 1.5, 0, 0, 0, 0], [0, 0, 0.5, 0, 0, 0]]


def test_a_scored_episode_whose_success_nobody_tells_has_failed_whatever_others_of_its_batch_say() -> None:
    one, cut = curriculum(half_life=1.0), episodes([0, 1], [True, True])
    silent = [*episodes([2], [True])]
    object.__setattr__(silent[0], "success", None)
    one.saw(silent)
    assert seen(one, 1).tolist() == [[0] * 6, [0, 0, 1, 0, 0, 0], [0] * 6]
    object.__setattr__(cut[1], "success", None)
    one.saw(cut)
    assert seen(one, 2).tolist() == [[1, 0, 0, 0, 0, 0], [1, 1, 0.5, 0, 0, 0], [0] * 6]


@pytest.mark.parametrize("seed", range(3))
def test_no_two_groups_of_a_stage_have_one_number_and_each_names_its_task(seed: int) -> None:
    chance = random.Random(seed)
    one = curriculum(5, refill=2, groups=chance.randint(4, 12))
    met: list[int] = []
    for batch in range(6):
        for number in (batch, batch + FAR, batch + 2 * FAR):
            groups = one.groups(number)
            assert groups == sorted(groups)
            assert groups == one.groups(number), "asked twice, it is the same"
            met += groups
        one.saw(episodes(met, [chance.random() < 0.5 for _ in met]))
    assert len(set(met)) == len(met), f"seed {seed}"
    assert {group % 5 for group in met} == set(range(5))


@pytest.mark.parametrize("staleness", [0, 1, 2])
def test_batch_k_is_drawn_from_what_version_k_minus_s_had_seen(staleness: int) -> None:
    """Whoever asks early and whoever asks late draw the same, and what came later changes nothing."""
    early, late = curriculum(20, staleness=staleness), curriculum(20, staleness=staleness)
    told = [episodes(range(20), [n % 3 == k % 3 for n in range(20)]) for k in range(8)]
    asked: dict[int, list[int]] = {}
    for k in range(8):
        for ahead in range(k, k + staleness + 1):
            asked.setdefault(ahead, early.groups(ahead))
        assert late.groups(k) == asked[k]
        early.saw(told[k])
        late.saw(told[k])
    other = curriculum(20, staleness=staleness)
    for k in range(4):
        other.saw(told[k])
    assert other.groups(4 + staleness) == asked[4 + staleness]


@pytest.mark.parametrize("staleness", [0, 2])
def test_one_that_is_loaded_goes_on_as_the_one_that_was_saved(staleness: int, tmp_path: Path) -> None:
    one, other = (curriculum(20, staleness=staleness) for _ in range(2))
    for k in range(5):
        one.saw(episodes(range(20), [n % 4 == k % 2 for n in range(20)]))
    save_file(dict(one.files()[FILE]), tmp_path / FILE)
    other.load(tmp_path, 5)
    for k in range(5, 9):
        assert other.groups(k) == one.groups(k)
        for each in (one, other):
            each.saw(episodes(each.groups(k), [True, False, True]))
    assert [*other.files()[FILE]] == [*one.files()[FILE]]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"000003": torch.zeros(3, 7)}, "knows 7 tasks to learn from, and there are 6 now"),
        ({"000002": torch.zeros(3, 6)}, "is not what a run of this scenario has seen after 3 updates"),
        ({"000003": torch.zeros(2, 6)}, "is not what a run"),
        ({"000003": torch.zeros(6)}, "is not what a run"),
        ({"000003": torch.tensor([[1.0] * 6, [0.5] * 6, [0.0] * 6])}, "is not what a run"),
        ({"000003": torch.tensor([[-1.0] * 6, [0.5] * 6, [0.0] * 6])}, "is not what a run"),
        ({"latest": torch.zeros(3, 6)}, "is not what a run"),
        ({}, "is not what a run"),
        ({"000003": torch.zeros(3, 6)}, "in the world's files before, and these have changed"),
    ],
)
def test_counts_of_other_tasks_or_of_no_tasks_are_refused(found: dict, said: str, tmp_path: Path) -> None:
    save_file(found, tmp_path / FILE)
    with pytest.raises(UserError, match=said):
        curriculum().load(tmp_path, 3)


def test_tasks_that_are_never_scored_do_not_win_the_draw() -> None:
    one, met = curriculum(20, groups=4), Counter[bool]()
    for batch in range(60):
        groups = one.groups(batch)
        met.update(group % 20 < 10 for group in groups)
        one.saw(
            episodes(
                [g for g in groups for _ in "1234"],
                [None if g % 20 < 10 else g % 2 == 0 for g in groups for _ in "1234"],
            )
        )
    assert met[True] < met[False]


def test_tasks_that_come_again_in_a_refill_are_no_collapse() -> None:
    one = curriculum(40, groups=4, refill=4)
    told = episodes([0, 1, 2, 3, 40, 41, 42, 43, 80], [False] * 9)
    assert one.saw(told)["curriculum/distinct"] == 1.0
    assert one.saw(episodes([0, 40, 80, 120, 160], [False] * 5))["curriculum/distinct"] == 1 / 4


def test_groups_beyond_64_bits_are_refused_by_how_many_updates_there_are_numbers_for() -> None:
    one = curriculum(1_000_000, groups=1024, refill=16)
    assert 505 * 17 * 1024 * 1_000_000 <= 2**63 // 2**20 < 506 * 17 * 1024 * 1_000_000, "so 505 updates have numbers"
    with pytest.raises(UserError, match="has numbers for the groups of 505 updates"):
        one.groups(505 + 16 * FAR)


def test_tasks_of_the_middle_come_most_and_the_row_says_how_many_there_are() -> None:
    one, met = curriculum(40, groups=10, uniform=0.1, half_life=1e6), Counter[int]()
    chance, row = random.Random(0), dict[str, float]()
    for batch in range(60):
        groups = one.groups(batch)
        met.update(group % 4 for group in groups)
        told = [{0: True, 1: False, 2: False, 3: chance.random() < 0.5}[group % 4] for group in groups for _ in "1234"]
        row = one.saw(episodes([group for group in groups for _ in "1234"], told))
    assert met[3] > 3 * max(met[kind] for kind in (0, 1, 2))
    assert min(met.values()) > 20, "nothing is forgotten"
    assert row["curriculum/tried"] == 1.0
    assert row["curriculum/middle"] == pytest.approx(0.25, abs=0.05)
    assert 10 < row["curriculum/effective"] < 25
    assert row["curriculum/distinct"] > 0.8


# --- runs -----------------------------------------------------------------------------------------------


def kept(run: Path, split: str) -> list[dict]:
    files = sorted((run / "episodes").glob(f"*-{split}.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_a_run_keeps_to_the_middle_groups_share_their_task_and_evaluations_are_what_they_were(folder: Path) -> None:
    short = {"updates: 9": "updates: 4"}
    runs = {"chosen": text(short), "plain": text({**short, ", curriculum: {uniform: 0.1}": ""})}
    for name, words in runs.items():
        assert command("run", write_scenario(folder, words), "--out", folder / name, "-q") == 0
    tasks, names = {}, {}
    for episode in kept(folder / "chosen", "train"):
        assert names.setdefault(episode["group"], episode["task"]) == episode["task"], "members of a group share it"
        assert tasks.setdefault(episode["group"] % 40, episode["task"]) == episode["task"], "a number names its task"
    assert len(set(tasks.values())) == len(tasks)
    for split in ("test", "validation"):
        mine, theirs = ([e["task"] for e in kept(folder / name, split)] for name in runs)
        assert mine == theirs
    first = [rows(folder / name / "evaluations.jsonl")[0] for name in runs]
    assert first[0] == first[1]
    seen = rows(folder / "chosen" / "metrics.jsonl")
    assert [row["curriculum/tried"] for row in seen] == sorted(row["curriculum/tried"] for row in seen)
    assert seen[0]["curriculum/tried"] == 4 / 40
    assert "curriculum/tried" not in rows(folder / "plain" / "metrics.jsonl")[0]


@pytest.mark.parametrize("staleness", [1, *(pytest.param(s, marks=pytest.mark.slow) for s in (0, 2))])
def test_a_run_that_was_killed_draws_what_it_would_have_drawn(staleness: int, folder: Path) -> None:
    path, rng = write_scenario(folder, text(staleness=staleness)), random.Random(staleness)
    torch.set_num_threads(1)  # as in the other process: sums in another order are other sums
    assert command("run", path, "--out", folder / "whole", "-q") == 0
    process = start("run", path, "--out", folder / "run", "-q", cwd=folder)
    wait_for_rows(folder / "run" / "metrics.jsonl", rng.randint(4, 6))
    time.sleep(rng.random() * 0.03)
    process.send_signal(signal.SIGKILL)
    finish(process)
    assert command("resume", folder / "run", "-q") == 0
    assert_same_run(folder / "run", folder / "whole")


@pytest.mark.parametrize("staleness", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_stage_that_ended_goes_on_as_one_that_had_the_larger_budget(staleness: int, folder: Path) -> None:
    path = write_scenario(folder, text({"updates: 9": "updates: 5"}, staleness=staleness))
    assert command("run", path, "--out", folder / "whole", "-q") == 0
    assert command("run", path, "--out", folder / "run", "-q", "--set", "stages.learn.budget.updates=3") == 0
    assert command("resume", folder / "run", "-q", "--set", "stages.learn.budget.updates=5") == 0
    assert rows(folder / "run" / "metrics.jsonl") == rows(folder / "whole" / "metrics.jsonl")


def test_each_of_several_worlds_is_a_task_and_a_refilled_batch_draws_again(folder: Path) -> None:
    words = WORLDS + SCENARIO[SCENARIO.index("agent:") :].replace("updates: 9", "updates: 3")
    path = write_scenario(folder, "name: three\n" + words)
    assert command("run", path, "--out", folder / "three", "-q") == 0
    seen = rows(folder / "three" / "metrics.jsonl")
    assert {row["curriculum/tried"] for row in seen} <= {1 / 3, 2 / 3, 1.0}
    assert "curriculum/distinct" not in seen[0], "a world that comes again is no task that does"
    worlds = {episode["group"] % 3: episode["world"] for episode in kept(folder / "three", "train")}
    assert worlds == {number: ("one", "two", "three")[number] for number in worlds}
    refilled = "curriculum: {}, gate: [0.25, 0.75], refill: 2"
    again = text({"curriculum: {uniform: 0.1}": refilled, "updates: 9": "updates: 3"})
    assert command("run", write_scenario(folder, again), "--out", folder / "again", "-q") == 0
    seen = rows(folder / "again" / "metrics.jsonl")
    assert max(row["episodes/finished"] for row in seen) > 16
    assert all(0 <= row["groups/taken"] < 1 for row in seen)


def test_a_run_does_not_go_on_over_rows_in_another_order(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_scenario(folder, text({"updates: 9": "updates: 1"}))
    assert command("run", path, "--out", folder / "run", "-q") == 0
    lines = (folder / "tasks.jsonl").read_text().splitlines()
    (folder / "tasks.jsonl").write_text("\n".join([*lines[1:], lines[0]]))
    assert command("resume", folder / "run", "-q", "--set", "stages.learn.budget.updates=2") == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "nobody knows which count is of which task now; put them back, or start a new run" in error


def test_a_checkpoint_without_its_curriculum_is_damaged(folder: Path) -> None:
    path = write_scenario(folder, text({"updates: 9": "updates: 4"}))
    assert command("run", path, "--out", folder / "run", "-q") == 0
    inside = next(one for one in checkpoints(folder / "run" / "checkpoints") if one.name == "000003")
    assert set(load_file(inside / FILE)) == {"data", "000003"}
    (inside / FILE).unlink()
    write_manifest(inside)
    with pytest.raises(BadCheckpoint, match=r"does not know curriculum\.safetensors"):
        verify(inside)


@pytest.mark.ray
def test_two_workers_draw_what_one_process_does(folder: Path) -> None:
    path = write_scenario(folder, text({"groups: 4": "groups: 4, tile: 2", "updates: 9": "updates: 4"}, staleness=1))
    assert command("run", path, "--out", folder / "one", "-q") == 0
    assert command("run", path, "--out", folder / "two", "-q", "--set", "cluster={rollout: {workers: 2}}") == 0
    assert rows(folder / "one" / "metrics.jsonl") == rows(folder / "two" / "metrics.jsonl")


IMITATES = [
    *("stages.learn.method=sft", "stages.learn.demonstrations={agent: {kind: oracle}}"),
    *("world.options.reward=null", "world.options.grader=exact", "world.options.answer=kind"),
    "stages.learn.collect.group_size=1",
]

BESIDE = [
    "stages.learn.demonstrations={chats: chats.jsonl}",
    "stages.learn.overrides={update: {imitation_coefficient: 0.5}}",
]


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (BESIDE, "demonstrations.chats come in turn"),
        (["world={id: peripatos/Arithmetic-v0}"], "those of 'peripatos/Arithmetic-v0' are none: each is made once"),
        (["world.options.repeats=2"], "world.options.repeats is 2, and a curriculum decides how often tasks come"),
        (["world.options.shuffle=false"], "world.options.shuffle is false, and a curriculum decides in which order"),
        (["stages.learn.budget.updates=1000000000000"], "has numbers for the groups of 54,975,581,388 updates"),
        (["stages.learn.budget={epochs: 2}"], "collect.curriculum makes none"),
        (
            ["world.options.reward='a_judge:number'"],
            "'peripatos/Tasks-v0' says nothing about success; a world of tasks",
        ),
        (IMITATES, "goes by the successes of groups, and this stage learns from what somebody else did"),
        (["stages.learn.collect.curriculum.uniform=2"], "curriculum.uniform is 2; allowed is a number from 0 to 1"),
        (["stages.learn.collect.curriculum.half_life=0"], "half_life is 0; allowed is a number greater than 0"),
        (["stages.learn.collect.curriculum.halflife=5"], "Did you mean 'half_life'"),
        (["stages.learn.collect.curriculum=0.2"], "its keys are half_life, uniform: curriculum: {uniform: 0.2}?"),
        (["stages.learn.collect.curriculum=true"], "write such as curriculum: {uniform: 0.1}"),
    ],
)
def test_a_curriculum_that_has_nothing_to_choose_by_is_refused(
    folder: Path, sets: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [part for one in sets for part in ("--set", one)]
    assert command("run", write_scenario(folder, text()), "--dry-run", *flags) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert said in error, error
    assert "Traceback" not in error


def test_shares_of_worlds_among_which_a_curriculum_chooses_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = WORLDS.replace("name: two", "name: two, share: 3") + SCENARIO[SCENARIO.index("agent:") :]
    assert command("run", write_scenario(folder, "name: three\n" + words), "--dry-run") == 2
    assert "world 'two' has the share 3 of each collection" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("tasks: tasks.jsonl, repeats: 3", "worlds.0.options.repeats is 3, and a curriculum decides how often"),
        (
            "tasks: tasks.jsonl, shuffle: false",
            "worlds.0.options.shuffle is false, and a curriculum decides in which order",
        ),
        (None, "and there is one; give several, or it as `world`"),
    ],
)
def test_worlds_that_leave_a_curriculum_nothing_to_decide_are_refused(
    folder: Path, change: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    worlds = WORLDS.replace("tasks: tasks.jsonl", change) if change else "\n".join(WORLDS.splitlines()[:2]) + "\n"
    words = "name: some\n" + worlds + SCENARIO[SCENARIO.index("agent:") :]
    assert command("run", write_scenario(folder, words), "--dry-run") == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_rows_that_go_on_have_no_tasks_to_choose_from(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "name: body\nworld: {id: CartPole-v1}\nagent: {kind: mlp, hidden: [8]}\nstages:\n  - name: learn\n"
    words += "    method: ppo\n    collect: {groups: 2, horizon: 8, curriculum: {}}\n    budget: {updates: 1}\n"
    assert command("run", write_scenario(folder, words), "--dry-run") == 2
    assert "reads rows that go on from one update to the next" in " ".join(capsys.readouterr().err.split())
