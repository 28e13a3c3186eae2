"""Collecting ahead over a pool that takes random times, and what is loaded and collected in which order."""

from __future__ import annotations

import io
import random
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from torch import Tensor

from peripatos.agents.control.mlp import ActorCritic
from peripatos.agents.protocols import Weights
from peripatos.envs.contained import TimeIsUp, look
from peripatos.envs.vocabulary import Collection, Episode
from peripatos.scenarios.run.ahead import Ahead


class Slow:
    """A `Pool` that notes what it is asked, and with which weights; batches of `breaks` raise."""

    segments = False

    def __init__(self, seed: int, breaks: Sequence[int] = ()) -> None:
        self.chance, self.breaks = random.Random(seed), breaks
        self.weights, self.count = 0.0, 0
        self.done: list[tuple[int, int, float]] = []  # group, version, the weight that acted
        self.evaluated: list[tuple[int, float]] = []
        self.began, self.endless = 0, False

    def enter(self, index: int) -> None: ...

    def load(self, weights: Weights) -> None:
        assert weights.tensors is not None
        self.weights = float(dict(weights.tensors())["log_std"][0])

    def submit(self, groups: Sequence[int], group_size: int, *, seed: int, version: int) -> Future[Collection]:
        self.began += 1
        time.sleep(self.chance.random() * 0.01)
        while self.endless:
            time.sleep(0.001)
            look()
        if groups[0] in self.breaks:
            raise ArithmeticError(f"batch {groups[0]}")
        self.done.append((groups[0], version, self.weights))
        self.count += 1
        future: Future[Collection] = Future()
        future.set_result(Collection(None, (), groups[0], 0))
        return future

    def evaluate(
        self, tasks: int, *, seed: int, version: int, greedy: bool = True, split: str = "test", each: int = 1
    ) -> list[Episode]:
        self.evaluated.append((version, self.weights))
        return []

    def state(self) -> dict[str, Tensor]:
        return {"count": torch.tensor(self.count)}

    def load_state(self, state: Mapping[str, Tensor]) -> int:
        self.count = int(state["count"])
        return 0

    def close(self) -> None: ...


def policy_of() -> ActorCritic:
    return ActorCritic(3, Box(-1, 1, (2,), np.float32), hidden=(4,))


def ahead_of(pool: Slow, policy: ActorCritic, staleness: int, batches: int | None = None) -> Ahead:
    return Ahead(pool, policy, lambda k: [k], group_size=1, seed=0, staleness=staleness, batches=batches, threads=1)


def learn(policy: ActorCritic, version: int) -> None:
    """Version v has v as its weights."""
    with torch.no_grad():
        assert policy.log_std is not None
        policy.log_std.fill_(float(version))


@pytest.mark.parametrize("staleness", [1, 2, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_batch_k_is_collected_by_version_k_minus_s_however_long_anything_takes(staleness: int, seed: int) -> None:
    pool, policy, chance = Slow(seed), policy_of(), random.Random(seed)
    with ahead_of(pool, policy, staleness, batches=12) as ahead:
        for version in range(12):
            learn(policy, version)
            ahead.load(Weights(version))
            assert ahead.take(version).env_steps == version
            assert int(ahead.state().get("count", 0)) == version, "nobody has learned from what was taken"
            time.sleep(chance.random() * 0.01)
            learn(policy, 1000 + version)  # in the middle of an update: nothing that acts moves
    expected = [(k, max(0, k - staleness), float(max(0, k - staleness))) for k in range(12)]
    assert pool.done == expected, f"seed {seed}"


def test_an_evaluation_is_by_the_newest_weights_and_behind_what_is_in_flight() -> None:
    pool, policy = Slow(0), policy_of()
    with ahead_of(pool, policy, 2) as ahead:
        for version in range(4):
            learn(policy, version)
            ahead.load(Weights(version))
            ahead.evaluate(3, seed=0, version=version, split="test")
            ahead.take(version)
    assert pool.evaluated == [(version, float(version)) for version in range(4)]
    assert [version for _, version, _ in pool.done[:4]] == [0, 0, 0, 1]


def test_a_mistake_comes_out_when_its_batch_is_taken_and_the_thread_ends() -> None:
    pool, policy = Slow(0, breaks=[2]), policy_of()
    with ahead_of(pool, policy, 2) as ahead:
        for version in range(2):
            ahead.load(Weights(version))
            ahead.take(version)
        ahead.load(Weights(2))
        with pytest.raises(ArithmeticError, match="batch 2"):
            ahead.take(2)
        assert int(ahead.state()["count"]) == 2  # as it was before the batch that failed
    assert not ahead._thread._thread.is_alive()


def test_what_is_in_flight_is_dropped_and_the_thread_goes_on() -> None:
    pool, policy = Slow(0), policy_of()
    with ahead_of(pool, policy, 1) as ahead:
        ahead.load(Weights(0))
        ahead.take(0)
        pool.endless = True
        ahead.load(Weights(1))
        asked = ahead._thread.submit(lambda: pool.submit([9], 1, seed=0, version=1))
        ahead.drop()
        with pytest.raises((TimeIsUp, BaseException)):
            asked.result(timeout=0)
        pool.endless = False
        assert ahead.evaluate(1, seed=0, version=1, split="test") == []


def test_a_thread_begins_with_the_context() -> None:
    pool, policy = Slow(0), policy_of()
    ahead = ahead_of(pool, policy, 1)
    assert not [thread for thread in threading.enumerate() if thread.name == "ahead"]
    with ahead:
        assert [thread for thread in threading.enumerate() if thread.name == "ahead"]
    assert not [thread for thread in threading.enumerate() if thread.name == "ahead"]


def test_a_world_that_takes_the_standard_streams_has_them_no_longer_than_its_collection() -> None:
    class Taking(Slow):
        def submit(self, *of: Any, **more: Any) -> Future[Collection]:
            sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
            return super().submit(*of, **more)

    pool, before = Taking(0), (sys.stdout, sys.stderr)
    with ahead_of(pool, policy_of(), 1, batches=1) as ahead:
        ahead.load(Weights(0))
        ahead.take(0)
        assert (sys.stdout, sys.stderr) == before


def test_leaving_while_something_is_in_flight_ends_the_thread() -> None:
    pool, policy = Slow(0), policy_of()
    with ahead_of(pool, policy, 1) as ahead:
        ahead.load(Weights(0))
        ahead.take(0)
        pool.endless = True
        ahead._thread.submit(lambda: pool.submit([9], 1, seed=0, version=1))
    assert not ahead._thread._thread.is_alive()


def test_what_a_checkpoint_holds_lets_another_go_on_with_the_same_versions(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    pool, policy = Slow(0), policy_of()
    with ahead_of(pool, policy, 3) as ahead:
        for version in range(5):
            learn(policy, version)
            ahead.load(Weights(version))
            ahead.take(version)
        learn(policy, 5)
        ahead.load(Weights(5))
        (tmp_path / "ahead").mkdir()
        for name, weights in ahead.behind().items():
            save_file(weights, tmp_path / name)
        state = ahead.state()
    assert sorted(file.stem for file in (tmp_path / "ahead").iterdir()) == ["000002", "000003", "000004"]
    other = Slow(1)
    with ahead_of(other, policy, 3, batches=9) as ahead:
        ahead.load_behind(tmp_path, 5)
        ahead.load_state(state)
        for version in range(5, 9):
            learn(policy, version)
            ahead.load(Weights(version))
            ahead.take(version)
    assert other.done == [(k, k - 3, float(k - 3)) for k in range(5, 9)]
    assert other.count == 9
