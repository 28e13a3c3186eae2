"""Demonstrations that are imitated beside reinforcement: how they are divided among steps, and what is said of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from algorithms_batches import TabularPolicy, random_batch
from torch import Tensor

from peripatos.algorithms.learner import Learner
from peripatos.algorithms.loss_terms import imitation_term, prepare_shown, shown_parts
from peripatos.algorithms.method_row import Update
from peripatos.algorithms.methods import METHODS, method
from peripatos.algorithms.metrics import Log
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.algorithms.training_batch import TrainingBatch
from peripatos.envs.errors import UserError

BESIDE = {"update": {"imitation_coefficient": 0.5}}
SETTINGS = OptimizerSettings(lr=0.05, max_grad_norm=1e9)


def gradient(part: TrainingBatch) -> Tensor:
    policy = TabularPolicy(0)
    term = imitation_term(policy, part, Update(imitation_coefficient=0.5), Log())
    return torch.autograd.grad(term, policy.logits)[0]


@pytest.mark.parametrize("memoryless", [False, True])
def test_the_steps_of_a_pass_see_each_demonstration_once_and_move_on_average_as_one_step_would(
    memoryless: bool,
) -> None:
    whole = prepare_shown(random_batch(3, rows=10, groups=10), TabularPolicy(0, memoryless=memoryless))
    parts = [part for part in shown_parts(whole, 4, np.random.default_rng(0)) if part is not None]
    assert len(parts) == 4
    places = torch.cat([part.place_B_T[part.batch.mask_B_T] for part in parts])
    assert places.sort().values.tolist() == whole.place_B_T[whole.batch.mask_B_T].sort().values.tolist()
    mean = torch.stack([gradient(part) for part in parts]).mean(dim=0)
    torch.testing.assert_close(mean, gradient(whole), atol=1e-14, rtol=1e-12)


def test_an_update_says_how_unlikely_the_demonstrations_were_whatever_else_it_learned() -> None:
    batch, shown, policy = random_batch(0), random_batch(5), TabularPolicy(0)
    flat = replace(batch, reward_B_T=torch.zeros_like(batch.reward_B_T))
    unlikely = -float(policy.score(shown.inputs).logp_B_T.detach()[shown.mask_B_T].mean())
    for earned in (batch, flat):
        policy = TabularPolicy(0)
        learner = Learner(policy, method("grpo", BESIDE), SETTINGS, seed=0)
        assert learner.update(earned, shown=shown).metrics["imitation/loss"] == pytest.approx(unlikely)
        assert not torch.equal(policy.logits, TabularPolicy(0).logits)


@pytest.mark.parametrize("name", ["grpo", "ppo_kl", "ppo", "dapo"])
def test_beside_a_batch_from_which_nothing_is_taken_the_demonstrations_alone_are_learned(name: str) -> None:
    batch, shown, learned = random_batch(0), random_batch(5), []
    nothing = torch.ones(len(batch.group_B), dtype=torch.bool)
    for reward in (0.0, 3.0):
        policy = TabularPolicy(0)
        learner = Learner(policy, method(name, BESIDE), replace(SETTINGS, schedule="adaptive_kl"), seed=0)
        left_out = replace(batch, reward_B_T=reward * batch.reward_B_T, notes={**batch.notes, "left_out_B": nothing})
        before = learner.moving.state(), learner.lr
        metrics = learner.update(left_out, shown=shown).metrics
        assert (learner.moving.state(), learner.lr) == before, "nothing follows rows that are not taken"
        assert metrics["imitation/loss"] > 0
        learned.append(policy.logits.detach().clone())
    assert torch.equal(*learned)
    assert not torch.equal(learned[0], TabularPolicy(0).logits)


def test_imitation_beside_needs_demonstrations_and_no_other_method_takes_any() -> None:
    batch = random_batch(0)
    with pytest.raises(ValueError, match="method 'grpo' needs `shown`"):
        Learner(TabularPolicy(0), method("grpo", BESIDE), SETTINGS, seed=0).update(batch)
    with pytest.raises(ValueError, match="method 'grpo' takes no `shown`"):
        Learner(TabularPolicy(0), METHODS["grpo"], SETTINGS, seed=0).update(batch, shown=batch)


@pytest.mark.parametrize(
    ("name", "why"),
    [("sft", "demonstrations are all that is learned from"), ("dpo", "pairs are all"), ("reward_model", "nobody acts")],
)
def test_who_learns_from_others_alone_has_nothing_beside_it(name: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        method(name, BESIDE)


def test_what_demonstrations_are_worth_and_how_likely_they_were_changes_nothing() -> None:
    batch, shown = random_batch(0), random_batch(5)
    junk = replace(
        shown, reward_B_T=shown.reward_B_T + 9, behavior_logp_B_T=shown.behavior_logp_B_T - 9, value_B_T=None
    )
    junk = replace(junk, version_B=shown.version_B + 7, group_B=shown.group_B * 0)
    ends, row = [], method("ppo", {"update": {"imitation_coefficient": 0.5, "minibatches": 1}})
    for one in (shown, junk):
        policy = TabularPolicy(0)
        Learner(policy, row, SETTINGS, seed=0).update(batch, shown=one)
        ends.append(policy.logits.detach())
    assert torch.equal(*ends)
