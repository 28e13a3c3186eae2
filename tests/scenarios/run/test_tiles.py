"""Processes that collect parts of an update, joined, give the weights of one process that collects it all."""

from __future__ import annotations

import hashlib
import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scenarios_runs import TINY, command, finish, start, wait_for_rows, write_scenario

from peripatos.agents.protocols import Policy, Weights
from peripatos.envs.seeding import derive_seed
from peripatos.envs.vocabulary import Collection
from peripatos.scenarios.assembly.actors import make_stage
from peripatos.scenarios.assembly.learners import make_learner
from peripatos.scenarios.assembly.policies import make_policy
from peripatos.scenarios.assembly.worlds import WorldSources
from peripatos.scenarios.config.loading import load_scenario
from peripatos.scenarios.config.schema import Scenario
from peripatos.scenarios.run.checkpoint import checkpoints

pytestmark = pytest.mark.slow

FEW = {
    "cartpole-ppo": ["stages.balance.budget={updates: 4}", "stages.balance.collect.tile=2"],
    "quickstart": [
        "stages.imitate.budget.updates=2",
        "stages.imitate.collect={groups: 12, tile: 2}",
        "stages.reinforce.budget.updates=2",
        "stages.reinforce.collect={groups: 6, group_size: 4, tile: 1}",
        "evaluation.episodes=4",
    ],
}


def policy_of(scenario: Scenario) -> Policy:
    policy = make_policy(scenario, "cpu", WorldSources.of(scenario).first)
    assert policy is not None
    return policy


def work(connection: Connection, name: str, settings: list[str]) -> None:
    """Collect what is asked for, with the weights that come along; every process has one thread."""
    torch.set_num_threads(1)
    scenario = load_scenario(name, settings)
    policy, parts = policy_of(scenario), None
    while (job := connection.recv()) is not None:
        if job == "anew":
            parts = None
            continue
        index, groups, size, seed, version, weights = job
        policy.module().load_state_dict(weights)
        if parts is None or parts[0] != index:
            parts = index, make_stage(scenario, scenario.stages[index], policy, WorldSources.of(scenario))
        parts[1].collector.load(Weights(version))
        connection.send(parts[1].collector.collect(groups, size, seed=seed, version=version))


class Workers:
    """`count` processes, each of which plays whole tiles."""

    def __init__(self, count: int, name: str, settings: list[str]) -> None:
        context = multiprocessing.get_context("spawn")
        self.connections: list[Any] = []
        for _ in range(count):
            mine, theirs = context.Pipe()
            context.Process(target=work, args=(theirs, name, settings), daemon=True).start()
            self.connections.append(mine)
        self.count = count  # how many of them work

    def begin(self, count: int) -> None:
        self.count = count
        for connection in self.connections:
            connection.send("anew")

    def collect(self, index: int, groups: range, tile: int, size: int, seed: int, version: int, weights: Any) -> Any:
        tiles = [list(groups[at : at + tile]) for at in range(0, len(groups), tile)]
        parts = np.array_split(range(len(tiles)), self.count)
        shares = [[group for n in part for group in tiles[n]] for part in parts]
        at_work = self.connections[: self.count]
        for connection, share in zip(at_work, shares, strict=True):
            connection.send((index, share, size, seed, version, weights))
        return Collection.join([connection.recv() for connection in at_work])

    def close(self) -> None:
        for connection in self.connections:
            connection.send(None)


def weights_by(workers: Workers, name: str, settings: list[str], folder: Path) -> dict[str, str]:
    """Train as the runner does, with collections that `workers` bring."""
    scenario = load_scenario(name, settings)
    policy = policy_of(scenario)
    for index, stage in enumerate(scenario.stages):
        seed, collect = derive_seed(scenario.seed, "stage", index), stage.collect
        assert collect is not None
        assert collect.tile is not None
        assert stage.budget is not None
        learner, updates = (
            make_learner(scenario, stage, policy, {}, WorldSources.of(scenario), seed=seed),
            stage.budget.updates,
        )
        assert updates is not None
        for version in range(updates):
            first = 0 if collect.horizon is not None else version * collect.groups
            groups, weights = range(first, first + collect.groups), policy.module().state_dict()
            collection = workers.collect(index, groups, collect.tile, collect.group_size, seed, version, weights)
            learner.update(collection.batch, progress=version / updates)
    policy.save(folder)
    return fingerprints(folder)


def fingerprints(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.safetensors")}


@pytest.mark.parametrize("name", FEW)
def test_two_and_three_processes_give_the_weights_file_of_one(name: str, tmp_path: Path) -> None:
    settings = FEW[name]
    overrides = [part for setting in settings for part in ("--set", setting)]
    assert command("run", name, *overrides, "--out", tmp_path / "one", "-q") == 0
    last = checkpoints(tmp_path / "one" / "checkpoints")[-1]
    assert int(last.name) == 4
    one = fingerprints(last / "policy")
    assert one
    torch.set_num_threads(1)
    workers = Workers(3, name, settings)
    try:
        for count in (2, 3):
            workers.begin(count)
            (tmp_path / f"by-{count}").mkdir()
            assert weights_by(workers, name, settings, tmp_path / f"by-{count}") == one
    finally:
        workers.close()


def test_a_tiled_run_that_was_killed_ends_as_one_that_was_not(tmp_path: Path) -> None:
    path = write_scenario(tmp_path, TINY.replace("horizon: 32", "horizon: 32, tile: 1"))
    assert command("run", path, "--out", tmp_path / "whole", "-q") == 0
    arguments: tuple[object, ...] = ("run", path, "--out", tmp_path / "killed", "-q")
    process = start(*arguments)
    wait_for_rows(tmp_path / "killed" / "metrics.jsonl", 5)
    process.kill()
    finish(process)
    assert command("resume", tmp_path / "killed", "-q") == 0
    whole, killed = (checkpoints(tmp_path / name / "checkpoints")[-1] for name in ("whole", "killed"))
    assert (whole / "actor.safetensors").read_bytes() == (killed / "actor.safetensors").read_bytes()
    assert fingerprints(whole / "policy") == fingerprints(killed / "policy")


def test_a_tile_larger_than_the_collection_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_scenario(tmp_path, TINY.replace("horizon: 32", "horizon: 32, tile: 3"))
    assert command("run", path, "--dry-run") == 2
    assert "tile is 3, and there are only 2 groups to play" in capsys.readouterr().err
