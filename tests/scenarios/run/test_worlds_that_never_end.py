"""An episode that never ends, and a reward that never differs, are said; neither hangs."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenarios_runs import command, write_scenario

from peripatos.envs.check import check_world

WORLDS = """\
from typing import Any, ClassVar
import gymnasium, numpy as np
from gymnasium.spaces import Box, Discrete
from peripatos.envs.conversation import ConversationEnv, Outcome

class Walk(gymnasium.Env[Any, Any]):
    observation_space, action_space = Box(-1, 1, (2,), np.float32), Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.uniform(-1, 1, 2).astype(np.float32), {}

    def step(self, action):
        return np.zeros(2, np.float32), 1.0, False, False, {}

class Cut(Walk):
    max_steps = 12

    def reset(self, *, seed=None, options=None):
        self.left = self.max_steps
        return super().reset(seed=seed)

    def step(self, action):
        self.left -= 1
        return *super().step(action)[:3], self.left == 0, {}

class Talk(ConversationEnv):
    weights: ClassVar[dict[str, float]] = {"turn": 1.0}

    def opening(self, rng, split):
        return f"{split} {rng.integers(100)}"

    def respond(self, reply):
        return Outcome("Go on.", terms={"turn": 1.0})

class Same(Talk):
    max_turns = 1
"""
CONTROL = """\
name: endless
world: {id: "never_ending:Walk"}
agent: {kind: mlp, hidden: [8]}
stages: [{name: learn, method: ppo, collect: {groups: 2, horizon: 16}, budget: {updates: 2}}]
evaluation: {episodes: 3}
"""
WORDS = """\
name: endless
world: {id: "never_ending:Talk"}
agent: {kind: random}
stages: [{name: look}]
evaluation: {episodes: 3}
"""
SAME = """\
name: same
world: {id: "never_ending:Same"}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 2}
stages: [{name: learn, method: grpo, collect: {groups: 2, group_size: 2}, budget: {updates: 7}}]
evaluation: {episodes: 2}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "never_ending.py").write_text(WORLDS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CI", "1")
    return tmp_path


@pytest.mark.parametrize(
    "text", [CONTROL, pytest.param(WORDS, marks=pytest.mark.slow)], ids=["control", "conversation"]
)
def test_a_world_that_never_ends_is_named_by_the_first_evaluation(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    path = write_scenario(folder, text)
    assert command("run", path, "--out", "out", "--quiet") == 2
    said = capsys.readouterr().err
    assert "nothing limits it" in said
    assert "max_episode_steps among the options of the world" in said
    option = ("--set", "world.options.max_episode_steps=20")
    assert command("run", path, "--out", "limited", "--quiet", *option) == 0


def test_check_says_that_no_episode_ends(folder: Path) -> None:
    found = {finding.check: finding for finding in check_world("never_ending:Walk")}["an episode ends"]
    assert not found.passed
    assert "nothing limits them: give it max_episode_steps" in found.detail
    limited = check_world("never_ending:Walk", max_episode_steps=20)
    assert {finding.check: finding for finding in limited}["an episode ends"].detail == "at most 20 steps"


def test_a_world_that_names_its_own_limit_is_not_said_to_have_none(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for world, warned in (("Walk", True), ("Cut", False)):
        write_scenario(folder, CONTROL)
        options = ("--set", f"world.id=never_ending:{world}", "--set", "stages=[{name: look}]")
        code = command("run", write_scenario(folder, CONTROL), "--out", world, *options)
        assert ("nothing limits an episode" in capsys.readouterr().err) == warned
        assert code == (2 if warned else 0)


def test_updates_from_which_nothing_is_learned_are_mentioned_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("run", write_scenario(folder, SAME), "--out", "out") == 0
    assert capsys.readouterr().err.count("every advantage of 5 updates was 0") == 1


def test_a_goal_that_no_evaluation_has_is_refused_before_the_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_scenario(
        folder,
        SAME.replace("budget: {updates: 7}", "budget: {updates: 7}, stop: {sucess_rate: 1}").replace(
            "{episodes: 2}", "{episodes: 2, every: 2}"
        ),
    )
    assert command("run", path, "--dry-run") == 2
    said = capsys.readouterr().err
    assert "line 5" in said
    assert "Did you mean 'success_rate'" in said


def test_a_world_that_cannot_be_reset_is_refused_before_the_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "lost.py").write_text(
        WORLDS.replace('return f"{split}', 'raise OSError("no port")\n        return f"{split}')
    )
    path = write_scenario(folder, WORDS.replace("never_ending:Talk", "lost:Talk"))
    assert command("run", path, "--dry-run") == 2
    assert "cannot begin: OSError: no port" in capsys.readouterr().err
