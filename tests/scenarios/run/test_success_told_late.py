"""Worlds that say `success` only where they mean yes: what fails there is measured as what succeeds."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenarios_runs import TINY, write_scenario

import peripatos
from peripatos.envs.errors import UserError
from peripatos.envs.vocabulary import Episode
from peripatos.scenarios.run.counters import Progress
from peripatos.scenarios.run.run_directory import RunDirectory
from peripatos.scenarios.run.saved_agent import find_checkpoint
from peripatos.scenarios.run.several_worlds import describe_worlds, pass_rates_of_worlds, summarize_worlds

WORLD = '''
import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete


class Late(gymnasium.Env):
    """Fails for 9 without a word; from its 60th episode on it succeeds for 1, and says so in two episodes of three."""

    observation_space, action_space = Box(-1.0, 1.0, (1,)), Discrete(2)
    begun = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        Late.begun += 1
        return np.zeros(1, np.float32), {}

    def step(self, action):
        if Late.begun < 60 or Late.begun % 3 == 0:
            return np.zeros(1, np.float32), 9.0, True, False, {}
        return np.zeros(1, np.float32), 1.0, True, False, {"success": True}
'''


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "late_worlds.py").write_text(WORLD)
    monkeypatch.syspath_prepend(tmp_path)
    return (
        TINY.replace("id: CartPole-v1", "id: 'late_worlds:Late', options: {max_episode_steps: 9}")
        .replace("groups: 2, horizon: 32", "groups: 2, horizon: 8")
        .replace("every: 4, episodes: 3", "every: 1, episodes: 3")
        .replace("every: 2}", "every: 1}")
    )


def test_the_best_checkpoint_is_one_that_succeeds_and_not_one_that_fails_for_more(late: str, tmp_path: Path) -> None:
    run = peripatos.run(str(write_scenario(tmp_path, late)), out=tmp_path / "run")
    seen = [row for row in run.evaluations if row["set"] == "validation"]
    told = [row.get("success_rate") for row in seen]
    assert (seen[0]["return_mean"], told[0]) == (9.0, None)
    assert max(rate or 0.0 for rate in told) > 0
    best = int(find_checkpoint(RunDirectory.open(run.path), "best").name)
    assert next(row for row in seen if row["update"] == best)["success_rate"] == max(rate or 0.0 for rate in told)
    assert "success_rate" in run.summary["stages"][0]["evaluation"]["after"]
    assert 0 < run.summary["stages"][0]["seconds"] <= run.summary["wall_s"]


@pytest.mark.parametrize("world", ["late_worlds:Late", "later_worlds:Heir"])
def test_a_goal_of_success_waits_for_the_first_one(world: str, late: str, tmp_path: Path) -> None:
    (tmp_path / "later_worlds.py").write_text("import late_worlds\n\n\nclass Heir(late_worlds.Late):\n    pass\n")
    text = late.replace("late_worlds:Late", world).replace("    budget:", "    stop: {success_rate: 0.3}\n    budget:")
    run = peripatos.run(str(write_scenario(tmp_path, text)), out=tmp_path / "run")
    assert run.summary["stages"][0]["ended_by"].startswith("success_rate 0.")


def test_a_world_that_has_told_once_fails_where_it_says_nothing() -> None:
    def played(world: str, reward: float, success: bool | None) -> Episode:
        return Episode(0, 0, seed=0, version=0, split="test", world=world, reward=reward, success=success)

    silent = [played("", 9.0, None), played("", 9.0, None)]
    assert "success_rate" not in summarize_worlds(silent)
    assert (
        summarize_worlds(silent, told=[""])["success_rate"] == describe_worlds(silent, told=[""])["success/rate"] == 0
    )
    two = [played("a", 1.0, True), played("b", 1.0, None)]
    assert summarize_worlds(two)["success_rate"] == 1
    known = summarize_worlds(two, told=["b"])
    assert [known[f"{name}success_rate"] for name in ("", "a/", "b/")] == [0.5, 1, 0]
    assert summarize_worlds([played("", None, None)], told=[""]).get("success_rate") is None  # type: ignore[arg-type]


def test_a_checkpoint_that_does_not_say_who_has_told_is_gone_on_with() -> None:
    def read(best: list[float], latest: dict[str, float]) -> Progress:
        data = {**Progress(best=best).to_json(), "latest": latest}
        del data["told"]
        return Progress.from_json(data)

    silent, told = read([9.0, 9.0], {"return_mean": 9.0}), read([0.5, 9.0], {"success_rate": 0.5})
    assert (silent.best, silent.told, told.best, told.told) == ([0.0, 9.0], [], [0.5, 9.0], [""])


def test_the_best_so_far_had_no_success_in_worlds_that_tell_only_now() -> None:
    def heard(progress: Progress, world: str) -> list[float] | None:
        progress.hear([Episode(0, 0, seed=0, version=0, split="test", world=world, reward=1.0, success=True)])
        return progress.best

    assert heard(Progress(best=[0.0, 9.0]), "") == [0.0, 9.0]
    assert heard(Progress(best=[0.6, 9.0], told=["a"]), "b") == [0.3, 9.0]
    assert heard(Progress(best=[0.6, 9.0], told=["a"]), "a") == [0.6, 9.0]


def test_pass_at_k_of_a_world_that_has_told_before_is_zero_where_nothing_succeeds() -> None:
    silent = [
        Episode(group, index, seed=0, version=0, split="test", reward=0.0) for group in range(3) for index in range(2)
    ]
    with pytest.raises(UserError, match="says nothing about success"):
        pass_rates_of_worlds(silent, 2)
    rates = pass_rates_of_worlds(silent, 2, told=[""])
    assert (rates["pass_tasks"], rates["pass@1"], rates["pass@2"], rates["pass@2_low"]) == pytest.approx((3, 0, 0, 0))
