"""What one stage leaves to the next, and what `best` points to, in worlds whose right answer is known."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from scenarios_runs import command, rows, write_scenario

from peripatos.scenarios.assembly.policies import make_policy
from peripatos.scenarios.assembly.worlds import WorldSources
from peripatos.scenarios.config.loading import load_scenario
from peripatos.scenarios.run.checkpoint import pointed_to

WORLDS = '''
import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete


class Point(gymnasium.Env):
    """One step: the best action is 0.5, the expert shows 0."""

    observation_space, action_space = Box(-1.0, 1.0, (1,)), Box(-1.0, 1.0, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), -abs(float(action[0]) - 0.5), True, False, {}


class Slope(gymnasium.Env):
    """Ten steps; action 1 earns 1. There is a goal, and it is never reached."""

    observation_space, action_space = Box(-1.0, 1.0, (2,)), Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.array([1.0, 0.0], np.float32), {}

    def step(self, action):
        self.t += 1
        return np.array([1.0, self.t / 10], np.float32), float(action), False, self.t == 10, {"success": False}


class Sided(Slope):
    """Each step of an episode of the split `easy` earns 1, whatever is done; of another one nothing."""

    def __init__(self, easy):
        self.easy = easy

    def reset(self, *, seed=None, options=None):
        self.split = (options or {}).get("split")
        return super().reset(seed=seed)

    def step(self, action):
        seen, _, ended, cut, _ = super().step(action)
        return seen, float(self.split == self.easy), ended, cut, {"success": self.split == self.easy}


def expert(observation):
    return np.zeros(1, np.float32)
'''
IMITATE = """\
name: point
world: {id: "stage_worlds:Point"}
agent: {kind: mlp, hidden: [16]}
stages:
  - name: imitate
    method: sft
    demonstrations: {agent: {kind: scripted, function: "stage_worlds:expert"}}
    collect: {groups: 8}
    optimizer: {lr: 3e-2}
    budget: {updates: 200}
  - name: learn
    method: ppo
    collect: {groups: 8, horizon: 32}
    optimizer: {lr: 3e-3}
    budget: {updates: 100}
evaluation: {episodes: 4}
checkpoint: {every: 1000}
"""
SLOPE = """\
name: slope
seed: 1
world: {id: "stage_worlds:Slope"}
agent: {kind: mlp, hidden: [16]}
stages:
  - name: learn
    method: ppo
    collect: {groups: 8, horizon: 20}
    optimizer: {lr: 1e-2}
    budget: {updates: 13}
evaluation: {every: 3, episodes: 4}
"""


@pytest.fixture
def worlds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stage_worlds.py").write_text(WORLDS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "stage_worlds", raising=False)


@pytest.mark.usefixtures("worlds")
def test_imitation_of_an_exact_expert_leaves_enough_chance_to_learn_better(tmp_path: Path) -> None:
    assert command("run", write_scenario(tmp_path, IMITATE), "--out", tmp_path / "run", "-q") == 0
    imitated, learned = json.loads((tmp_path / "run" / "summary.json").read_text())["stages"]
    assert imitated["evaluation"]["after"]["return_mean"] == pytest.approx(-0.5, abs=0.05)
    assert learned["evaluation"]["after"]["return_mean"] > -0.1


@pytest.mark.usefixtures("worlds")
def test_best_is_the_highest_return_where_success_is_equal_and_the_latest_of_these(tmp_path: Path) -> None:
    assert command("run", write_scenario(tmp_path, SLOPE), "--out", tmp_path / "run", "-q") == 0
    evaluations = rows(tmp_path / "run" / "evaluations.jsonl")
    assert {row["success_rate"] for row in evaluations} == {0.0}
    evaluations = [row for row in evaluations if row["set"] == "validation"]
    highest = max(row["return_mean"] for row in evaluations)
    latest = max(row["update"] for row in evaluations if row["return_mean"] == highest)
    best = pointed_to(tmp_path / "run" / "checkpoints", "best")
    assert best is not None
    assert int(best.name) == latest > 0


SIDED = """\
name: sided
world: {id: "stage_worlds:Sided", options: {easy: EASY}}
agent: {kind: mlp, hidden: [16]}
stages:
  - name: learn
    method: ppo
    collect: {groups: 2, horizon: 10}
    optimizer: {lr: 1e-2}
    budget: {updates: 4}
    stop: {success_rate: 0.9}
evaluation: {every: 1, episodes: 4}
"""


@pytest.mark.usefixtures("worlds")
@pytest.mark.parametrize(("easy", "updates", "reported"), [("validation", 0, 0.0), ("test", 4, 1.0), ("train", 4, 0.0)])
def test_goals_are_judged_on_tasks_that_are_not_reported(
    tmp_path: Path, easy: str, updates: int, reported: float
) -> None:
    assert command("run", write_scenario(tmp_path, SIDED.replace("EASY", easy)), "--out", tmp_path / "run", "-q") == 0
    (stage,) = json.loads((tmp_path / "run" / "summary.json").read_text())["stages"]
    assert (stage["updates"], stage["evaluation"]["after"]["success_rate"]) == (updates, reported)


@pytest.mark.parametrize(
    "agent", ["{kind: mlp, hidden: [128, 128]}", "{kind: tiny_llama, hidden: 96}"], ids=["mlp", "tiny_llama"]
)
def test_the_first_weights_do_not_depend_on_the_number_of_threads(tmp_path: Path, agent: str) -> None:
    world = "peripatos/Walker-v0" if "mlp" in agent else "peripatos/Arithmetic-v0"
    text = f"name: look\nworld: {{id: {world}}}\nagent: {agent}\nstages: [{{name: look}}]\n"
    scenario, before = load_scenario(str(write_scenario(tmp_path, text))), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = make_policy(scenario, "cpu", WorldSources.of(scenario).first)
        torch.set_num_threads(2)
        two = make_policy(scenario, "cpu", WorldSources.of(scenario).first)
    finally:
        torch.set_num_threads(before)
    assert one is not None
    assert two is not None
    pairs = zip(one.module().parameters(), two.module().parameters(), strict=True)
    assert all(torch.equal(mine, theirs) for mine, theirs in pairs)
