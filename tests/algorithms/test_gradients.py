"""Every method's gradient through the one loss, against autograd through its textbook surrogate.

The surrogates are written here a second time, from the papers, with torch operations that autograd follows: ratios
and clips are differentiated, nothing is a constant but the advantage. They share no code with the library.
"""

from dataclasses import replace

import pytest
import torch
from algorithms_batches import TabularPolicy, random_batch
from torch import Tensor

from peripatos.algorithms.aggregate import unit_shares
from peripatos.algorithms.credit import assign_credit
from peripatos.algorithms.loss import policy_loss
from peripatos.algorithms.methods import METHODS, Method, Update, method
from peripatos.algorithms.weights import Weighting, policy_weight
from peripatos.envs.vocabulary import Batch

LENGTH = 9


def ours(policy: TabularPolicy, batch: Batch, row: Method, advantage: Tensor, reference: Tensor) -> Tensor:
    logp = policy.score(batch.inputs)[0]
    weighted = policy_weight(
        logp.detach(),
        advantage,
        batch.mask_B_T,
        row.weighting,
        old_logp_B_T=batch.behavior_logp_B_T,
        behavior_logp_B_T=batch.behavior_logp_B_T,
        reference_logp_B_T=reference,
        turn_B_T=batch.turn_B_T,
        end_B_T=batch.end_B_T,
    )
    length = LENGTH if row.update.aggregation == "constant_length" else None
    loss = policy_loss(logp, weighted.weight_B_T, batch.mask_B_T, mode=row.update.aggregation, length=length)
    return torch.autograd.grad(loss, policy.logits)[0]


def textbook(policy: TabularPolicy, batch: Batch, row: Method, advantage: Tensor, reference: Tensor) -> Tensor:
    """Row by row and unit by unit, as the papers write it."""
    logp = torch.log_softmax(policy.logits, dim=-1)
    sequences = []
    for b in range(len(batch.mask_B_T)):
        units = torch.nonzero(batch.mask_B_T[b])[:, 0]
        lp = logp[batch.inputs["state_B_T"][b, units], batch.inputs["action_B_T"][b, units]]
        old, A, ref = batch.behavior_logp_B_T[b, units], advantage[b, units], reference[b, units]
        rule = row.weighting
        if rule.ratio is None:
            objective = A * lp
        else:
            ratio = (lp - old).exp() if rule.ratio == "unit" else (lp - old).mean().exp().expand(len(units))
            if rule.ratio == "turn":
                turn = batch.turn_B_T[b, units]
                ratio = torch.stack([(lp - old)[turn == turn[u]].mean() for u in range(len(units))]).exp()
            kept = ratio
            if rule.clip_low is not None and rule.clip_high is not None:
                kept = ratio.clamp(1 - rule.clip_low, 1 + rule.clip_high)
            objective = torch.minimum(ratio * A, kept * A)
        x = ref - lp
        penalty = {None: 0 * x, "k1": -x, "k2": x**2 / 2, "k3": x.exp() - x - 1}[rule.kl]
        if rule.kl_ratio:
            penalty = (lp - old).exp() * penalty
        sequences.append(objective - rule.beta * penalty)
    total = {
        "unit_mean": lambda: torch.cat(sequences).mean(),
        "sequence_mean": lambda: torch.stack([s.mean() for s in sequences]).mean(),
        "sequence_sum": lambda: torch.stack([s.sum() for s in sequences]).mean(),
        "constant_length": lambda: torch.stack([s.sum() / LENGTH for s in sequences]).mean(),
    }[row.update.aggregation]()
    return torch.autograd.grad(-total, policy.logits)[0]


VARIANTS = {
    **METHODS,
    "grpo+k1": method("grpo", {"weighting": {"kl": "k1", "beta": 0.3}}),
    "grpo+k2": method("grpo", {"weighting": {"kl": "k2", "beta": 0.3}}),
    "grpo+k3": method("grpo", {"weighting": {"kl": "k3", "beta": 0.3}}),
    **{
        f"grpo+ρ·{k}": method("grpo", {"weighting": {"kl": k, "beta": 0.3, "kl_ratio": True}})
        for k in ("k1", "k2", "k3")
    },
    "sequence ratio": Method(
        "x", "", weighting=Weighting("sequence", 0.1, 0.2), update=Update(aggregation="sequence_mean")
    ),
    "turn ratio": Method("x", "", weighting=Weighting("turn", 0.1, 0.2), update=Update(aggregation="sequence_sum")),
    "no clip": Method("x", "", weighting=Weighting("unit")),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", VARIANTS)
def test_the_gradient_of_every_method_is_that_of_its_textbook_surrogate(name: str, seed: int) -> None:
    row = VARIANTS[name]
    batch = random_batch(seed, behavior_noise=0.4)  # ratios on both sides of every clip
    policy, reference = TabularPolicy(seed), TabularPolicy(seed + 100).score(batch.inputs)[0].detach()
    advantage = assign_credit(batch, row.credit).advantage_B_T
    if row.weighting.ratio == "turn" or row.weighting.ratio == "sequence":
        # the clip is per unit, but the surrogate of a level sums over its units only if they share one advantage
        advantage = assign_credit(batch, replace(row.credit, granularity="trajectory")).advantage_B_T
    got, want = ours(policy, batch, row, advantage, reference), textbook(policy, batch, row, advantage, reference)
    assert float(want.abs().max()) > 1e-4, "the surrogate has a gradient to compare with"
    torch.testing.assert_close(got, want, atol=1e-12, rtol=1e-10)


def test_on_policy_reinforce_and_unclipped_ratio_have_one_gradient() -> None:
    batch = random_batch(0)
    policy = TabularPolicy(0)
    zero = torch.zeros_like(batch.behavior_logp_B_T)
    plain = Method("x", "")
    advantage = assign_credit(batch, plain.credit).advantage_B_T
    ratio = replace(plain, weighting=Weighting("unit", 0.2, 0.2))
    torch.testing.assert_close(ours(policy, batch, plain, advantage, zero), ours(policy, batch, ratio, advantage, zero))


@pytest.mark.parametrize("mode", ["unit_mean", "sequence_mean", "sequence_sum"])
def test_observation_tokens_change_no_bit_of_the_gradient(mode: str) -> None:
    batch = random_batch(1)
    weight = torch.randn(batch.mask_B_T.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def gradient(junk: float) -> Tensor:
        policy = TabularPolicy(1)
        logp = policy.score(batch.inputs)[0]
        logp = torch.where(batch.mask_B_T, logp, logp * junk)
        spoiled = torch.where(batch.mask_B_T, weight, junk)
        return torch.autograd.grad(policy_loss(logp, spoiled, batch.mask_B_T, mode=mode), policy.logits)[0]

    assert torch.equal(gradient(1.0), gradient(1e30))


def test_shares_of_a_row_do_not_depend_on_its_neighbours() -> None:
    batch = random_batch(2)
    whole, _ = unit_shares(batch.mask_B_T, mode="sequence_mean")
    alone, _ = unit_shares(batch.mask_B_T[3:4], mode="sequence_mean")
    assert torch.equal(whole[3:4], alone)
