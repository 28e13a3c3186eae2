"""Runs of worlds that sleep: who is waited for is said, a budget of time holds, nothing keeps the process alive.

What would last a day is over where `finish` comes back."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from scenarios_runs import finish, start, write_scenario

from peripatos import run as run_here

pytestmark = pytest.mark.slow

WORLD = '''\
import threading
import time

import gymnasium
import numpy as np
from peripatos.envs.conversation import ConversationEnv, Outcome


class Sleeper(gymnasium.Env):
    """Sleeps in a step, or leaves a thread that does."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, asleep=0.0, thread=0.0):
        self.asleep, self.thread = asleep, thread

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        if self.thread:
            threading.Thread(target=time.sleep, args=(self.thread,), name="left").start()
            self.thread = 0.0
        time.sleep(self.asleep)
        self.steps += 1
        return np.zeros(2, np.float32), 1.0, self.steps == 3, False, {}


class SlowReward(ConversationEnv):
    """Sleeps while it judges."""

    weights = {"reward": 1.0}

    def __init__(self, asleep=0.0):
        super().__init__()
        self.asleep = asleep

    def opening(self, rng, split):
        self.split = split
        return "hello"

    def respond(self, reply):
        time.sleep(self.asleep if self.split == "train" else 0.0)
        return Outcome(terms={"reward": 1.0}, terminated=True)
'''
CONTROL = """\
name: sleeping
world: {id: "sleepers:Sleeper", options: {OPTIONS}}
agent: {kind: mlp, hidden: [8]}
stages:
  - name: learn
    method: ppo
    collect: {groups: 2, horizon: 8}
    overrides: {update: {epochs: 1, minibatches: 1}}
    budget: {BUDGET}
evaluation: {episodes: 1}
"""
TALK = """\
name: sleeping
world: {id: "sleepers:SlowReward", options: {OPTIONS}}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 2}
stages:
  - name: learn
    method: reinforce
    collect: {groups: 2}
    budget: {BUDGET}
evaluation: {episodes: 1}
"""


def scenario(tmp_path: Path, text: str, options: str, budget: str) -> Path:
    (tmp_path / "sleepers.py").write_text(WORLD)
    return write_scenario(tmp_path, text.replace("OPTIONS", options).replace("BUDGET", budget))


def test_a_reward_that_sleeps_is_named_after_ten_seconds_and_broken_off_where_the_budget_is_over(
    tmp_path: Path,
) -> None:
    path = scenario(tmp_path, TALK, "asleep: 100000", "seconds: 1")
    code, _, err = finish(start("run", path, "--out", tmp_path / "run", cwd=tmp_path))
    assert code == 1, err
    assert re.search("waiting for sleepers:SlowReward since 1[0-9] s", err)
    assert "the budget of 1 seconds was over before the first update" in err


def test_a_budget_of_seconds_holds_in_a_robots_world_that_sleeps(tmp_path: Path) -> None:
    path = scenario(tmp_path, CONTROL, "asleep: 0.5", "seconds: 5")
    code, _, err = finish(start("run", path, "--out", tmp_path / "run", cwd=tmp_path))
    assert code == 0, err


def test_a_thread_that_a_world_leaves_is_named_and_does_not_keep_the_process_alive(tmp_path: Path) -> None:
    path = scenario(tmp_path, CONTROL, "thread: 100000", "updates: 1")
    code, _, err = finish(start("run", path, "--out", tmp_path / "run", cwd=tmp_path))
    assert code == 0, err
    assert "threads that a world has left are still at work (left" in err


def test_a_run_from_python_leaves_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    path = scenario(tmp_path, CONTROL, "asleep: 0.0", "updates: 2")
    run_here(path, out=tmp_path / "first")  # what is made once stays
    before = set(threading.enumerate())
    run_here(path, out=tmp_path / "second")
    assert set(threading.enumerate()) <= before
