"""What a teacher pays, and that its gradient is the one of a KL whose every term can be written down."""

from __future__ import annotations

import copy
import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from algorithms_batches import ACTIONS, TabularPolicy, random_batch
from small_worlds import LANGUAGE, Table, play
from torch import Tensor

from peripatos.algorithms.credit import assign_credit
from peripatos.algorithms.distillation import paid_by_teacher, read_by
from peripatos.algorithms.learner import Learner
from peripatos.algorithms.methods import METHODS, Method, method
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.algorithms.weighting import policy_weight
from peripatos.envs.vocabulary import Batch

WORDS = torch.tensor(list(itertools.product(range(3), repeat=2)))


def random_table(seed: int) -> Table:
    policy = Table()
    with torch.no_grad():
        policy.logits.normal_(generator=torch.Generator().manual_seed(seed))
    return policy


def all_words(policy: Table) -> Batch:
    """Every word of two letters after one prompt, as `policy` says them."""
    batch = play(policy, [LANGUAGE], len(WORDS), torch.Generator().manual_seed(0), 0)  # for its form
    state = torch.stack([torch.full((9,), LANGUAGE), LANGUAGE + 1 + WORDS[:, 0]], dim=1)
    inputs = {name: tensor.clone() for name, tensor in batch.inputs.items()}
    inputs["state_B_T"][:, :2], inputs["action_B_T"][:, :2] = state, WORDS
    acted = torch.where(batch.mask_B_T, policy.score(inputs).logp_B_T.detach(), 0.0)
    return replace(batch, inputs=inputs, behavior_logp_B_T=acted)


def expected_gradient(row: Method, policy: Table, teacher: Table) -> Tensor:
    """E over all words of Σ_t w_t ∇log π, by the library's rewards, credit and weights."""
    batch = paid_by_teacher(read_by(teacher, all_words(policy), None))
    advantage = assign_credit(batch, row.credit).advantage_B_T
    logp = policy.score(batch.inputs).logp_B_T
    old = logp.detach()
    weight = policy_weight(old, advantage, batch.mask_B_T, row.weighting, old_logp_B_T=old).weight_B_T
    chance = torch.where(batch.mask_B_T, old, 0.0).sum(dim=1, keepdim=True).exp()
    return torch.autograd.grad((chance * weight * logp).sum(), policy.logits)[0]


def kl_at(policy: Table, teacher: Table) -> Tensor:
    """[STATES]: KL(π ‖ ν) of the next letter."""
    logp, log_nu = (torch.log_softmax(one.logits, dim=-1) for one in (policy, teacher))
    return (logp.exp() * (logp - log_nu.detach())).sum(dim=-1)


def test_at_gamma_one_the_gradient_is_that_of_the_reverse_kl_of_whole_sequences() -> None:
    policy, teacher = random_table(0), random_table(1)
    kl, first = kl_at(policy, teacher), torch.softmax(policy.logits[LANGUAGE], dim=-1)
    whole = kl[LANGUAGE] + (first * kl[LANGUAGE + 1 : LANGUAGE + 4]).sum()  # the chain rule of KL
    (want,) = torch.autograd.grad(-whole, policy.logits)
    got = expected_gradient(method("on_policy_distillation", {"credit": {"gamma": 1.0}}), policy, teacher)
    torch.testing.assert_close(got, want, atol=1e-14, rtol=1e-12)


def test_at_gamma_zero_it_is_that_of_the_reverse_kl_at_the_states_that_were_visited() -> None:
    policy, teacher = random_table(2), random_table(3)
    kl, visited = kl_at(policy, teacher), torch.softmax(policy.logits[LANGUAGE], dim=-1).detach()
    (want,) = torch.autograd.grad(-(kl[LANGUAGE] + (visited * kl[LANGUAGE + 1 : LANGUAGE + 4]).sum()), policy.logits)
    got = expected_gradient(METHODS["on_policy_distillation"], policy, teacher)
    torch.testing.assert_close(got, want, atol=1e-14, rtol=1e-12)


def test_a_teacher_pays_each_unit_by_the_logarithm_of_how_much_likelier_it_was() -> None:
    policy, teacher = Table(), Table()
    with torch.no_grad():
        teacher.logits[LANGUAGE] = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64).log()
    batch = paid_by_teacher(read_by(teacher, all_words(policy), None))
    torch.testing.assert_close(batch.reward_B_T[0, :2], torch.tensor([math.log(1.5), 0.0], dtype=torch.float64))
    torch.testing.assert_close(batch.reward_B_T[8, :2], torch.tensor([math.log(0.75), 0.0], dtype=torch.float64))
    assert not batch.reward_B_T[~batch.mask_B_T].any(), "nobody is paid for what nobody chose"


def test_the_world_s_reward_changes_no_bit_of_what_a_teacher_teaches() -> None:
    gradients = []
    for factor in (1.0, -7.0):
        batch = random_batch(0)
        policy = TabularPolicy(0)
        learner = Learner(
            policy, METHODS["on_policy_distillation"], OptimizerSettings(), seed=0, teacher=TabularPolicy(1)
        )
        learner.update(replace(batch, reward_B_T=factor * batch.reward_B_T))
        gradients.append(policy.logits.grad)
    assert torch.equal(*gradients)


def test_an_update_says_how_far_the_policy_was_from_its_teacher() -> None:
    batch, teacher = random_batch(0), TabularPolicy(1)
    learner = Learner(TabularPolicy(0), METHODS["self_distillation"], OptimizerSettings(), seed=0, teacher=teacher)
    said = learner.update(batch).metrics["kl/teacher"]
    gap = (batch.behavior_logp_B_T - teacher.score(batch.inputs).logp_B_T.detach())[batch.mask_B_T]
    assert said == pytest.approx(float(gap.mean()))


def test_of_several_worlds_a_teacher_pays_where_the_method_says_so() -> None:
    batch = random_batch(0, rows=8, groups=4)
    batch = replace(batch, notes={"world_B": torch.tensor([0, 1, 0, 1, 0, 1, 0, 1]), "term_a_B": torch.zeros(8)})
    taught, paid = METHODS["on_policy_distillation"], method("on_policy_distillation", {"rewards": {"teacher": None}})

    def gradient(*worlds: Method, rows: slice = slice(None)) -> Tensor:
        policy = TabularPolicy(0)
        learner = Learner(policy, taught, OptimizerSettings(), seed=0, teacher=TabularPolicy(1), worlds=worlds)
        learner.update(batch.rows(rows))
        assert policy.logits.grad is not None
        return policy.logits.grad

    units = [float(batch.mask_B_T[start::2].sum()) for start in (0, 1)]
    alone = gradient(taught, taught, rows=slice(0, None, 2)), gradient(paid, paid, rows=slice(1, None, 2))
    want = sum(n * g for n, g in zip(units, alone, strict=True)) / sum(units)
    torch.testing.assert_close(gradient(taught, paid), want, atol=1e-12, rtol=1e-10)


def comparing(policy: TabularPolicy, teacher: TabularPolicy, batch: Batch, **settings: Any) -> Tensor:
    """∇L of one update by the whole distribution."""
    Learner(policy, METHODS["gkd"], OptimizerSettings(**settings), seed=0, teacher=teacher).update(batch)
    assert policy.logits.grad is not None
    return policy.logits.grad


def test_whole_distributions_have_the_gradient_that_samples_have_on_average() -> None:
    """Over every word of two letters, as often as the policy says it."""
    policy, teacher = random_table(4), random_table(5)
    sampled = expected_gradient(METHODS["on_policy_distillation"], policy, teacher)
    batch = all_words(policy)
    chance = torch.where(batch.mask_B_T, batch.behavior_logp_B_T, 0.0).sum(dim=1).exp()
    rows = []
    for word in range(len(WORDS)):
        learner = copy.deepcopy(policy)
        rows.append(2 * comparing(learner, teacher, batch.rows(slice(word, word + 1)), max_grad_norm=1e9))  # 2 units
    torch.testing.assert_close(torch.einsum("w,wsa->sa", chance, torch.stack(rows)), -sampled, atol=1e-14, rtol=1e-12)


def test_what_was_chosen_changes_no_bit_of_what_whole_distributions_teach() -> None:
    batch = random_batch(0)
    other = {**batch.inputs, "action_B_T": (batch.inputs["action_B_T"] + 1) % ACTIONS}
    one, two = (comparing(TabularPolicy(0), TabularPolicy(1), replace(batch, inputs=x)) for x in (batch.inputs, other))
    assert torch.equal(one, two)


def test_whole_distributions_count_in_the_worlds_that_have_them() -> None:
    batch = random_batch(0, rows=8, groups=4)
    batch = replace(batch, notes={"world_B": torch.tensor([0, 1, 0, 1, 0, 1, 0, 1]), "term_a_B": torch.zeros(8)})
    taught, paid = METHODS["gkd"], method("gkd", {"rewards": {"teacher": None, "teacher_pays": "chosen"}})

    def gradient(*worlds: Method, rows: slice = slice(None)) -> Tensor:
        policy = TabularPolicy(0)
        Learner(policy, taught, OptimizerSettings(), seed=0, teacher=TabularPolicy(1), worlds=worlds).update(
            batch.rows(rows)
        )
        assert policy.logits.grad is not None
        return policy.logits.grad

    units = [float(batch.mask_B_T[start::2].sum()) for start in (0, 1)]
    alone = gradient(taught, taught, rows=slice(0, None, 2)), gradient(paid, paid, rows=slice(1, None, 2))
    want = sum(n * g for n, g in zip(units, alone, strict=True)) / sum(units)
    torch.testing.assert_close(gradient(taught, paid), want, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("settings", [{}, {"micro_batch": 20}], ids=["alone", "in micro-batches"])
def test_an_update_by_whole_distributions_says_how_far_the_teacher_is(settings: dict[str, Any]) -> None:
    batch, policy, teacher = random_batch(0), TabularPolicy(0), TabularPolicy(1)
    apart = policy.compare(batch.inputs, teacher)[1].detach()[batch.mask_B_T]
    learner = Learner(policy, METHODS["opsd"], OptimizerSettings(**settings), seed=0, teacher=teacher)
    assert learner.update(batch).metrics["kl/teacher"] == pytest.approx(float(apart.mean()))


def test_a_policy_that_cannot_be_compared_is_refused() -> None:
    class Closed(TabularPolicy):
        compare = None  # type: ignore[assignment]  # says nothing of what was not chosen

    learner = Learner(Closed(), METHODS["gkd"], OptimizerSettings(), seed=0, teacher=TabularPolicy(1))
    with pytest.raises(ValueError, match="says nothing of what was not chosen"):
        learner.update(random_batch(0))


def test_a_learner_without_the_teacher_that_its_method_needs_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a teacher"):
        Learner(TabularPolicy(), METHODS["on_policy_distillation"], OptimizerSettings(), seed=0)
