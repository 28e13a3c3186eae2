"""A critic that is a model of its own: what it says is what is learned by, and it is saved with the learner."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from algorithms_batches import TabularPolicy, random_batch

from peripatos.algorithms.learner import Learner, UpdateRefused
from peripatos.algorithms.methods import method
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.algorithms.own_critic import OwnCritic
from peripatos.envs.vocabulary import Batch

SETTINGS = OptimizerSettings(lr=0.05, max_grad_norm=0.5)
ROW = method("ppo", {"update": {"epochs": 2, "minibatches": 2}})


def batch(version: int) -> Batch:
    """Without values, as conversations come."""
    whole = random_batch(version)
    cut = torch.arange(8) % 2 == 0
    return replace(
        whole, value_B_T=None, bootstrap_B_T=None, notes={"truncated_B": cut}, version_B=whole.version_B + version
    )


def learner() -> Learner:
    return Learner(TabularPolicy(1, critic=False), ROW, SETTINGS, seed=0, critic=OwnCritic(TabularPolicy(2), SETTINGS))


def weights(one: Learner) -> list[torch.Tensor]:
    assert one.critic is not None
    return [p.detach() for model in (one.policy, one.critic.model) for p in model.module().parameters()]


def test_values_are_those_of_the_critic_and_each_of_both_has_steps_of_its_own() -> None:
    one, before = learner(), weights(learner())
    update = one.update(batch(0))
    said = TabularPolicy(2).value(batch(0).inputs)[0].detach()
    mask = batch(0).mask_B_T
    torch.testing.assert_close(update.units.value_B_T[mask], said[mask])
    assert {"value/loss", "value/explained_variance", "gradient/critic_norm", "gradient/norm"} <= update.metrics.keys()
    moved = [not torch.equal(x, y) for x, y in zip(before, weights(one), strict=True)]
    assert moved == [True, False, False, True]  # logits of the policy, values of the critic


def test_a_learner_with_a_critic_that_is_continued_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole, first, second = learner(), learner(), learner()
    for version in range(3):
        whole.update(batch(version))
    for version in range(2):
        first.update(batch(version))
    first.save(tmp_path)
    second.policy.module().load_state_dict(first.policy.module().state_dict())
    second.load(tmp_path)
    second.update(batch(2))
    assert all(torch.equal(x, y) for x, y in zip(weights(whole), weights(second), strict=True))


def test_a_critic_without_a_head_or_of_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no head for it"):
        OwnCritic(TabularPolicy(0, critic=False), SETTINGS)
    one, other = learner(), learner()
    one.save(tmp_path)
    assert other.critic is not None
    other.critic._weights["values"] = torch.nn.Parameter(torch.zeros(3))
    with pytest.raises(ValueError, match=r"belongs to another critic \(values\)"):
        other.critic.load(tmp_path)


def test_a_step_of_the_critic_that_is_not_finite_is_not_taken_nor_is_the_policys() -> None:
    one = learner()
    assert one.critic is not None
    one.critic.model.values.register_hook(lambda gradient: gradient * torch.inf)
    before = [p.clone() for p in weights(one)]
    with pytest.raises(UpdateRefused, match="the norm of the critic's gradient is"):
        one.update(batch(0))
    assert all(torch.equal(x, y) for x, y in zip(before, weights(one), strict=True))
