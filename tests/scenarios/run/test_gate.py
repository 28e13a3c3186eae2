"""Which groups are learned from: by hand, at the bounds, where nothing is taken, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scenarios_runs import command, rows, write_scenario
from small_worlds import BANDIT, Table, play

from peripatos.algorithms.learner import Learner
from peripatos.algorithms.methods import METHODS
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.envs.vocabulary import Collection, Episode, StopReason
from peripatos.scenarios.run.gate import gated, success_shares, taken_rows, taken_share

SCENARIO = """\
name: gated
world: {id: peripatos/Arithmetic-v0, options: {operators: ["+"], digits: 1, prompt: bare, answer_tag: number}}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 2}
stages:
  - name: learn
    method: grpo
    collect: {groups: 2, group_size: 4, gate: [0.1, 0.9], staleness: 0}
    budget: {updates: 6}
evaluation: {episodes: 2}
"""


def collection(successes: Sequence[Sequence[bool | None]], rewards: float | None = 0.5) -> Collection:
    """A group for each row; who failed to be scored (`rewards` None) has no row in the batch."""
    size = len(successes[0])
    batch = play(Table(), [BANDIT] * len(successes), size, torch.Generator().manual_seed(0), 0)
    number = torch.arange(len(successes)).repeat_interleave(size)
    index = torch.arange(len(number)) % size
    batch = replace(batch, group_B=number, episode_B=number * 2**20 + index)
    blank = {"seed": 0, "version": 0, "split": "train", "reward_terms": {}, "turns": 1, "units": 1}
    ends = {"terminated": True, "truncated": False, "stop_reason": StopReason.STOP}
    told = [
        Episode(group=group, index=one, reward=rewards, success=success, **blank, **ends)
        for group, row in enumerate(successes)
        for one, success in enumerate(row)
    ]
    return Collection(batch, tuple(told), len(told), len(told))


def groups(found: Collection) -> list[int]:
    assert found.batch is not None
    return torch.unique(found.batch.group_B).tolist()


N, Y = False, True
FOUR = [[N, N, N, N], [Y, N, N, N], [Y, Y, N, N], [Y, Y, Y, N], [Y, Y, Y, Y]]


@pytest.mark.parametrize(
    ("gate", "taken"),
    [
        ([0.1, 0.9], [1, 2, 3]),
        ([0.25, 0.75], [1, 2, 3]),
        ([0.26, 0.74], [2]),
        ([0.0, 0.5], [0, 1, 2]),
        ([0.75, 1.0], [3, 4]),
        ([0.5, 0.5], [2]),
    ],
)
def test_a_group_is_taken_whose_share_of_successes_lies_within_both_bounds(gate: list, taken: list) -> None:
    found = gated(collection(FOUR), gate)
    assert groups(found) == taken
    assert found.batch is not None
    assert len(found.batch.group_B) == 4 * len(taken), "whole groups"
    assert len(found.episodes) == 20, "what is not taken is counted and kept"
    assert taken_share(found) == len(taken) / 5


def test_a_third_is_within_bounds_of_a_third_and_who_was_cut_has_not_succeeded() -> None:
    found = gated(collection([[Y, N, N], [Y, None, None], [Y, Y, Y]]), [1 / 3, 1 / 3])
    assert groups(found) == [0, 1]


def test_what_is_not_scored_is_not_counted() -> None:
    whole = collection([[Y, N, N, N]])
    first, *others = whole.episodes
    assert success_shares([first, *(replace(one, reward=None, success=None) for one in others)]) == {0: 1.0}


def test_a_failure_counts_whatever_the_other_groups_of_its_batch_say() -> None:
    """Worlds that say True when a task is solved, and nothing when an episode is cut."""
    lost, won = [None, None], [Y, None]
    assert success_shares(collection([lost]).episodes) == {0: 0.0}
    assert success_shares(collection([lost, won]).episodes) == {0: 0.0, 1: 0.5}


@pytest.mark.parametrize("name", ["grpo", "dapo", "reinforce", "rloo", "max_rl", "reinforce_pp", "rejection_sampling"])
def test_of_a_batch_from_which_nothing_is_taken_nothing_is_learned(name: str) -> None:
    table = Table()
    row = METHODS[name]
    row = replace(row, update=replace(row.update, entropy_coefficient=0.1))
    learner = Learner(table, row, OptimizerSettings(lr=0.1), seed=0)
    before = [parameter.detach().clone() for parameter in table.module().parameters()]
    nothing = gated(collection([[N, N, N], [Y, Y, Y]]), [0.3, 0.7])
    assert taken_share(nothing) == 0
    assert nothing.batch is not None
    learner.update(nothing.batch)
    assert learner.version == 1
    assert all(torch.equal(one, other) for one, other in zip(before, table.module().parameters(), strict=True))


@pytest.mark.parametrize(
    ("name", "settings"),
    [("grpo", {}), ("ppo_kl", {}), ("ppo", {"schedule": "adaptive_kl"}), ("grpo", {"schedule": "adaptive_kl"})],
)
def test_a_closed_gate_stops_momentum_and_whatever_follows_the_kl(name: str, settings: dict) -> None:
    table = Table()
    learner = Learner(table, METHODS[name], OptimizerSettings(lr=0.1, **settings), seed=0)
    for version in range(2):
        batch = collection([[N, N, N], [Y, Y, Y]]).batch
        assert batch is not None
        reward = torch.arange(batch.reward_B_T.numel()).view_as(batch.reward_B_T).to(batch.reward_B_T)
        learner.update(replace(batch, reward_B_T=reward, version_B=torch.full_like(batch.version_B, version)))
    before = [parameter.detach().clone() for parameter in table.module().parameters()]
    moving, lr = learner.moving.state(), learner.lr
    nothing = gated(collection([[N, N, N], [Y, Y, Y]]), [0.3, 0.7]).batch
    assert nothing is not None
    metrics = learner.update(replace(nothing, version_B=torch.full_like(nothing.version_B, 2))).metrics
    assert metrics["batch/units"] == 0
    assert all(torch.equal(one, other) for one, other in zip(before, table.module().parameters(), strict=True))
    assert (learner.version, learner.moving.state(), learner.lr) == (3, moving, lr)


def test_an_update_of_what_is_taken_is_that_of_a_batch_which_holds_nothing_else() -> None:
    learned = []
    for keep in (True, False):
        table, whole = Table(), collection(FOUR)
        learner = Learner(table, METHODS["reinforce_pp"], OptimizerSettings(lr=0.1), seed=0)
        batch = gated(whole, [0.1, 0.9]).batch if keep else None
        if batch is None:
            assert whole.batch is not None
            batch = whole.batch.rows(torch.isin(whole.batch.group_B, torch.tensor([1, 2, 3])))
        learner.update(batch)
        learned.append([parameter.detach().clone() for parameter in table.module().parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*learned, strict=True))


def test_flat_groups_and_the_gate_go_together() -> None:
    whole = collection(FOUR)
    assert whole.batch is not None
    flat = torch.where((whole.batch.group_B == 2)[:, None], 1.0, whole.batch.reward_B_T)
    differ = torch.where((whole.batch.episode_B % 4 == 0)[:, None], 2.0, flat)
    reward = torch.where((whole.batch.group_B == 2)[:, None], 1.0, differ)
    whole = replace(whole, batch=replace(whole.batch, reward_B_T=reward))
    for flat_too, taken in ((False, [1, 2, 3]), (True, [1, 3])):
        found = taken_rows(whole, [0.1, 0.9], leave_out_flat=flat_too)
        assert found is not None
        assert torch.unique(found.group_B).tolist() == taken


def test_a_run_says_what_it_took_and_warns_of_a_gate_that_stays_closed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("run", write_scenario(tmp_path, SCENARIO), "--out", tmp_path / "run") == 0
    assert {row["groups/taken"] for row in rows(tmp_path / "run" / "metrics.jsonl")} == {0.0}
    error = " ".join(capsys.readouterr().err.split())
    assert "no group was taken: none had a share of successes within stages.learn.collect.gate" in error
    assert "clips, trust regions" not in error


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("gate: 0.5", "0.5 is no gate; allowed are two shares of successes, [LOW, HIGH]"),
        ("gate: [0.9, 0.1]", "[0.9, 0.1] is no gate"),
        ("gate: [0.1, 90]", "is no gate"),
        ("gate: [0.1]", "is no gate"),
        ("gate: [a, b]", "is no gate"),
        ("gate: ['10%', '90%']", "is no gate; in place of '10%' write 0.1"),
        ("gate: [true, 1]", "is no gate"),
        ("gate: {low: 0.1}", "is no gate"),
        ("gate: [0, 1]", "[0, 1] takes every group; give closer bounds"),
        ("gate: [0.3, 0.45]", "no group of 4 has such a share of successes; give wider bounds, or a larger group_size"),
        ("gate: [0.1, 0.9], staleness: 1, refill: 1", "later batches are under way"),
        ("refill: 2", "a collect.gate, or leave refill out"),
    ],
)
def test_a_gate_that_cannot_be_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, said: str
) -> None:
    text = SCENARIO.replace("gate: [0.1, 0.9], staleness: 0", change)
    assert command("run", write_scenario(tmp_path, text), "--dry-run") == 2
    error = " ".join(capsys.readouterr().err.split())
    assert said in error, error


def test_rows_that_go_on_have_no_gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "name: body\nworld: {id: CartPole-v1}\nagent: {kind: mlp, hidden: [8]}\nstages:\n  - name: learn\n"
    words += "    method: ppo\n    collect: {groups: 2, horizon: 8, gate: [0, 0.5]}\n    budget: {updates: 1}\n"
    assert command("run", write_scenario(tmp_path, words), "--dry-run") == 2
    assert "collect.gate goes by the successes of groups, and this method reads rows" in " ".join(
        capsys.readouterr().err.split()
    )
