"""A robot that is not ours, by its Gymnasium id: it trains like ours, through the ordinary interface."""

from __future__ import annotations

import json
import math
from pathlib import Path

from safetensors.numpy import load_file
from scenarios_runs import command, write_scenario

from peripatos.envs.control.world_batch import ListOfWorlds
from peripatos.envs.world_source import WorldSource

CHEETAH = """\
name: cheetah
world: {id: HalfCheetah-v5, options: {max_episode_steps: 40}}
agent: {kind: mlp, hidden: [16]}
stages:
  - name: run
    method: ppo
    collect: {groups: 4, horizon: 50}
    overrides: {update: {epochs: 2, minibatches: 2}}
    optimizer: {lr: 1e-3}
    budget: {updates: 3}
evaluation: {every: 3, episodes: 2}
"""
NAMES = ("000000", "000003")


def test_half_cheetah_trains_through_a_scenario(tmp_path: Path) -> None:
    assert command("run", write_scenario(tmp_path, CHEETAH), "--out", tmp_path / "run", "-q") == 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["env_steps"] for row in rows] == [200, 400, 600]
    assert all(row["gradient/norm"] > 0 and math.isfinite(row["value/loss"]) for row in rows)
    assert all(row["episodes/failed"] == 0 and row["episodes/turns"] == 40 for row in rows)
    evaluations = [json.loads(line) for line in (tmp_path / "run" / "evaluations.jsonl").read_text().splitlines()]
    assert [(row["update"], row["turns_mean"]) for row in evaluations if row["set"] == "test"] == [(0, 40), (3, 40)]
    before, after = (sorted((tmp_path / "run" / "checkpoints" / n / "policy").glob("*.safetensors")) for n in NAMES)
    assert any((load_file(before[0])[name] != value).any() for name, value in load_file(after[0]).items())


def test_half_cheetah_is_stepped_as_a_list_of_gymnasiums_own_worlds() -> None:
    worlds = WorldSource("HalfCheetah-v5").make_batch(2)
    assert isinstance(worlds, ListOfWorlds)
    assert worlds.observation_space.shape == (17,)
    assert worlds.action_space.shape == (6,)
    worlds.close()
