"""What a stranger's world observes in the middle of an episode is said by a run: once where an agent sees it all the
same, and as the reason of a failure where it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scenarios_runs import command, write_scenario

from peripatos.envs.vocabulary import Episode
from peripatos.scenarios.run.strangeness import Strangeness

WORLD = """\
import gymnasium, numpy as np
from gymnasium.spaces import Box, Discrete

class World(gymnasium.Env):
    observation_space, action_space = Box(-1.0, 1.0, (2,), np.float32), Discrete(2)

    def __init__(self, wrong):
        self.wrong = {"beyond": np.array([0, 5], np.float32), "type": np.zeros(2), "shape": np.zeros(3, np.float32),
                      "nan": np.array([0, np.nan], np.float32), "inf": np.array([0, np.inf], np.float32)}[wrong]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 5
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.left -= 1
        amiss = self.left < 2 and self.np_random.random() < 0.5
        return self.wrong if amiss else np.zeros(2, np.float32), 1.0, self.left == 0, False, {}
"""
RUN = """\
name: strange
world: {{id: "strange:World", options: {{wrong: {wrong}}}}}
agent: {{kind: mlp, hidden: [4]}}
stages:
  - {{name: first, method: {method}, collect: {collect}, budget: {{updates: 1}}}}
  - {{name: second, method: {method}, collect: {collect}, budget: {{updates: 1}}}}
evaluation: {{episodes: 2}}
failures: {{max_share: 1.0}}
"""
COLLECT = {"ppo": "{groups: 2, horizon: 8}", "grpo": "{groups: 2, group_size: 4}"}
SAID = {
    "beyond": "it observed 5 at (1,), beyond its bounds -1 and 1; its space says Box(-1.0, 1.0, (2,), float32)",
    "nan": "not finite, or does not fit into float32: nan at (1,)",
    "inf": "not finite, or does not fit into float32: inf at (1,)",
    "shape": "it observed shape (3,); its space says (2,)",
}


@pytest.mark.parametrize(("wrong", "method"), [*((wrong, "ppo") for wrong in SAID), ("beyond", "grpo")])
def test_what_is_observed_later_than_at_a_reset_is_said(
    wrong: str, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "strange.py").write_text(WORLD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CI", "1")
    path = write_scenario(tmp_path, RUN.format(wrong=wrong, method=method, collect=COLLECT[method]))
    assert command("run", path, "--out", "out") == 0
    said = capsys.readouterr().err
    failed = json.loads((tmp_path / "out" / "summary.json").read_text())["failed_episodes"]
    if wrong == "beyond":
        tail = "Agents see it in float32 all the same, and `peripatos check` refuses it"
        assert said.count(f"'strange:World': later than at its reset, {SAID[wrong]}. {tail}") == 1
        assert failed == 0
    else:
        assert failed > 0
        assert SAID[wrong] in said
        assert "later than at its reset" not in said
    assert "misfit" not in "".join(file.read_text() for file in (tmp_path / "out" / "episodes").iterdir())


def test_each_world_is_told_of_once_and_what_nobody_counts_once_in_a_stage() -> None:
    said: list[str] = []
    strangeness = Strangeness(said.append, {"a": "mine:A", "b": "mine:B"})
    episode = Episode(group=0, index=0, seed=0, version=0, split="train", reward=0.0)
    for stage in ("one", "two"):
        strangeness.tell(
            stage,
            [
                Episode(**{**vars(episode), "world": world, "misfit": "it observed x", "left_out": "y"})
                for world in ("a", "b", "a")
            ],
        )
    assert [line.split(",")[0] for line in said] == [
        "one: in 3 of 3 episodes the world reports what has no form of ours",
        "'mine:A': later than at its reset",
        "'mine:B': later than at its reset",
        "two: in 3 of 3 episodes the world reports what has no form of ours",
    ]
