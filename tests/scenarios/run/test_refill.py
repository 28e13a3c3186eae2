"""Groups without information are sampled again; what is kept, counted, numbered and refused."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from scenarios_runs import command, rows, write_scenario
from small_worlds import BANDIT, Table, play

from peripatos.algorithms.flat_groups import flat_groups
from peripatos.envs.vocabulary import Collection
from peripatos.scenarios.config.collect import Collect
from peripatos.scenarios.run.refill import collected

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


class Bandits:
    """A pool whose every episode is one pull of a three-armed bandit; it remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def submit(self, groups: Sequence[int], group_size: int, *, seed: int, version: int) -> Future[Collection]:
        self.asked.append(list(groups))
        draw = torch.Generator().manual_seed(seed + len(self.asked))
        batch = play(Table(), [BANDIT] * len(groups), group_size, draw, version)
        number = torch.tensor(groups).repeat_interleave(group_size)
        batch = replace(batch, group_B=number, episode_B=number * 2**20 + torch.arange(len(number)) % group_size)
        answer: Future[Collection] = Future()
        answer.set_result(Collection(batch, (), len(number), len(number)))
        return answer


def groups_of(batch: int, count: int = 6) -> list[int]:
    return list(range(batch * count, (batch + 1) * count))


@pytest.mark.parametrize("seed", range(5))
def test_a_batch_ends_with_as_many_groups_as_were_asked_for_all_of_which_differ(seed: int) -> None:
    pool = Bandits()
    got = collected(
        pool, Collect(groups=6, group_size=3, refill=30), groups_of, seed=100 * seed, version=4, leave_out_flat=True
    )  # type: ignore[arg-type]
    assert got.batch is not None
    assert len(torch.unique(got.batch.group_B)) == 6
    assert not flat_groups(got.batch).any()
    asked = [group for part in pool.asked for group in part]
    assert len(set(asked)) == len(asked), "no group is asked for twice"
    assert pool.asked[0] == groups_of(4)
    assert all(group >= 6 * 2**20 for part in pool.asked[1:] for group in part), "later updates keep theirs"
    assert got.env_steps == 3 * len(asked), "what was flat was played all the same"


def test_without_refill_or_after_as_many_tries_a_batch_is_what_it_is() -> None:
    pool, none = Bandits(), Bandits()
    once = Collect(groups=6, group_size=2, refill=1)
    got = collected(pool, once, groups_of, seed=3, version=0, leave_out_flat=True)  # type: ignore[arg-type]
    assert len(pool.asked) == 2
    assert got.batch is not None
    assert not flat_groups(got.batch).any()
    never = Collect(groups=6, group_size=2)
    plain = collected(none, never, groups_of, seed=3, version=0, leave_out_flat=True)  # type: ignore[arg-type]
    assert len(none.asked) == 1
    assert plain.batch is not None
    assert len(plain.batch.group_B) == 12
    alone = partial(groups_of, count=4)
    flat = collected(
        Bandits(), Collect(groups=4, group_size=1, refill=2), alone, seed=0, version=0, leave_out_flat=True
    )  # type: ignore[arg-type]
    assert flat.batch is not None
    assert len(flat.batch.group_B) == 12, "where none differs there is nothing to leave out"


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
