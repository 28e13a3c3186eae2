"""An agent that remembers: what it learns from is what it had in mind, step by step, across rows and episodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from t_maze import TMaze
from torch import Tensor

from peripatos.agents.control.control_actor import ControlActor
from peripatos.agents.control.memory import GatedMemory
from peripatos.agents.control.mlp import ActorCritic
from peripatos.agents.tiles import TiledActor
from peripatos.algorithms.learner import Learner
from peripatos.algorithms.methods import method
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.envs.vocabulary import Batch
from peripatos.envs.world_source import WorldSource

MAZE = f"{TMaze.__module__}:TMaze"


def remembering(size: int = 5, seed: int = 0, **given) -> ActorCritic:
    """A small agent with weights that are not near zero, so that what it remembers shows."""
    policy = ActorCritic(2, Discrete(2), hidden=(6,), memory=size, seed=seed, **given)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))
    return policy


def actor_in(policy: ActorCritic, mode="segments", horizon: int | None = 13, **options) -> ControlActor:
    return ControlActor(policy, WorldSource(MAZE, {"ragged": True, **options}), mode=mode, horizon=horizon)


def collected(actor, rows: Sequence[int] = range(4), version: int = 0, size: int = 1) -> Batch:
    batch = actor.collect(rows, size, seed=3, version=version).batch
    assert batch is not None
    return batch


def gru_by_hand(memory: GatedMemory, x: Tensor, h: Tensor) -> Tensor:
    """One step of the module's equations, gate by gate, of one episode."""
    W, U, b, c = (getattr(memory.cell, name) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    H = memory.size
    r = 1 / (1 + torch.exp(-(W[:H] @ x + b[:H] + U[:H] @ h + c[:H])))
    z = 1 / (1 + torch.exp(-(W[H : 2 * H] @ x + b[H : 2 * H] + U[H : 2 * H] @ h + c[H : 2 * H])))
    n = torch.tanh(W[2 * H :] @ x + b[2 * H :] + r * (U[2 * H :] @ h + c[2 * H :]))
    return (1 - z) * n + z * h


def scores_by_hand(policy: ActorCritic, batch: Batch) -> tuple[Tensor, Tensor]:
    """log π and V of every unit in the mask, row by row and step by step, forgetting where an episode ended."""
    assert policy.memory is not None
    inputs, logp, value = batch.inputs, [], []
    for row in range(len(batch.mask_B_T)):
        whole = "memory_B_H" not in inputs
        h = torch.zeros(policy.memory.size, dtype=torch.float64) if whole else inputs["memory_B_H"][row].double()
        for t in range(batch.mask_B_T.shape[1]):
            if not batch.mask_B_T[row, t]:
                continue
            if batch.turn_B_T[row, t] == 0:
                h = torch.zeros_like(h)
            x = inputs["observation_B_T_D"][row, t].double()
            h = gru_by_hand(policy.memory, x, h)
            read = torch.cat([x, h])
            head = policy.actor(read)
            logp.append((head - torch.logsumexp(head, 0))[int(inputs["action_B_T"][row, t])])
            value.append(policy.critic(read)[0] if policy.critic is not None else torch.zeros(()))
    return torch.stack(logp), torch.stack(value)


def test_the_learner_gives_the_log_probabilities_and_values_of_the_actor_over_ragged_episodes_in_going_rows():
    policy = remembering()
    actor = actor_in(policy)
    for version in range(3):
        batch = collected(actor, version=version)
        assert int(batch.end_B_T[:, :-1].sum()) > 0  # episodes end within rows
        scores = policy.score(batch.inputs)
        assert (scores.logp_B_T - batch.behavior_logp_B_T).abs().max() < 1e-5
        assert batch.value_B_T is not None
        assert (scores.value_B_T - batch.value_B_T).abs().max() < 1e-5
        empty = policy.score({**batch.inputs, "memory_B_H": torch.zeros_like(batch.inputs["memory_B_H"])})
        deaf = policy.score({**batch.inputs, "first_B_T": torch.zeros_like(batch.inputs["first_B_T"])})
        if version:
            assert (empty.logp_B_T - batch.behavior_logp_B_T).abs().max() > 1e-3  # what came before the row counts
        assert (deaf.logp_B_T - batch.behavior_logp_B_T).abs().max() > 1e-3  # and so does where an episode begins


def test_whole_episodes_need_no_memory_of_what_was_before_them():
    policy = remembering()
    batch = collected(actor_in(policy, "episodes", None), size=3)
    assert set(batch.inputs) == {"observation_B_T_D", "action_B_T"}
    assert not bool(batch.mask_B_T.all())  # some are shorter
    off = (policy.score(batch.inputs).logp_B_T - batch.behavior_logp_B_T)[batch.mask_B_T]
    assert off.abs().max() < 1e-5


@pytest.mark.parametrize("mode", ["segments", "episodes"])
def test_gradients_go_back_through_time_as_in_a_step_by_step_implementation(mode):
    policy = remembering()
    actor = actor_in(policy, mode, 13 if mode == "segments" else None)
    collected(actor)
    batch = collected(actor, version=1)
    policy.double()
    inputs = {name: x.double() if x.is_floating_point() else x for name, x in batch.inputs.items()}
    weight = torch.randn(batch.mask_B_T.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    names, parameters = zip(*policy.named_parameters(), strict=True)
    scores, mask = policy.score(inputs), batch.mask_B_T
    logp, value = scores_by_hand(policy, batch)
    assert torch.allclose(scores.logp_B_T[mask], logp, atol=1e-10)
    ours = torch.autograd.grad(((scores.logp_B_T + scores.value_B_T**2) * weight)[mask].sum(), parameters)
    theirs = torch.autograd.grad(((logp + value**2) * weight[mask]).sum(), parameters)
    for name, mine, other in zip(names, ours, theirs, strict=True):
        assert torch.allclose(mine, other, rtol=1e-8, atol=1e-10), name
    assert ours[names.index("memory.cell.weight_hh")].abs().max() > 1e-3


def test_a_cut_row_and_a_truncated_episode_bootstrap_with_what_is_remembered_there():
    policy = remembering()
    source = WorldSource(MAZE, {"length": 30, "max_episode_steps": 6})
    batch = collected(ControlActor(policy, source, mode="segments", horizon=10))
    assert batch.bootstrap_B_T is not None
    seen, memory = batch.inputs["observation_B_T_D"].numpy(), policy.begin(4)
    expected = np.zeros((4, 10), np.float32)
    for t in range(10):
        memory = policy.begin(4) if t == 6 else memory
        memory = policy.act(seen[:, t], None, memory).memory_N
        after = seen[:, t + 1] if t == 8 else np.zeros((4, 2), np.float32)  # in the corridor there is nothing to see
        expected[:, t] = policy.value(after, memory)
    assert batch.bootstrap_B_T[:, 5].numpy() == pytest.approx(expected[:, 5], abs=1e-6)  # truncated
    assert batch.bootstrap_B_T[:, 9].numpy() == pytest.approx(expected[:, 9], abs=1e-6)  # cut
    assert np.abs(expected[:, 5] - policy.value(np.zeros((4, 2), np.float32))).max() > 1e-3


def test_rows_go_on_from_a_saved_state_bit_for_bit_in_the_middle_of_their_episodes():
    policy = remembering()
    here, there = actor_in(policy, length=40), actor_in(policy, length=40)
    collected(here)
    with torch.no_grad():
        policy.actor[0].weight.mul_(1.5)  # what is remembered came of other weights, and is not found again
        assert policy.memory is not None
        policy.memory.cell.weight_hh.mul_(0.5)
    state = {name: tensor.clone() for name, tensor in here.state().items()}
    assert state["memory"].abs().max() > 0
    assert there.load_state(state) == 0
    for version in (1, 2):
        one, two = collected(here, version=version), collected(there, version=version)
        assert all(torch.equal(one.inputs[name], two.inputs[name]) for name in one.inputs)
        assert torch.equal(one.behavior_logp_B_T, two.behavior_logp_B_T)
        assert torch.equal(one.bootstrap_B_T, two.bootstrap_B_T)  # type: ignore[arg-type]  # segments have them


def test_tiles_that_others_play_are_the_whole_bit_for_bit():
    policy = remembering()
    whole = TiledActor(lambda: actor_in(policy), 2, keeps_rows=True)
    halves = [actor_in(policy), actor_in(policy)]
    for version in range(2):
        both = Batch.join([collected(half, rows, version) for half, rows in zip(halves, ([0, 1], [2, 3]), strict=True)])
        batch = collected(whole, range(4), version)
        assert set(batch.inputs) == {"observation_B_T_D", "action_B_T", "memory_B_H", "first_B_T"}
        assert all(torch.equal(both.inputs[name], batch.inputs[name]) for name in batch.inputs)
        assert torch.equal(both.behavior_logp_B_T, batch.behavior_logp_B_T)


def test_a_greedy_episode_is_the_same_beside_many_and_alone_and_acts_by_all_that_it_saw():
    policy = remembering(seed=4)
    actor = actor_in(policy, "episodes", None)
    many, one = actor.evaluate(9, seed=1, version=0), actor.evaluate(1, seed=1, version=0)
    assert one[0].actions is not None
    assert np.array_equal(many[0].actions, one[0].actions)  # type: ignore[arg-type]
    for episode in many:
        world, memory = TMaze(ragged=True), policy.begin(1)
        seen, _ = world.reset(seed=episode.seed)
        assert episode.actions is not None
        for action in episode.actions:
            acted = policy.act(seen[None], None, memory)
            assert int(acted.action[0]) == int(action)
            memory = acted.memory_N
            seen = world.step(action)[0]


@pytest.mark.parametrize(("name", "size"), [("ppo", 1), ("grpo", 3)])
def test_rows_stay_whole_in_minibatches_and_micro_batches_change_nothing(name, size):
    updated = []
    for micro_batch in (None, 13):
        policy = remembering(critic=name == "ppo")
        actor = actor_in(policy, *(("segments", 13) if name == "ppo" else ("episodes", None)))
        row = method(name, {"update": {"epochs": 2, "minibatches": 2}})
        learner = Learner(policy, row, OptimizerSettings(lr=1e-2, micro_batch=micro_batch), seed=0)
        for version in range(2):
            seen = learner.update(collected(actor, version=version, size=size)).metrics
            assert seen["kl/sampler_gap"] < 1e-5
        updated.append(torch.cat([parameter.detach().flatten() for parameter in policy.parameters()]))
    assert torch.allclose(*updated, atol=1e-5)


def test_what_is_saved_is_read_again_and_another_memory_is_refused_by_name(tmp_path: Path):
    policy, other = remembering(), remembering(seed=1)
    policy.save(tmp_path / "saved")
    other.load(tmp_path / "saved")
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(policy.parameters(), other.parameters(), strict=True))
    for size, mine in ((0, None), (7, 7)):
        with pytest.raises(ValueError, match=f"with memory 5; this one has {mine}"):
            ActorCritic(2, Discrete(2), hidden=(6,), memory=size).load(tmp_path / "saved")


def test_a_row_that_goes_on_says_both_what_it_begins_with_and_where_it_forgets():
    memory = GatedMemory(2, 3, torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="needs both"):
        memory.scan(torch.zeros(1, 4, 2), torch.zeros(1, 3))
