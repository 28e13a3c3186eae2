"""Worlds with spaces of every kind are lived in as they are: whole runs, what is said of them, and going on."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from safetensors.torch import load_file
from scenarios_runs import PATIENCE, command, write_scenario

import peripatos
from peripatos.envs import first_episodes

WORLDS = """\
import gymnasium, numpy as np
from gymnasium.spaces import *

PHOTO, TWO = Box(0, 255, (7, 7, 3), np.uint8), Box(-1, 1, (2,), np.float32)
SEEN = {
    "nested": Dict({"a": TWO, "t": Text(5), "n": Tuple((Discrete(3, start=1), MultiDiscrete([2, 3])))}),
    "photo": PHOTO,
    "beside": Dict({"cam": PHOTO, "v": TWO, "s": Sequence(Discrete(2))}),
    "bits": MultiBinary([2, 3]),
    "frames": Box(0, 255, (4, 20, 20), np.uint8),
}
DONE = {
    "rows": MultiDiscrete([[2, 3], [4, 2]]),
    "switches": MultiBinary(3),
    "whole": Box(-2, 3, (2,), np.int64),
    "wide": Box(-10**6, 10**6, (2,), np.int64),
    "matrix": Box(-np.inf, np.inf, (2, 2), np.float64),
    "both": Dict({"b": Box(-1, 1, (2, 2), np.float64), "c": Discrete(3, start=-1), "t": Tuple((MultiBinary(2), TWO))}),
}

class World(gymnasium.Env):
    def __init__(self, kind):
        self.observation_space, self.action_space = SEEN.get(kind, TWO), DONE.get(kind, Discrete(2))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(int(self.np_random.integers(2**31)))
        self.left = 5
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.left -= 1
        return self.observation_space.sample(), 1.0, self.left == 0, False, {}
"""
RUN = """\
name: spaces
world: {{id: "{world}", options: {options}}}
agent: {{kind: mlp, hidden: [8]}}
stages: [{{name: learn, method: {method}, collect: {collect}, budget: {{updates: 2}}}}]
evaluation: {{episodes: 2}}
checkpoint: {{every: 1}}
"""
COLLECT = {"ppo": "{groups: 2, horizon: 8}", "grpo": "{groups: 2, group_size: 2}"}
KINDS = ("nested", "photo", "beside", "bits", "frames", "rows", "switches", "whole", "wide", "matrix", "both")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "of_every_kind.py").write_text(WORLDS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CI", "1")
    return tmp_path


def _run(folder: Path, world: str, method: str, options: str = "{}", out: str = "out") -> dict:
    text = RUN.format(world=world, method=method, options=options, collect=COLLECT[method])
    assert command("run", write_scenario(folder, text), "--out", out) == 0
    return json.loads((folder / out / "summary.json").read_text())


@pytest.mark.parametrize(
    ("kind", "method"), [*((kind, "ppo") for kind in KINDS), ("beside", "grpo"), ("both", "grpo"), ("rows", "grpo")]
)
def test_an_agent_learns_in_spaces_of_every_kind(folder: Path, kind: str, method: str) -> None:
    summary = _run(folder, "of_every_kind:World", method, f"{{kind: {kind}}}")
    assert summary["failed_episodes"] == 0
    assert summary["stages"][0]["evaluation"]["after"]["return_mean"] == 5.0


def test_what_is_seen_and_left_out_is_said_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run(folder, "of_every_kind:World", "ppo", "{kind: beside}")
    said = capsys.readouterr().err
    assert (
        said.count("an agent sees v, a Box of shape (2,) as 2 numbers; cam, a picture of 7 × 7 pixels in 3 channels")
        == 1
    )
    assert said.count("s (Sequence) cannot be flattened to numbers, and is left out") == 1


def test_seeds_that_a_world_does_not_hear_and_a_folder_that_it_changes_are_said_as_a_run_begins(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_episodes, "_QUICK", PATIENCE)  # no reset is too slow to be tried again
    draws = "super().reset(seed=seed)\n        self.observation_space.seed"
    own_chance = WORLDS.replace(draws, "import os; os.chdir('/'); self.np_random; (lambda seed: None)")
    (folder / "of_own_chance.py").write_text(own_chance)
    # two draws of a picture never agree; of the six bits of another kind they do once in 64
    text = RUN.format(world="of_own_chance:World", options="{kind: photo}", method="ppo", collect=COLLECT["ppo"])
    path = write_scenario(folder, text)
    for flags in (["--dry-run"], ["--out", "out"]):
        assert command("run", path, *flags) == 0
        said = capsys.readouterr().err
        assert said.count("'of_own_chance:World': two resets with one seed began differently") == 1
        assert said.count("'of_own_chance:World': it changes the current folder, for whoever runs it") == 1


@pytest.mark.parametrize("kind", ["beside", "both"])
def test_a_run_that_goes_on_ends_as_if_it_had_never_stopped(folder: Path, kind: str) -> None:
    _run(folder, "of_every_kind:World", "ppo", f"{{kind: {kind}}}", "short")
    _run(folder, "of_every_kind:World", "ppo", f"{{kind: {kind}}}", "long")
    longer = ("--set", "stages.learn.budget.updates=4")
    text = RUN.format(world="of_every_kind:World", method="ppo", options=f"{{kind: {kind}}}", collect=COLLECT["ppo"])
    assert command("resume", "short", *longer, "--quiet") == 0
    assert command("run", write_scenario(folder, text), *longer, "--out", "whole", "--quiet") == 0
    ends = [load_file(folder / run / "checkpoints/000004/policy/policy.safetensors") for run in ("short", "whole")]
    assert all((ends[0][name] == ends[1][name]).all() for name in ends[1])


@pytest.mark.parametrize("kind", ["beside", "both", "switches"])
def test_what_a_stranger_shows_is_imitated_there(folder: Path, kind: str) -> None:
    text = RUN.format(
        world="of_every_kind:World", options=f"{{kind: {kind}}}", method="sft", collect="{groups: 4}"
    ).replace("method: sft,", "method: sft, demonstrations: {agent: {kind: random}},")
    assert command("run", write_scenario(folder, text), "--out", "out", "--quiet") == 0


def test_baselines_live_there_too_and_a_script_sees_and_does_what_is_the_worlds_own(folder: Path) -> None:
    (folder / "rule.py").write_text(
        "def act(seen):\n    assert seen['cam'].shape == (7, 7, 3) and seen['v'].shape == (2,)\n    return 1\n"
    )
    for agent in ({"kind": "random"}, {"kind": "scripted", "function": "rule:act"}):
        scenario = {"name": "look", "world": {"id": "of_every_kind:World", "options": {"kind": "beside"}}}
        run = peripatos.run({**scenario, "agent": agent, "stages": [{"name": "look"}], "evaluation": {"episodes": 2}})
        assert run.summary["stages"][0]["evaluation"]["after"]["return_mean"] == 5.0


@pytest.mark.parametrize("world", ["Blackjack-v1", "Taxi-v4", "FrozenLake-v1", "CliffWalking-v1"])
def test_toy_texts_run_as_they_are(folder: Path, world: str) -> None:
    assert _run(folder, world, "ppo", "{max_episode_steps: 9}")["failed_episodes"] == 0


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("minigrid") is None, reason="minigrid is not here")
@pytest.mark.parametrize("world", ["minigrid:MiniGrid-Empty-5x5-v0", "minigrid:BabyAI-GoToObj-v0"])
def test_grids_with_a_picture_a_direction_and_a_mission_run_as_they_are(folder: Path, world: str) -> None:
    assert _run(folder, world, "ppo", "{max_episode_steps: 9}")["failed_episodes"] == 0


FAR = """\
import gymnasium, numpy as np

class Far(gymnasium.Env):
    \"\"\"One action; what is earned is how near it comes to a place between its bounds.\"\"\"

    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, low, high, goal):
        self.action_space = gymnasium.spaces.Box(low, high, (1,), np.float32)
        self.goal, self.width = goal, high - low

    def reset(self, *, seed=None, options=None):
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), -abs(float(action[0]) - self.goal) / self.width, True, False, {}
"""


@pytest.mark.parametrize(("low", "high", "goal"), [(-500, 500, -300), (10, 20, 17), (0.001, 0.002, 0.0012)])
def test_actions_far_from_one_are_found_and_mean_the_same_everywhere(
    folder: Path, low: float, high: float, goal: float, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "far_away.py").write_text(FAR)
    text = (
        RUN.format(
            world="far_away:Far",
            method="ppo",
            options=f"{{low: {low}, high: {high}, goal: {goal}}}",
            collect="{groups: 64, horizon: 4}",
        )
        .replace("updates: 2", "updates: 25")
        .replace("every: 1", "every: 25")
    )
    path = write_scenario(folder, text)
    assert command("run", path, "--set", "stages.learn.optimizer={lr: 1e-2}", "--out", "out") == 0
    said = capsys.readouterr().err
    assert said.count(f"-1 to 1 of an agent that learns is {low:g} to {high:g} in the world's actions") == 1
    learned = json.loads((folder / "out" / "summary.json").read_text())["stages"][0]["evaluation"]["after"]
    assert learned["return_mean"] > -0.05
    assert command("evaluate", "out", "--json", "--checkpoint", "last") == 0
    assert json.loads(capsys.readouterr().out)["return_mean"] == learned["return_mean"]
