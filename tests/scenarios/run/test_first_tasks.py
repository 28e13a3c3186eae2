"""A validation that ends with its first tasks where these miss the goal (`evaluation.first`)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from scenarios_runs import command, rows, write_scenario

from peripatos.agents.control.whole_episodes import task_seed
from peripatos.envs.errors import UserError
from peripatos.envs.seeding import derive_seed
from peripatos.scenarios.config.loading import load_scenario

WORLD = '''
import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete


class Paid(gymnasium.Env):
    """One step: an episode begun with one of the seeds `rich` earns 1, any other nothing, whatever is done."""

    observation_space, action_space = Box(-1.0, 1.0, (1,)), Discrete(2)

    def __init__(self, rich):
        self.rich = rich

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.pay = float(seed in self.rich)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), self.pay, True, False, {}
'''
SEED, EPISODES, FIRST = 7, 8, 2
SCENARIO = """\
name: paid
seed: {seed}
world: {{id: "paid_world:Paid", options: {{rich: {rich}}}}}
agent: {{kind: mlp, hidden: [4]}}
stages:
  - name: learn
    method: ppo
    collect: {{groups: 2, horizon: 4}}
    budget: {{updates: 2}}
{stop}evaluation: {{every: 1, episodes: {episodes}, first: {first}}}
"""
SEEDS = [task_seed(derive_seed(SEED, "evaluation"), "validation", task) for task in range(EPISODES)]


@pytest.fixture(autouse=True)
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "paid_world.py").write_text(WORLD)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "paid_world", raising=False)


def played(tmp_path: Path, rich: list[int], stop: str = "    stop: {return_mean: 0.5}\n") -> list[dict[str, Any]]:
    """The rows of evaluations of a run in which so many seeds earn something."""
    text = SCENARIO.format(seed=SEED, rich=rich, episodes=EPISODES, first=FIRST, stop=stop)
    assert command("run", write_scenario(tmp_path, text), "--out", tmp_path / "run", "-q") == 0
    return rows(tmp_path / "run" / "evaluations.jsonl")


def ended_by(tmp_path: Path) -> str:
    return json.loads((tmp_path / "run" / "summary.json").read_text())["stages"][0]["ended_by"]


def test_a_validation_whose_first_tasks_miss_the_goal_ends_with_them_and_says_how_many_they_are(tmp_path: Path) -> None:
    # the others earn: their mean of 6/8 would reach the goal
    found = played(tmp_path, SEEDS[FIRST:])
    validations = [row for row in found if row["set"] == "validation"]
    assert [(row["update"], row["episodes"], row["return_mean"]) for row in validations] == [
        (update, FIRST, 0.0) for update in (0, 1, 2)
    ]
    assert ended_by(tmp_path) == "budget of 2 updates"


def test_what_is_reported_is_always_of_all_tasks(tmp_path: Path) -> None:
    assert [row["episodes"] for row in played(tmp_path, []) if row["set"] == "test"] == [EPISODES, EPISODES]


def test_where_the_first_tasks_reach_the_goal_all_of_them_decide(tmp_path: Path) -> None:
    # 3 of 8 earn, the first two among them
    validations = [row for row in played(tmp_path, SEEDS[: FIRST + 1]) if row["set"] == "validation"]
    assert [(row["episodes"], row["return_mean"]) for row in validations] == [(EPISODES, 0.375)] * 3
    assert ended_by(tmp_path) == "budget of 2 updates"


def test_a_goal_is_reached_by_all_tasks(tmp_path: Path) -> None:
    validations = [row for row in played(tmp_path, SEEDS[:5]) if row["set"] == "validation"]
    assert [(row["episodes"], row["return_mean"]) for row in validations] == [(EPISODES, 0.625)]
    assert ended_by(tmp_path).startswith("return_mean 0.625 ≥ 0.5")


def test_a_stage_without_a_goal_is_validated_on_all_tasks(tmp_path: Path) -> None:
    more = "name: more, method: ppo, collect: {groups: 2, horizon: 4}, budget: {updates: 1}, stop: {return_mean: 2}"
    stop = f"  - {{{more}}}\n"
    validations = [row for row in played(tmp_path, [], stop) if row["set"] == "validation"]
    assert [(row["stage"], row["episodes"]) for row in validations] == [
        *[("learn", EPISODES)] * 3,
        ("more", FIRST),
    ]


@pytest.mark.parametrize("goal", ["return_low", "return_high", "success_low", "success_high"])
def test_a_bound_of_an_interval_is_no_goal_where_a_part_of_the_tasks_decides(goal: str, tmp_path: Path) -> None:
    sets = ["evaluation={every: 1, episodes: 8, first: 2}", f"stages.learn.stop={{{goal}: 0.5}}"]
    path = str(write_scenario(tmp_path))
    with pytest.raises(UserError, match=rf"first is 2, and stop\.{goal} bounds an interval, which is wider for a part"):
        load_scenario(path, sets)
    load_scenario(path, [sets[0], "stages.learn.stop={return_mean: 0.5}"])


def test_the_first_tasks_are_kept_once_for_reading(tmp_path: Path) -> None:
    played(tmp_path, SEEDS[: FIRST + 1])
    kept = sorted(file.name for file in (tmp_path / "run" / "episodes").glob("*validation*"))
    assert len(kept) == 3


def test_a_run_that_goes_on_is_looked_at_as_one_that_was_not_ended(tmp_path: Path) -> None:
    whole = played(tmp_path, SEEDS[FIRST:])
    scenario, out = tmp_path / "tiny.yaml", tmp_path / "parts"
    assert command("run", scenario, "--out", out, "-q", "--set", "stages.learn.budget.updates=1") == 0
    assert command("resume", out, "-q", "--set", "stages.learn.budget.updates=2") == 0
    seen = [
        [(row["update"], row["episodes"], row["return_mean"]) for row in found if row["set"] == "validation"]
        for found in (whole, rows(out / "evaluations.jsonl"))
    ]
    assert seen[0] == seen[1]
