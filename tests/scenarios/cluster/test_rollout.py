"""A worker without Ray: what it brings depends on its order and on nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from scenarios_runs import TINY, write_scenario

from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.agents.protocols import Weights
from peripatos.envs.vocabulary import Batch
from peripatos.scenarios.assembly.policies import make_policy
from peripatos.scenarios.assembly.worlds import WorldSources
from peripatos.scenarios.cluster.rollout import Order, Rollout, Shipment, pack_weights
from peripatos.scenarios.config.agents import MemorySpec
from peripatos.scenarios.config.loading import load_scenario
from peripatos.scenarios.config.schema import Scenario


@pytest.fixture
def scenario(tmp_path) -> Scenario:
    return load_scenario(str(write_scenario(tmp_path, TINY)), ["cluster.rollout.workers=2"])


def worker(scenario: Scenario) -> Rollout:
    return Rollout(scenario.model_dump(mode="json"), threads=1)


def weights(scenario: Scenario, version: int, seed: int = 3) -> Shipment:
    """Those of another policy than the one that a worker is born with."""
    sources = WorldSources.of(scenario)
    policy = make_policy(scenario.model_copy(update={"seed": seed}), "cpu", sources.first)
    sources.close()
    assert policy is not None
    return pack_weights(policy, Weights(version))


def assert_equal(one: Batch | None, other: Batch | None) -> None:
    assert one is not None
    assert other is not None
    for name in ("behavior_logp_B_T", "reward_B_T", "value_B_T", "bootstrap_B_T", "episode_B", "version_B"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    assert all(torch.equal(one.inputs[name], other.inputs[name]) for name in one.inputs)


ORDER = Order(stage=0, groups=(1,), group_size=1, seed=5, version=0, state={})


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_of_an_agent_with_lora_the_adapter_alone_travels(precision: str, tmp_path) -> None:
    base = tmp_path / "base"
    for part in tiny_llama(seed=0, hidden=16, layers=1, heads=2):
        part.save_pretrained(base)
    words = f"""\
name: sums
precision: {precision}
world: {{id: peripatos/Arithmetic-v0}}
agent: {{kind: causal_lm, model: {base}, lora: {{rank: 2, alpha: 64}}}}
sampling: {{max_tokens: 4}}
stages: [{{name: learn, method: grpo, collect: {{groups: 2, group_size: 2}}, budget: {{updates: 1}}}}]
"""
    scenario = load_scenario(str(write_scenario(tmp_path, words)), ["cluster.rollout.workers=2"])
    sources = WorldSources.of(scenario)
    policy = make_policy(scenario, "cpu", sources.first)
    assert policy is not None
    with torch.no_grad():
        for parameter in policy.module().parameters():
            if parameter.requires_grad:
                parameter.add_(0.5)
    shipment = pack_weights(policy, Weights(0))
    assert all("lora_" in name for name in shipment.tensors)
    there = worker(scenario)
    order = Order(stage=0, groups=(0, 1), group_size=2, seed=5, version=0, state={})
    batch = there.collect(order, shipment).collection.batch
    assert batch is not None
    with torch.no_grad():
        gap = (policy.score(batch.inputs).logp_B_T - batch.behavior_logp_B_T)[batch.mask_B_T].abs().max()
    assert float(gap) < (1e-4 if precision == "fp32" else 0.1)
    there.close()
    sources.close()


@pytest.mark.parametrize("memory", [None, 8])
def test_another_worker_goes_on_where_one_was_lost(scenario: Scenario, memory: int | None) -> None:
    if memory is not None:
        agent = scenario.agent.model_copy(update={"memory": MemorySpec(size=memory)})
        scenario = scenario.model_copy(update={"agent": agent})
    first, second = worker(scenario), worker(scenario)
    begun = first.collect(ORDER, weights(scenario, 0))
    next_order = replace(ORDER, version=1)
    stayed = first.collect(replace(next_order, state=None), weights(scenario, 1, seed=4))
    came = second.collect(replace(next_order, state=begun.state), weights(scenario, 1, seed=4))
    assert_equal(stayed.collection.batch, came.collection.batch)
    assert stayed.state.keys() == came.state.keys()
    assert all(torch.equal(stayed.state[name], came.state[name]) for name in stayed.state)
    first.close()
    second.close()


def test_the_statistics_of_observations_travel_with_the_weights(scenario: Scenario) -> None:
    moved = weights(scenario, 0)
    assert "encoder.observations.mean" in moved.tensors
    shifted = {name: x + 1.0 if name.startswith("encoder.observations.") else x for name, x in moved.tensors.items()}
    rollout = worker(scenario)
    before = rollout.collect(ORDER, moved).collection.batch
    after = rollout.collect(ORDER, Shipment(0, shifted)).collection.batch
    assert before is not None
    assert after is not None
    assert not torch.equal(before.value_B_T, after.value_B_T)
    rollout.close()


def test_weights_of_another_version_than_asked_are_refused(scenario: Scenario) -> None:
    rollout = worker(scenario)
    with pytest.raises(RuntimeError, match="version 0 was asked for, and the weights are version 7"):
        rollout.collect(ORDER, weights(scenario, 7))


def test_a_worker_that_was_never_told_where_a_stage_stands_refuses_to_go_on(scenario: Scenario) -> None:
    rollout = worker(scenario)
    with pytest.raises(RuntimeError, match="stage 0 goes on, and this worker is in stage None"):
        rollout.collect(replace(ORDER, state=None), weights(scenario, 0))
