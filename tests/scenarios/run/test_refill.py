"""Groups without information are sampled again; what is kept, counted, numbered and refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scenarios_runs import command, rows, write_scenario
from small_worlds import BANDIT, Table, play

from peripatos.algorithms.flat_groups import flat_groups
from peripatos.envs.vocabulary import Collection
from peripatos.scenarios.config.collect import Collect
from peripatos.scenarios.run.refill import FAR, Behind, collected

LAKE = """\
name: lake
world: {id: FrozenLake-v1, options: {is_slippery: false, max_episode_steps: 12}}
agent: {kind: mlp, hidden: [8]}
checkpoint: {every: 1}
evaluation: {episodes: 2}
stages:
  - name: cross
    method: dapo
    overrides: {rewards: {overlong_share: null}}
    collect: {groups: 3, group_size: 6, refill: 3}
    budget: {updates: 3}
"""

SUMS = """\
name: sums
world:
  id: peripatos/Tasks-v0
  options: {tasks: sums.jsonl, prompt: "{question} =", grader: number}
agent: {kind: tiny_llama, hidden: 16, layers: 1}
sampling: {max_tokens: 1}
evaluation: {every: null, episodes: all}
log: {episodes: 100}
stages:
  - name: learn
    method: grpo
    collect: {groups: 4, group_size: 2, gate: [0.9, 1], refill: 1}
    budget: {updates: 2}
"""


class Bandits:
    """A pool whose every episode is one pull of a three-armed bandit; it remembers what it was asked for. Groups of
    a number that is `flat` earn nothing."""

    def __init__(self, flat: Callable[[int], bool] = lambda group: False) -> None:
        self.asked: list[list[int]] = []
        self._flat = flat

    def submit(self, groups: Sequence[int], group_size: int, *, seed: int, version: int) -> Future[Collection]:
        self.asked.append(list(groups))
        draw = torch.Generator().manual_seed(seed + len(self.asked))
        batch = play(Table(), [BANDIT] * len(groups), group_size, draw, version)
        number = torch.tensor(groups).repeat_interleave(group_size)
        paid_B = torch.tensor([not self._flat(group) for group in groups]).repeat_interleave(group_size)
        batch = replace(batch, reward_B_T=batch.reward_B_T * paid_B[:, None])
        batch = replace(batch, group_B=number, episode_B=number * 2**20 + torch.arange(len(number)) % group_size)
        answer: Future[Collection] = Future()
        answer.set_result(Collection(batch, (), len(number), len(number)))
        return answer


def collect_from(pool: Bandits, collect: Collect, *, seed: int = 0, version: int = 0, tasks: int = 1) -> Collection:
    groups = range(version * collect.groups, (version + 1) * collect.groups)
    more = Behind(collect, tasks, version)
    return collected(pool, collect, groups, more, seed=seed, version=version, leave_out_flat=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(5))
def test_a_batch_ends_with_as_many_groups_as_were_asked_for_all_of_which_differ(seed: int) -> None:
    pool = Bandits()
    got = collect_from(pool, Collect(groups=6, group_size=3, refill=30), seed=100 * seed, version=4)
    assert got.batch is not None
    assert len(torch.unique(got.batch.group_B)) == 6
    assert not flat_groups(got.batch).any()
    asked = [group for part in pool.asked for group in part]
    assert len(set(asked)) == len(asked), "no group is asked for twice"
    assert pool.asked[0] == [24, 25, 26, 27, 28, 29]
    assert all(group >= 6 * FAR for part in pool.asked[1:] for group in part), "later updates keep theirs"
    assert got.env_steps == 3 * len(asked), "what was flat was played all the same"


@pytest.mark.parametrize("tasks", [6, 7, 8, 9, 12, 16, 31, 32, 100])
@pytest.mark.parametrize("version", [0, 1, 5])
def test_a_refill_goes_on_in_the_order_of_tasks_and_takes_none_twice(tasks: int, version: int) -> None:
    known = {(version * 6 + place) % tasks for place in (0, 2, 3)}  # tasks that are learned already, or never will be
    pool = Bandits(lambda group: group % tasks in known)
    got = collect_from(pool, Collect(groups=6, group_size=12, refill=20), version=version, tasks=tasks)
    assert got.batch is not None
    taken = [group % tasks for group in torch.unique(got.batch.group_B).tolist()]
    assert len(set(taken)) == len(taken), "none is twice in a batch"
    assert len(taken) == min(6, tasks - 3), "all that can be learned from are found"
    asked = [group % tasks for part in pool.asked for group in part]
    first = min(len(asked), tasks)
    assert asked[:first] == [(version * 6 + place) % tasks for place in range(first)], (
        "none again while others are left"
    )


def test_a_batch_of_more_groups_than_tasks_has_each_as_often_as_without_a_refill() -> None:
    pool = Bandits(lambda group: group % 3 == 1)
    got = collect_from(pool, Collect(groups=7, group_size=12, refill=5), tasks=3)
    assert got.batch is not None
    taken = [group % 3 for group in torch.unique(got.batch.group_B).tolist()]
    assert sorted(taken) == [0, 0, 0, 2, 2, 2]


def test_refills_of_different_updates_have_no_number_in_common() -> None:
    collect = Collect(groups=4, group_size=2, refill=3)
    for tasks in (1, 3, 4, 5, 64):
        numbers: list[int] = []
        for version in range(40):
            behind = Behind(collect, tasks, version)
            numbers += [group for k in (1, 2, 3) for group in behind(k, [])]
        assert len(set(numbers)) == len(numbers) == 40 * 12
        assert min(numbers) >= 4 * FAR


def test_without_refill_or_after_as_many_tries_a_batch_is_what_it_is() -> None:
    pool, none = Bandits(), Bandits()
    got = collect_from(pool, Collect(groups=6, group_size=2, refill=1), seed=3)
    assert len(pool.asked) == 2
    assert got.batch is not None
    assert not flat_groups(got.batch).any()
    plain = collect_from(none, Collect(groups=6, group_size=2), seed=3)
    assert len(none.asked) == 1
    assert plain.batch is not None
    assert len(plain.batch.group_B) == 12
    flat = collect_from(Bandits(), Collect(groups=4, group_size=1, refill=2))
    assert flat.batch is not None
    assert len(flat.batch.group_B) == 12, "where none differs there is nothing to leave out"


def test_a_run_over_a_list_asks_for_tasks_that_its_batch_has_not(tmp_path: Path) -> None:
    tasks = [{"question": f"{n} + 1", "answer": str(n + 1), "split": "train"} for n in range(8)]
    tasks += [{"question": "9 + 9", "answer": "18", "split": "test"}]
    (tmp_path / "sums.jsonl").write_text("\n".join(map(json.dumps, tasks)))
    path = write_scenario(tmp_path, SUMS.replace("sums.jsonl", str(tmp_path / "sums.jsonl")))
    assert command("run", path, "--out", tmp_path / "run", "-q") == 0
    for file in sorted((tmp_path / "run" / "episodes").glob("*-train.jsonl")):
        episodes = rows(file)
        groups = {episode["group"]: episode["task"] for episode in episodes}
        assert len(groups) == 8, "of the first batch none is learned from, nor of the refill"
        assert len(set(groups.values())) == 8


def test_a_run_with_refill_counts_all_its_episodes_and_a_resume_is_the_same_run(tmp_path: Path) -> None:
    path = write_scenario(tmp_path, LAKE)
    assert command("run", path, "--out", tmp_path / "whole", "-q") == 0
    seen = rows(tmp_path / "whole" / "metrics.jsonl")
    assert any(row["episodes/finished"] > 18 for row in seen), "some group was sampled again"
    assert command("run", path, "--out", tmp_path / "part", "-q", "--set", "stages.cross.budget.updates=2") == 0
    assert command("resume", tmp_path / "part", "-q", "--set", "stages.cross.budget.updates=3") == 0
    assert rows(tmp_path / "part" / "metrics.jsonl") == seen


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("method: dapo\n    overrides: {rewards: {overlong_share: null}}", "method: grpo", "flat_groups: leave_out"),
        ("refill: 3", "refill: 3, staleness: 1", "later batches are under way"),
        ("refill: 3", "refill: 65", "a whole number, 0 or greater, and at most 64"),
        ("group_size: 6", "group_size: 1", "collect.group_size must be at least 2"),
    ],
)
def test_a_refill_that_cannot_be_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    assert old in LAKE
    assert command("run", write_scenario(tmp_path, LAKE.replace(old, new)), "--dry-run") == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("world", "overrides", "said"),
    [
        ("FrozenLake-v1", "{}", "rewards.overlong_share is for replies"),
        (
            "FrozenLake-v1",
            "{rewards: {overlong_share: null, overlong_buffer: 4}}",
            "rewards.overlong_buffer is for rep",
        ),
        ("FrozenLake-v1", "{rewards: {overlong_share: null}, credit: {each_term: true}}", "credit.each_term compares"),
        (
            "FrozenLake-v1",
            "{rewards: {overlong_share: null}, update: {cut_replies: leave_out}}",
            "write overrides: {up",
        ),
        (
            "Pendulum-v1",
            "{rewards: {overlong_share: null}, weighting: {gap: 0.1}}",
            "real numbers are among the actions here",
        ),
    ],
)
def test_a_method_that_a_world_has_no_meaning_for_is_refused_with_what_would_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], world: str, overrides: str, said: str
) -> None:
    text = LAKE.replace("{rewards: {overlong_share: null}}", overrides).replace(", refill: 3", "")
    text = text.replace("FrozenLake-v1, options: {is_slippery: false, ", f"{world}, options: {{")
    assert command("run", write_scenario(tmp_path, text), "--dry-run") == 2
    assert said in " ".join(capsys.readouterr().err.split())
