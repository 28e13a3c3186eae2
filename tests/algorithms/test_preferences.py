"""Losses of pairs and rankings: by hand, against autograd, and on preferences whose reward is known."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from algorithms_batches import TabularPolicy, random_batch
from textbook import PairLoss, dpo, dpop, ipo
from torch import Tensor, nn

from peripatos.agents.protocols import Scores
from peripatos.algorithms.credit import best_and_worst
from peripatos.algorithms.learner import Learner
from peripatos.algorithms.method_row import Method
from peripatos.algorithms.methods import METHODS, method
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.algorithms.preferences import (
    Pairs,
    Preference,
    margin_loss,
    preference_weight,
    prefix_margins,
    ranking_loss,
    share_in_order,
    tied_pairs,
)
from peripatos.envs.vocabulary import Batch

KINDS: dict[str, tuple[dict[str, Any], PairLoss]] = {
    "dpo": ({"kind": "dpo", "beta": 0.3}, dpo(0.3)),
    "dpo of labels that may be wrong": ({"kind": "dpo", "beta": 0.3, "label_smoothing": 0.2}, dpo(0.3, 0.2)),
    "ipo": ({"kind": "ipo", "beta": 0.7}, ipo(0.7)),
    "dpop": ({"kind": "dpop", "beta": 0.3, "dpop_lambda": 5.0}, dpop(0.3, 5.0)),
    "dpop that holds nothing up": ({"kind": "dpop", "beta": 0.3}, dpo(0.3)),
}


def double(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


# ── the public mathematics ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", KINDS)
def test_weights_of_pairs_have_the_gradient_of_the_textbook_loss(name: str) -> None:
    constants, loss = KINDS[name]
    draw = torch.Generator().manual_seed(0)
    chosen, rejected, chosen_ref, rejected_ref = 3 * torch.randn(4, 200, generator=draw, dtype=torch.float64) - 9
    for logp_P in (chosen, rejected):
        logp_P.requires_grad_()
    want = torch.autograd.grad(loss(chosen, rejected, chosen_ref, rejected_ref).sum(), [chosen, rejected])
    weights = preference_weight(chosen, rejected, chosen_ref, rejected_ref, **constants)
    assert not any(weight.requires_grad for weight in weights)
    ours = torch.autograd.grad(-(weights[0] * chosen + weights[1] * rejected).sum(), [chosen, rejected])
    for got, wanted in zip(ours, want, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-12, rtol=1e-10)


def test_weights_of_pairs_by_hand() -> None:
    """β = 0.5. First pair: d = (−1 + 2) − (−3 + 3) = 1; second: d = (−4 + 2) − (−1 + 1) = −2, its better reply fell."""
    pairs = double(-1.0, -4.0), double(-3.0, -1.0), double(-2.0, -2.0), double(-3.0, -1.0)

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    def close(got: tuple[Tensor, Tensor], better: list[float], worse: list[float]) -> None:
        torch.testing.assert_close(torch.stack(got), double(*better, *worse).view(2, 2), atol=1e-15, rtol=1e-14)

    better = [0.5 * sigmoid(-0.5), 0.5 * sigmoid(1.0)]
    close(preference_weight(*pairs, beta=0.5), better, [-w for w in better])
    assert better == pytest.approx([0.18877033, 0.36552929])
    smoothed = [0.5 * (0.9 * sigmoid(-0.5) - 0.1 * sigmoid(0.5)), 0.5 * (0.9 * sigmoid(1.0) - 0.1 * sigmoid(-1.0))]
    close(preference_weight(*pairs, beta=0.5, label_smoothing=0.1), smoothed, [-w for w in smoothed])
    close(preference_weight(*pairs, kind="ipo", beta=0.5), [0.0, 6.0], [0.0, -6.0])  # 2 − 2d
    held = 0.5 * sigmoid(-0.5 * (-2 - 3 * 2))  # λ = 3: d − λ·2
    close(preference_weight(*pairs, kind="dpop", beta=0.5, dpop_lambda=3.0), [better[0], 4 * held], [-better[0], -held])


def test_pairs_that_are_far_apart_have_finite_weights() -> None:
    far = double(-1e4, 0.0)
    for constants, _ in KINDS.values():
        weights = preference_weight(far, far.flip(0), double(0.0, 0.0), double(0.0, 0.0), **constants)
        assert bool(torch.isfinite(torch.stack(weights)).all())


@pytest.mark.parametrize(
    ("constants", "words"),
    [
        ({"kind": "kto"}, "kind must be 'dpo', 'ipo' or 'dpop', got 'kto'"),
        ({"beta": 0.0}, "beta must be above 0, got 0.0"),
        ({"beta": math.nan}, "beta must be above 0"),
        ({"label_smoothing": 1.5}, "label_smoothing must be from 0 to 1, got 1.5"),
        ({"kind": "dpop", "dpop_lambda": -1.0}, "dpop_lambda must be 0 or greater"),
        ({"kind": "ipo", "label_smoothing": 0.1}, "label_smoothing belongs to kind 'dpo'"),
        ({"dpop_lambda": 5.0}, "dpop_lambda belongs to kind 'dpop'"),
    ],
)
def test_constants_of_no_pair_loss_are_named(constants: dict[str, Any], words: str) -> None:
    one = double(0.0)
    with pytest.raises(ValueError, match=words):
        preference_weight(one, one, one, one, **constants)


def test_wrong_ranks_are_named() -> None:
    one = double(0.0)
    with pytest.raises(ValueError, match="rejected_logp_P must have rank 1"):
        preference_weight(one, one[None], one, one)
    with pytest.raises(ValueError, match="chosen_reference_P has shape"):
        preference_weight(one, one, double(0.0, 1.0), one)
    with pytest.raises(ValueError, match="rank_G has shape"):
        ranking_loss(double(0.0, 1.0), torch.tensor([1]))


def test_a_ranking_is_the_mean_over_all_pairs_of_different_rank() -> None:
    """Scores 2, 0, 1, 0 with ranks 0, 1, 1, 2: five pairs, and the two in the middle make none."""
    score, rank = double(2.0, 0.0, 1.0, 0.0).requires_grad_(), torch.tensor([0, 1, 1, 2])
    loss = ranking_loss(score, rank)
    differences = [2.0, 1.0, 2.0, 0.0, 1.0]  # of 0 to 1, 2, 3; 1 to 3; 2 to 3
    assert loss.item() == pytest.approx(sum(math.log1p(math.exp(-d)) for d in differences) / 5, abs=1e-15)
    (gradient,) = torch.autograd.grad(loss, score)
    at_0, at_1, at_2 = (1 / (1 + math.exp(d)) / 5 for d in (0.0, 1.0, 2.0))
    by_hand = double(-2 * at_2 - at_1, at_2 - at_0, at_1 - at_1, at_2 + at_0 + at_1)
    torch.testing.assert_close(gradient, by_hand, atol=1e-15, rtol=1e-13)


def test_a_ranking_does_not_depend_on_the_order_of_its_members_and_survives_large_differences() -> None:
    score, rank = double(3.0, -900.0, 900.0, 0.5), torch.tensor([5, 1, 7, 2])
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(ranking_loss(score, rank), ranking_loss(score[order], rank[order]))
    assert math.isfinite(ranking_loss(score, rank).item())


@pytest.mark.parametrize("rank", [[3, 3, 3], [1], []])
def test_a_ranking_without_a_pair_is_zero_and_has_a_gradient(rank: list[int]) -> None:
    score = torch.zeros(len(rank), requires_grad=True)
    loss = ranking_loss(score, torch.tensor(rank, dtype=torch.long))
    assert loss.item() == 0
    assert not torch.autograd.grad(loss, score)[0].any()


def test_beginnings_are_compared_turn_by_turn_and_who_has_ended_stays_what_it_was() -> None:
    """Replies of 2, 1, 3 and 2 turns with ranks 0, 1, 2, 2: five pairs, and what stands behind an end is not read."""
    nan = math.nan
    score = double(1.0, 4.0, nan, 2.0, nan, nan, -1.0, 0.0, 8.0, 16.0, 3.0, nan).view(4, 3).nan_to_num(1e9)
    score.requires_grad_()
    margins = prefix_margins(score, torch.tensor([2, 1, 3, 2]), torch.tensor([0, 1, 2, 2]))
    of_first = [1.0 - 2.0, 4.0 - 2.0, 1.0 + 1.0, 4.0 - 0.0, 4.0 - 8.0, 1.0 - 16.0, 4.0 - 3.0]
    of_second = [2.0 + 1.0, 2.0 - 0.0, 2.0 - 8.0, 2.0 - 16.0, 2.0 - 3.0]
    assert margins.tolist() == of_first + of_second
    assert not torch.autograd.grad(margins.sum(), score)[0][score == 1e9].any()
    with pytest.raises(ValueError, match="depth_G has shape"):
        prefix_margins(score, torch.tensor([1]), torch.tensor([0, 1, 2, 2]))


def test_beginnings_that_are_one_still_are_no_pair() -> None:
    """[9, 8], [9, 1] and [2], the best first: of 2 + 2 + 2 beginnings the first of the first two is the same."""
    score, number = double(2.0, 4.0, 2.0, 1.0, -1.0, 0.0).view(3, 2), torch.tensor([[9, 98], [9, 91], [2, 0]])
    margins = prefix_margins(score, torch.tensor([2, 2, 1]), torch.tensor([0, 1, 2]), number)
    assert sorted(margins.tolist()) == [2.0, 3.0, 3.0, 3.0, 5.0]
    assert share_in_order(margins) == 1.0


def test_beginnings_of_one_turn_are_replies() -> None:
    score, rank = double(3.0, 0.5, 2.0), torch.tensor([2, 0, 1])
    margins = prefix_margins(score[:, None], torch.ones(3, dtype=torch.long), rank)
    torch.testing.assert_close(margin_loss(margins), ranking_loss(score, rank), atol=0, rtol=0)


# ── pairs in a batch ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_best_and_the_worst_of_each_group_are_a_pair_and_of_equals_the_first() -> None:
    returns = double(1.0, 3.0, 3.0, 0.0, 0.0, 5.0, 5.0, -1.0)
    group = torch.tensor([7, 7, 7, 7, 7, 2, 2, 9])  # 2: equal, 9: alone
    assert best_and_worst(returns, group).tolist() == [0, 1, 0, -1, 0, 0, 0, 0]
    assert best_and_worst(returns[:0], group[:0]).tolist() == []


def test_rows_of_a_pair_are_one_bundle_and_all_others_stay_as_they_are() -> None:
    bundle, group = torch.tensor([10, 11, 11, 12, 20, 21]), torch.tensor([1, 1, 1, 1, 2, 2])
    paired = torch.tensor([False, True, True, True, False, False])
    assert tied_pairs(bundle, group, paired).tolist() == [10, 11, 11, 11, 20, 21]
    assert tied_pairs(bundle, group, torch.zeros(6, dtype=torch.bool)).tolist() == bundle.tolist()


def test_observations_padding_and_replies_of_no_pair_have_no_weight_and_no_influence() -> None:
    batch, preference = random_batch(0, rows=6, groups=2), Preference("dpo", beta=0.5)
    side = double(1, 0, -1, 0, 1, -1)[:, None].expand(6, 9)
    bundle = torch.tensor([0, 1, 0, 3, 4, 4])
    logp, junk = TabularPolicy(0).score(batch.inputs).logp_B_T, torch.where(batch.mask_B_T, 0.0, 1e9)
    weight, pairs = preference(logp, logp - 1, side, batch.mask_B_T, bundle)
    spoiled, _ = preference(logp + junk, logp - 1 - junk, side, batch.mask_B_T, bundle)
    assert torch.equal(weight, spoiled)
    assert len(pairs.margin_P) == 2
    assert not weight[~batch.mask_B_T].any()
    assert not weight[[1, 3]].any()
    torch.testing.assert_close(weight[0].max(), -weight[2].min())


@pytest.mark.parametrize(
    "overrides",
    [{"preference": {"label_smoothing": 0.2, "beta": 0.3}}, {"update": {"epochs": 2, "minibatches": 3}}],
    ids=["alone", "in minibatches"],
)
def test_a_pair_is_never_parted_by_minibatches_or_micro_batches(overrides: dict[str, Any]) -> None:
    """Whole groups or not, one pass or many: the same steps."""
    batch = random_batch(3, rows=12, groups=4)

    def after(micro_batch: int | None) -> Tensor:
        policy, row = TabularPolicy(0), method("online_dpo", overrides)
        settings = OptimizerSettings(lr=0.05, max_grad_norm=1e9, micro_batch=micro_batch)
        Learner(policy, row, settings, seed=0, reference=TabularPolicy(5)).update(batch)
        return policy.logits.detach()

    torch.testing.assert_close(after(None), after(1), atol=1e-10, rtol=1e-9)


def test_a_batch_in_which_nobody_is_better_moves_nothing() -> None:
    batch = random_batch(0)
    policy = TabularPolicy(0)
    learner = Learner(policy, METHODS["online_dpo"], OptimizerSettings(), seed=0, reference=TabularPolicy(1))
    metrics = learner.update(replace(batch, reward_B_T=torch.zeros_like(batch.reward_B_T))).metrics
    assert torch.equal(policy.logits, TabularPolicy(0).logits)
    assert not [name for name in metrics if name.startswith("preference/")]


def test_an_update_says_how_many_pairs_are_in_order_and_where_both_sides_went() -> None:
    batch = random_batch(0)
    policy = TabularPolicy(0)
    learner = Learner(policy, METHODS["online_dpo"], OptimizerSettings(lr=0.1), seed=0, reference=TabularPolicy(0))
    first = learner.update(batch).metrics
    assert {name: first[f"preference/{name}"] for name in ("accuracy", "margin", "chosen", "rejected")} == {
        "accuracy": 0.5,  # d = 0: the policy is its reference
        "margin": 0.0,
        "chosen": 0.0,
        "rejected": 0.0,
    }
    second = learner.update(replace(batch, version_B=torch.ones_like(batch.version_B))).metrics
    assert second["preference/accuracy"] == 1.0
    assert second["preference/chosen"] > 0 > second["preference/rejected"]


def test_pairs_that_are_as_far_apart_as_the_reference_holds_them_count_half_whatever_their_rounding() -> None:
    zero = double(0, 0, 0, 0)
    rounded = Pairs(double(-30 + 2e-5, -30 - 3e-5, -29, -31), double(-40, -40, -40, -40), zero - 30, zero - 40)
    assert rounded.means()["preference/accuracy"] == (0.5 + 0.5 + 1 + 0) / 4
    assert share_in_order(double(2, -1, 0, 0)) == (1 + 0 + 0.5 + 0.5) / 4


def test_a_method_of_pairs_needs_a_reference() -> None:
    with pytest.raises(ValueError, match="method 'dpo' needs a reference policy"):
        Learner(TabularPolicy(0), METHODS["dpo"], OptimizerSettings(), seed=0)


# ── preferences whose reward is known ───────────────────────────────────────────────────────────────────────────────

REWARD = double(0.0, 2.0, -1.0, 1.0, 3.0)  # of five replies


class Replies(nn.Module):
    """π over replies of one unit, whose logits are features · θ."""

    memoryless, has_critic = False, False

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.features = features  # [replies, F]
        self.theta = nn.Parameter(torch.zeros(features.shape[1], dtype=torch.float64))

    def logp(self) -> Tensor:
        return torch.log_softmax(self.features @ self.theta, dim=-1)

    def score(self, inputs: dict[str, Tensor]) -> Scores:
        chosen = self.logp()[inputs["reply_B_T"]]
        return Scores(chosen, torch.zeros_like(chosen), torch.zeros_like(chosen))

    def advance(self, batch: Batch) -> None: ...

    def module(self) -> nn.Module:
        return self


def pairs_of(replies_P_2: Tensor, version: int) -> Batch:
    """Each pair a group: first the better reply, which earned 1, then the worse, which earned 0."""
    B = replies_P_2.numel()
    number, column = torch.arange(B), torch.zeros(B, 1, dtype=torch.float64)
    return Batch(
        inputs={"reply_B_T": replies_P_2.flatten()[:, None]},
        mask_B_T=torch.ones(B, 1, dtype=torch.bool),
        behavior_logp_B_T=column,
        reward_B_T=(1.0 - number % 2)[:, None].double(),
        turn_B_T=torch.zeros(B, 1, dtype=torch.long),
        end_B_T=torch.ones(B, 1, dtype=torch.bool),
        episode_B=number,
        group_B=number // 2,
        version_B=torch.full((B,), version),
        bundle_B=number,
    )


def learned(row: Method, features: Tensor, replies_P_2: Tensor, *, updates: int, lr: float) -> Replies:
    policy = Replies(features)
    learner = Learner(policy, row, OptimizerSettings(lr=lr, max_grad_norm=1e9), seed=0, reference=Replies(features))
    for version in range(updates):
        learner.update(pairs_of(replies_P_2, version))
    return policy


@pytest.mark.parametrize("seed", range(2))
def test_dpo_recovers_the_reward_that_preferences_were_drawn_from(seed: int) -> None:
    """Bradley–Terry: P(i ≻ j) = σ(r_i − r_j). The best policy is π_ref·exp(r/β), whose logits are r/β up to a constant
    (Rafailov et al. 2023, eq. 4)."""
    draw = torch.Generator().manual_seed(seed)
    pairs = torch.tensor(list(itertools.permutations(range(5), 2))).repeat(40, 1)
    first = torch.rand(len(pairs), generator=draw) < torch.sigmoid(REWARD[pairs[:, 0]] - REWARD[pairs[:, 1]]).float()
    pairs = torch.where(first[:, None], pairs, pairs.flip(1))
    row = method("dpo", {"preference": {"beta": 0.5}})
    policy = learned(row, torch.eye(5, dtype=torch.float64), pairs, updates=40, lr=0.4)
    said = 0.5 * policy.logp().detach()
    assert said.argsort().tolist() == REWARD.argsort().tolist()
    torch.testing.assert_close(said - said.mean(), REWARD - REWARD.mean(), atol=0.5, rtol=0)


def test_under_dpo_both_replies_of_a_pair_may_become_less_likely_and_dpop_prevents_it() -> None:
    """The two are alike, and the worse has more of what they share: logits θ, 1.5θ and, of a third that nobody has
    compared, 0. So d = −θ/2, dpo lowers θ for ever, and with it the better reply."""
    features, pair = double(1.0, 1.5, 0.0)[:, None], torch.tensor([[0, 1]])
    start = math.log(1 / 3)
    fallen = learned(METHODS["dpo"], features, pair, updates=30, lr=0.1).logp().detach()
    assert float(fallen[0]) < start - 0.5
    assert float(fallen[1]) < float(fallen[0])
    assert float(fallen[2]) > start + 0.5
    held = learned(METHODS["dpop"], features, pair, updates=30, lr=0.1).logp().detach()
    assert float(held[0]) > start - 0.05
