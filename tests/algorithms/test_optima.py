"""Every method that learns from what it did itself, where the optimum is known; and gradients known exactly."""

from __future__ import annotations

import copy
import itertools
import math
import statistics
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from small_worlds import LANGUAGE, REWARD, STARTS, Table, expert, paid, play, value
from torch import Tensor

from peripatos.algorithms.credit import assign_credit
from peripatos.algorithms.learner import Learner
from peripatos.algorithms.methods import METHODS, Method, method
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.algorithms.weighting import policy_weight
from peripatos.envs.vocabulary import Batch

SIZE, STEPS, RATE = 8, 20, 0.4  # episodes of a group, least steps of the optimiser, and the length of one
ALL = [start for starts in STARTS.values() for start in starts * (4 // len(starts))]  # four groups of each world


def trained(row: Method, seed: int) -> Table:
    policy, draw = Table(), torch.Generator().manual_seed(seed)
    if row.update.aggregation == "constant_length":
        row = replace(row, update=replace(row.update, length=12))
    steps = row.update.epochs * row.update.minibatches  # many of one batch are shorter
    updates, rate = (STEPS, RATE) if steps == 1 else (max(12, 192 // steps), 0.06)
    settings = OptimizerSettings(lr=rate, max_grad_norm=1e9)
    learner = Learner(policy, row, settings, seed=seed, reference=copy.deepcopy(policy), teacher=expert())
    for version in range(updates):
        learner.update(play(policy, ALL, SIZE, draw, version))
    return policy


@pytest.mark.parametrize(
    "seeds", [range(1), pytest.param(range(1, 5), marks=pytest.mark.exhaustive)], ids=["one", "four"]
)
@pytest.mark.parametrize("name", [name for name, row in METHODS.items() if row.source == "own"])
def test_every_method_comes_within_five_percent_of_the_optimum_on_five_of_five_seeds(name: str, seeds: range) -> None:
    """Of nsr and psr this says that no mass is left on what was punished, or never paid."""
    for seed in seeds:
        policy = trained(METHODS[name], seed)
        reached = {world: value(policy, world) for world in STARTS}
        assert min(reached.values()) >= 0.95, (seed, reached)


# ── exact gradients: every group, or every episode, weighed by its probability ──────────────────────────────────────

ARMS, G = (0.0, 1.0, 0.0), 3
LOGITS = torch.tensor([0.3, -0.8, 0.5], dtype=torch.float64)
GROUPS = list(itertools.product(range(3), repeat=G))


def expected(row: Method) -> Tensor:
    """E[−∇L] of a bandit over all groups of G, by the library's credit and weights."""
    logits = LOGITS.clone().requires_grad_()
    arm_B = torch.tensor(GROUPS).flatten()
    logp_B = torch.log_softmax(logits, dim=-1)[arm_B]
    batch = one_unit(arm_B)
    advantage = assign_credit(batch, row.credit).advantage_B_T
    old = logp_B.detach()[:, None]
    weight = policy_weight(old, advantage, batch.mask_B_T, row.weighting, old_logp_B_T=old).weight_B_T[:, 0]
    chance_B = logp_B.detach().view(-1, G).sum(dim=1).exp().repeat_interleave(G)
    (gradient,) = torch.autograd.grad((chance_B * weight * logp_B).sum() / G, logits)
    return gradient


def one_unit(arm_B: Tensor) -> Batch:
    B = len(arm_B)
    column, number = torch.zeros(B, 1, dtype=torch.float64), torch.arange(B)
    return Batch(
        inputs={"action_B_T": arm_B[:, None]},
        mask_B_T=torch.ones(B, 1, dtype=torch.bool),
        behavior_logp_B_T=column,
        reward_B_T=torch.tensor(ARMS, dtype=torch.float64)[arm_B][:, None],
        turn_B_T=torch.zeros(B, 1, dtype=torch.long),
        end_B_T=torch.ones(B, 1, dtype=torch.bool),
        episode_B=number,
        group_B=number // G,
        version_B=torch.zeros(B, dtype=torch.long),
        bundle_B=number,
    )


def gradient_of(objective: Callable[[Tensor], Tensor]) -> Tensor:
    """∇ of a function of the probability p of being paid."""
    logits = LOGITS.clone().requires_grad_()
    p = (torch.softmax(logits, dim=-1) * torch.tensor(ARMS, dtype=torch.float64)).sum()
    return torch.autograd.grad(objective(p), logits)[0]


def test_leave_one_out_is_the_exact_policy_gradient_on_average_and_the_groups_mean_a_part_of_it() -> None:
    want = gradient_of(lambda p: p)
    torch.testing.assert_close(expected(METHODS["rloo"]), want, atol=1e-14, rtol=1e-12)
    torch.testing.assert_close(expected(METHODS["dr_grpo"]) * G / (G - 1), want, atol=1e-14, rtol=1e-12)


def test_advantages_over_the_mean_are_the_gradient_of_a_log_likelihood_that_is_cut_off() -> None:
    """E[MaxRL] = ∇ Σ_{k<G} pass@k / k, with pass@k = 1 − (1 − p)ᵏ: the first terms of −log p's series."""
    row = method("max_rl", {"credit": {"eps": 0.0}})
    want = gradient_of(lambda p: sum(((1 - (1 - p) ** k) / k for k in range(1, G)), start=0 * p))
    torch.testing.assert_close(expected(row), want, atol=1e-14, rtol=1e-12)


def test_grpo_is_the_gradient_of_its_own_expectation() -> None:
    """E over groups of each arm's mean advantage, in plain arithmetic, times ∇log π of the arm."""
    p = torch.softmax(LOGITS, dim=-1).tolist()
    weight = [0.0, 0.0, 0.0]
    for group in GROUPS:
        rewards = [ARMS[arm] for arm in group]
        chance = math.prod(p[arm] for arm in group)
        for arm, reward in zip(group, rewards, strict=True):
            weight[arm] += chance * (reward - statistics.mean(rewards)) / (statistics.stdev(rewards) + 1e-6) / G
    want = torch.tensor([weight[arm] - p[arm] * sum(weight) for arm in range(3)], dtype=torch.float64)
    torch.testing.assert_close(expected(METHODS["grpo"]), want, atol=1e-14, rtol=1e-10)


def test_ppo_with_an_exact_critic_and_no_bias_is_the_exact_policy_gradient_on_average() -> None:
    """λ = γ = 1, over all nine words of the language world."""
    policy = Table()
    with torch.no_grad():
        policy.logits.normal_(generator=torch.Generator().manual_seed(0))
    exact = paid(policy)
    (want,) = torch.autograd.grad(exact[LANGUAGE], policy.logits)
    policy.values.data = exact.detach()
    row = method("ppo", {"credit": {"gamma": 1.0, "lam": 1.0, "whiten": None}})
    words = torch.tensor(list(itertools.product(range(3), repeat=2)))
    state = torch.stack([torch.full((9,), LANGUAGE), LANGUAGE + 1 + words[:, 0]], dim=1)
    batch = play(policy, [LANGUAGE], 9, torch.Generator(), 0)  # for its form: the words are these
    inputs = {"state_B_T": batch.inputs["state_B_T"].clone(), "action_B_T": batch.inputs["action_B_T"].clone()}
    inputs["state_B_T"][:, :2], inputs["action_B_T"][:, :2] = state, words
    reward, critic = torch.zeros_like(batch.reward_B_T), torch.zeros_like(batch.reward_B_T)
    reward[:, 1], critic[:, :2] = REWARD[state[:, 1], words[:, 1]], policy.values.detach()[state]
    batch = replace(batch, inputs=inputs, reward_B_T=reward, value_B_T=critic)
    advantage = assign_credit(batch, row.credit).advantage_B_T
    logp = policy.score(inputs).logp_B_T
    weight = policy_weight(logp.detach(), advantage, batch.mask_B_T, row.weighting, old_logp_B_T=logp.detach())
    chance = torch.where(batch.mask_B_T, logp.detach(), 0.0).sum(dim=1, keepdim=True).exp()
    (got,) = torch.autograd.grad((chance * weight.weight_B_T * logp).sum(), policy.logits)
    torch.testing.assert_close(got, want, atol=1e-14, rtol=1e-12)
