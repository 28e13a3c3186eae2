"""How many worlds a run has open at once, and what its scenario may say about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from scenarios_runs import rows

import peripatos
from peripatos.envs.errors import UserError
from peripatos.scenarios.assembly.checks import check_parts
from peripatos.scenarios.config.loading import check_scenario
from peripatos.scenarios.config.yaml_text import Source


class Heavy(gym.Env[np.ndarray, int]):
    """Holds a licence while it is open; an episode has as many steps as the seed says."""

    observation_space, action_space = Box(-1.0, 1.0, (1,)), Discrete(2)
    open: ClassVar[set[int]] = set()
    most: ClassVar[int] = 0

    def __init__(self) -> None:
        Heavy.open.add(id(self))
        Heavy.most = max(Heavy.most, len(Heavy.open))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.left = 3 + (seed or 0) % 5
        return np.zeros(1, np.float32), {}

    def step(self, action: int):
        self.left -= 1
        return np.zeros(1, np.float32), float(action), self.left == 0, False, {}

    def close(self) -> None:
        Heavy.open.discard(id(self))


@pytest.fixture(autouse=True)
def _none_open():
    Heavy.open.clear()
    Heavy.most = 0


PPO = {"method": "ppo", "collect": {"groups": 4, "horizon": 8}}
GRPO = {"method": "grpo", "collect": {"groups": 4, "group_size": 4}}


def heavy(stage: dict[str, Any], world: dict[str, Any] | None = None, every: int = 1) -> dict[str, Any]:
    return {
        "name": "heavy",
        "device": "cpu",
        "world": {"id": f"{__name__}:Heavy", **(world or {})},
        "agent": {"kind": "mlp", "hidden": [8]},
        "stages": [{"name": "learn", "budget": {"updates": 2}, **stage}],
        "evaluation": {"every": every, "episodes": 100},
    }


@pytest.mark.parametrize(
    ("stage", "world", "most"),
    [(PPO, {}, 8), (GRPO, {}, 32), (PPO, {"at_once": 2}, 6), (GRPO, {"at_once": 3}, 6), (PPO, {"at_once": 30}, 34)],
    ids=["rows", "groups", "rows and two", "groups by threes", "rows and thirty"],
)
def test_a_run_opens_no_more_worlds_than_it_may_and_leaves_none(
    tmp_path: Path, stage: dict[str, Any], world: dict[str, Any], most: int
) -> None:
    run = peripatos.run(heavy(stage, world), out=tmp_path / "run")
    assert Heavy.most == most
    assert not Heavy.open
    assert [row["episodes"] for row in run.evaluations] == [100] * len(run.evaluations)
    with run.agent("last") as agent:
        assert len(agent.play(20)) == 20
        assert len(Heavy.open) == min(20, world.get("at_once", 8))
    assert not Heavy.open


def test_how_many_are_open_changes_no_evaluation_and_no_batch_of_whole_episodes(tmp_path: Path) -> None:
    runs = [peripatos.run(heavy(GRPO, {"at_once": n}), out=tmp_path / str(n)) for n in (3, 16, 100)]
    told = [(rows(run.path / "evaluations.jsonl"), [row["reward/mean"] for row in run.metrics]) for run in runs]
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize(
    ("world", "words"),
    [
        ({"id": "CartPole-v1", "threads": 2}, "world.threads is for bodies that are simulated on a pool"),
        ({"id": "peripatos/Walker-v0", "at_once": 2}, "world.at_once has nothing to limit here: a pool"),
        ({"id": "CartPole-v1", "at_once": 0}, "at_once"),
        ({"id": "peripatos/Walker-v0", "threads": 0}, "threads"),
    ],
)
def test_a_limit_that_would_have_no_effect_is_refused(world: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        check_parts(check_scenario({**heavy(PPO), "world": world}, Source("case")))


def test_threads_reach_the_simulation(tmp_path: Path) -> None:
    data = {**heavy(PPO), "world": {"id": "peripatos/Walker-v0", "threads": 1}, "evaluation": {"episodes": 2}}
    assert peripatos.run(data, out=tmp_path / "run").summary["status"] == "done"
