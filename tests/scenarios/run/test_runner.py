"""What a run writes, when it stops, and how it fails."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from scenarios_runs import TINY, command, rows, write_scenario

from peripatos.scenarios.run.disk import write_json

WORLDS = '''
import gymnasium
import numpy as np


class Breaks(gymnasium.Env):
    """Raises in the third step of every episode."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        if self.steps == 3:
            raise RuntimeError("the third step is cursed")
        return np.zeros(2, np.float32), 1.0, False, False, {}


def always_right(observation):
    return 1
'''


@pytest.fixture
def worlds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_worlds.py").write_text(WORLDS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "broken_worlds", raising=False)


def test_a_run_directory_tells_everything_about_its_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert command("run", write_scenario(tmp_path), "--out", run, "--seed", 5, "-q") == 0
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["scenario"], summary["seed"], summary["status"]) == ("tiny", 5, "done")
    assert (summary["updates"], summary["env_steps"], summary["action_units"]) == (12, 12 * 64, 12 * 64)
    (stage,) = summary["stages"]
    assert (stage["name"], stage["method"], stage["ended_by"]) == ("learn", "ppo", "budget of 12 updates")
    evaluations = rows(run / "evaluations.jsonl")
    tests = [row for row in evaluations if row["set"] == "test"]
    assert [row["update"] for row in evaluations if row["set"] == "validation"] == [0, 4, 8, 12]
    assert [row["update"] for row in tests] == [0, 12]
    assert stage["evaluation"]["before"]["return_mean"] == tests[0]["return_mean"]
    assert stage["evaluation"]["after"]["return_mean"] == tests[-1]["return_mean"]
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["update"] for row in metrics] == list(range(1, 13))
    assert [row["env_steps"] for row in metrics] == list(range(64, 12 * 64 + 1, 64))
    assert all({"action_units", "seconds", "kl/old", "time/update"} <= row.keys() for row in metrics)
    assert "seed: 5" in (run / "scenario.yaml").read_text()
    assert "--seed 5" in (run / "command.txt").read_text()
    assert "torch" in json.loads((run / "environment.json").read_text())["sessions"][0]["packages"]
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")
    episode = json.loads((run / "episodes" / "000012-test.jsonl").read_text().splitlines()[0])
    assert len(episode["actions"]) == episode["turns"] == episode["reward"]


def test_equal_seeds_give_equal_runs_and_other_seeds_do_not(tmp_path: Path) -> None:
    path = write_scenario(tmp_path)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert command("run", path, "--out", tmp_path / name, "--seed", seed, "-q") == 0
    a, b, c = (rows(tmp_path / name / "metrics.jsonl") for name in "abc")
    assert a == b
    assert a != c


def test_a_folder_that_holds_something_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("years of work")
    assert command("run", write_scenario(tmp_path), "--out", tmp_path / "run") == 2
    assert "not overwritten" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.tex"]


def test_the_first_limit_of_a_budget_that_is_reached_ends_the_stage(tmp_path: Path) -> None:
    text = TINY.replace("updates: 12", "updates: 12, env_steps: 129, seconds: 600")
    assert command("run", write_scenario(tmp_path, text), "--out", tmp_path / "run", "-q") == 0
    stage = json.loads((tmp_path / "run" / "summary.json").read_text())["stages"][0]
    assert (stage["ended_by"], stage["updates"]) == ("budget of 129 env_steps", 3)


def test_a_stage_ends_early_at_its_goal(tmp_path: Path) -> None:
    text = TINY.replace("    budget:", "    stop: {return_mean: 1}\n    budget:")
    assert command("run", write_scenario(tmp_path, text), "--out", tmp_path / "run", "-q") == 0
    stage = json.loads((tmp_path / "run" / "summary.json").read_text())["stages"][0]
    assert stage["updates"] == 0
    assert re.match(r"return_mean .* ≥ 1, and was before the first update: nothing was learned", stage["ended_by"])


@pytest.mark.parametrize(("goal", "updates"), [("<= 400", 0), ("<= 2", 12)])
def test_a_goal_for_a_cost_is_not_reached_by_what_is_above_it(tmp_path: Path, goal: str, updates: int) -> None:
    path, out = write_scenario(tmp_path), tmp_path / "run"
    assert command("run", path, "--set", f"stages.learn.stop.turns_mean={goal}", "--out", out, "-q") == 0
    assert json.loads((out / "summary.json").read_text())["stages"][0]["updates"] == updates
    assert command("evaluate", out) == 0  # what was written down is read again


def test_too_many_failures_stop_the_run_with_the_first_cause(
    tmp_path: Path, worlds: None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_scenario(tmp_path, TINY.replace("CartPole-v1", "'broken_worlds:Breaks'"))
    assert command("run", path, "--out", tmp_path / "run") == 1
    told = capsys.readouterr().err
    assert "the third step is cursed" in told
    assert "failures.max_share" in told
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["status"] == "failed"
    assert re.search(r"the first failure was: .*the third step is cursed", summary["why"])
    command("show", tmp_path / "run")
    assert summary["why"] in capsys.readouterr().err


def test_an_evaluation_in_which_every_episode_fails_stops_the_run(
    tmp_path: Path, worlds: None, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TINY[: TINY.index("stages:")].replace("CartPole-v1", "'broken_worlds:Breaks'")
    text = text.replace("{kind: mlp, hidden: [16]}", "{kind: random}") + "stages: [{name: look}]\n"
    path = write_scenario(tmp_path, text + "evaluation: {episodes: 2}\n")
    assert command("run", path, "--out", tmp_path / "run") == 1
    assert "2 of 2 episodes failed" in (told := capsys.readouterr().err)
    assert "the third step is cursed" in told


def test_a_run_that_cannot_begin_leaves_nothing_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    text = TINY.replace("CartPole-v1", "peripatos/Arithmetic-v0").replace("horizon: 32", "group_size: 2")
    text = text.replace("method: ppo", "method: grpo").replace(
        "    overrides: {update: {epochs: 2, minibatches: 2}}\n", ""
    )
    text = text.replace("{kind: mlp, hidden: [16]}", f"{{kind: causal_lm, model: {tmp_path}/empty}}")
    assert command("run", write_scenario(tmp_path, text), "--out", tmp_path / "run") == 2
    assert "it has no config.json" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_made_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_scenario(tmp_path)
    assert command("run", path, "--out", path / "run") == 2
    assert "cannot be made" in capsys.readouterr().err


def test_half_of_a_surrogate_pair_is_written_as_json_escapes_it(tmp_path: Path) -> None:
    write_json(tmp_path / "row.json", {"text": "a \ud800 b"})
    assert json.loads((tmp_path / "row.json").read_text(encoding="utf-8")) == {"text": "a \ud800 b"}


def test_an_update_that_is_not_finite_is_refused_and_the_last_checkpoint_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_scenario(tmp_path, TINY.replace("    budget:", "    optimizer: {lr: 1e+30}\n    budget:"))
    assert command("run", path, "--out", tmp_path / "run") == 1
    told = capsys.readouterr().err
    assert "was refused" in told
    refused = json.loads((tmp_path / "run" / "refused.json").read_text())
    assert refused["diagnostics"]
    assert (tmp_path / "run" / "checkpoints" / "000000" / "manifest.json").exists()


def test_a_scripted_agent_is_measured_without_learning(tmp_path: Path, worlds: None) -> None:
    text = TINY[: TINY.index("agent:")] + (
        "agent: {kind: scripted, function: 'broken_worlds:always_right'}\n"
        "stages: [{name: look}]\nevaluation: {episodes: 5}\n"
    )
    assert command("run", write_scenario(tmp_path, text), "--out", tmp_path / "run", "-q") == 0
    after = json.loads((tmp_path / "run" / "summary.json").read_text())["stages"][0]["evaluation"]["after"]
    assert 8 <= after["return_mean"] <= 11  # a pole that is always pushed right falls in about nine steps


def test_an_agent_that_imitates_a_script_does_as_the_script(tmp_path: Path, worlds: None) -> None:
    text = (
        TINY.replace("method: ppo", "method: sft")
        .replace("groups: 2, horizon: 32", "groups: 8")
        .replace(
            "    overrides: {update: {epochs: 2, minibatches: 2}}\n",
            "    optimizer: {lr: 1e-2}\n"
            "    demonstrations: {agent: {kind: scripted, function: 'broken_worlds:always_right'}}\n",
        )
    )
    assert command("run", write_scenario(tmp_path, text), "--out", tmp_path / "run", "-q") == 0
    after = rows(tmp_path / "run" / "evaluations.jsonl")[-1]
    assert 8 <= after["return_mean"] <= 11
