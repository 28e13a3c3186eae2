"""Runs whose agent has a memory: stopped, ahead, filmed and refused; and a maze that cannot be solved without one."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from scenarios_runs import TINY, assert_same_run, command, finish, rows, start, wait_for_rows, write_scenario
from t_maze import TMaze

import peripatos
from peripatos.agents.control.mlp import ActorCritic
from peripatos.envs.errors import UserError
from peripatos.scenarios.report.shots import Acts

REMEMBERS = TINY.replace("hidden: [16]}", "hidden: [16], memory: {kind: gru, size: 8}}")
MAZE = """\
name: t-maze
world: {id: "t_maze:TMaze", options: {max_episode_steps: 10}}
agent: {kind: mlp, hidden: [32], memory: {kind: gru, size: 32}}
stages:
  - name: learn
    method: ppo
    collect: {groups: 32, horizon: 35}
    overrides: {update: {epochs: 4, minibatches: 4}}
    optimizer: {lr: 3e-3}
    budget: {updates: 100}
    stop: {success_rate: 0.995}
evaluation: {every: 10, episodes: 400}
"""


def test_a_run_with_a_memory_ends_bit_for_bit_as_one_that_was_killed_in_the_middle_of_episodes(tmp_path: Path) -> None:
    text = REMEMBERS.replace("horizon: 32}", "horizon: 32, staleness: 1}")
    path, rng = write_scenario(tmp_path, text), random.Random(1)
    torch.set_num_threads(1)  # as in the other process: sums in another order are other sums
    assert command("run", path, "--out", tmp_path / "whole", "-q") == 0
    process = start("run", path, "--out", tmp_path / "run", "-q")
    wait_for_rows(tmp_path / "run" / "metrics.jsonl", rng.randint(4, 8))
    time.sleep(rng.random() * 0.03)
    process.send_signal(signal.SIGKILL)
    finish(process)
    assert command("resume", tmp_path / "run", "-q") == 0
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    assert rows(tmp_path / "run" / "metrics.jsonl")[0]["kl/sampler_gap"] < 1e-5


def test_what_one_observation_does_not_say_is_refused_and_an_agent_out_of_a_run_plays(tmp_path: Path) -> None:
    run = peripatos.run(write_scenario(tmp_path, REMEMBERS), {"stages.learn.budget.updates": 1}, out=tmp_path / "run")
    with run.agent("last") as agent:
        assert len(agent.play(2)) == 2
        with pytest.raises(UserError, match="this agent remembers its episode"):
            agent.act(np.zeros(4))


def test_who_is_filmed_remembers_the_episode() -> None:
    policy = ActorCritic(2, Discrete(2), hidden=(6,), memory=4, seed=1)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(3.0)
    acts, memory, world = Acts(policy, Discrete(2)), policy.begin(1), TMaze()
    seen, _ = world.reset(seed=0)
    for _ in range(9):
        acted = policy.act(seen[None], None, memory)
        memory = acted.memory_N
        assert acts(seen) == acted.action[0]
        seen = world.step(np.int64(0))[0]
    assert np.abs(acts._memory).max() > 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("minibatches: 2", "minibatches: 3"), "update.minibatches is 3, and an agent with a memory learns from whole"),
        (
            ("minibatches: 2", "minibatch_units: 31"),
            "update.minibatch_units is 31, and an agent with a memory learns from whole rows, of up to 32 units; "
            "allowed is 32 or greater",
        ),
        (("{update:", "{weighting: {kl: k2, beta: 0.1}, update:"), "weighting.kl compares with a reference that has"),
        (("kind: gru", "kind: lstm"), "lstm"),
        (("{kind: gru, size: 8}", "gru"), "memory: {kind: gru}?"),
        (("size: 8", "size: 0"), "agent.memory.size is 0"),
        (("size: 8", "sise: 8"), "Did you mean 'size'?"),
    ],
    ids=lambda given: given[1] if isinstance(given, tuple) else "",
)
def test_what_a_memory_cannot_do_is_said_where_it_stands(
    change: tuple[str, str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("run", write_scenario(tmp_path, REMEMBERS.replace(*change)), "--dry-run") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "tiny.yaml, line " in said
    assert told in said


@pytest.mark.parametrize("size", [31, 32])
def test_minibatches_of_so_many_units_as_a_row_has_are_whole_rows(size: int, tmp_path: Path) -> None:
    text = REMEMBERS.replace("minibatches: 2", f"minibatch_units: {size}")
    assert command("run", write_scenario(tmp_path, text), "--dry-run") == (2 if size < 32 else 0)


@pytest.mark.slow
def test_a_memory_solves_the_maze_and_without_one_it_is_a_coin(tmp_path: Path) -> None:
    for seed in range(3):
        run = peripatos.run(write_scenario(tmp_path, MAZE), seed=seed, out=tmp_path / f"remembers-{seed}")
        assert run.evaluations[-1]["success_rate"] >= 0.99
    forgets = MAZE.replace(", memory: {kind: gru, size: 32}", "")
    run = peripatos.run(
        write_scenario(tmp_path, forgets), {"stages.learn.budget.updates": 30}, out=tmp_path / "forgets"
    )
    assert 0.4 < run.evaluations[-1]["success_rate"] < 0.6
