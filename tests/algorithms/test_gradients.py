"""Every method's gradient, as the learner computes it, against autograd through its textbook objective.

The objectives are in `textbook`, written a second time from the papers. A row of the table without one fails here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from algorithms_batches import TabularPolicy, random_batch
from textbook import (
    LENGTH,
    TEXTBOOK,
    Objective,
    Text,
    Told,
    by_teacher,
    clipped,
    each,
    group_mean,
    in_gap,
    k3,
    mean_of,
    nearer_in_all,
    of_means,
    of_sequence,
    of_sums,
    of_turns,
    of_units,
    plain,
    std_of,
    unstale,
)
from torch import Tensor

from peripatos.algorithms.aggregate import unit_shares
from peripatos.algorithms.learner import Learner
from peripatos.algorithms.loss import policy_loss
from peripatos.algorithms.methods import METHODS, Method, method
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.algorithms.rewards import Rewards
from peripatos.envs.vocabulary import Batch

PASSES = {"alone": {}, "in micro-batches": {"micro_batch": 20}}


def one_step(row: Method) -> Method:
    """The row, with rewards as they are paid and one step a batch: what is compared is one gradient."""
    length = LENGTH if row.update.aggregation == "constant_length" else None
    update = replace(row.update, epochs=1, minibatches=1, length=length)
    rewards = Rewards(teacher=row.rewards.teacher, teacher_pays=row.rewards.teacher_pays)
    return replace(row, rewards=rewards, update=update)


def ours(row: Method, batch: Batch, seed: int, *, memoryless: bool = False, **settings: Any) -> list[Tensor]:
    policy = TabularPolicy(seed, memoryless=memoryless)
    learner = Learner(
        policy,
        one_step(row),
        OptimizerSettings(max_grad_norm=1e9, **settings),
        seed=0,
        reference=TabularPolicy(seed + 100),
        teacher=TabularPolicy(seed + 200),
    )
    learner.update(batch)
    got = [policy.logits.grad, policy.values.grad]
    return [torch.zeros(1, dtype=torch.float64) if g is None else g for g in got]


def theirs(text: Text, batch: Batch, seed: int) -> list[Tensor]:
    policy = TabularPolicy(seed)
    reference = TabularPolicy(seed + 100).score(batch.inputs)[0].detach()
    teacher = torch.log_softmax(TabularPolicy(seed + 200).logits.detach(), dim=-1)[batch.inputs["state_B_T"]]
    return text.gradient(batch, [policy.logits, policy.values], reference, teacher)


def ragged(seed: int, kind: str) -> Batch:
    """Episodes of ragged length with observations inside: three groups, of which the last earns the same throughout.

    "rows": one in each row; "parts": an episode lies in two rows, which are a bundle; "segments": several in a row,
    ended or cut, with a critic's values.
    """
    batch = random_batch(seed, rows=12, groups=3, behavior_noise=0.4)  # ratios on both sides of every clip
    draw = torch.Generator().manual_seed(seed + 1)
    if kind == "segments":
        end = batch.end_B_T | (batch.mask_B_T & (torch.rand(batch.mask_B_T.shape, generator=draw) < 0.25))
        bootstrap = torch.where(end, torch.randn(end.shape, generator=draw, dtype=torch.float64), 0.0)
        cut = torch.rand(end.shape, generator=draw) < 0.5  # terminated where it is not
        return replace(batch, end_B_T=end, bootstrap_B_T=torch.where(cut, bootstrap, 0.0))
    if kind == "parts":
        number = torch.arange(12) // 2
        turn = batch.turn_B_T + 3 * (torch.arange(12) % 2)[:, None]
        batch = replace(batch, episode_B=number, bundle_B=number, group_B=torch.arange(12) // 4, turn_B_T=turn)
    good, flat = batch.group_B[:, None] == 0, batch.group_B[:, None] == 2
    reward = torch.where(flat, 0.0, batch.reward_B_T + good * batch.mask_B_T)  # the first group's mean is positive
    terms = {name: torch.randn(12, generator=draw, dtype=torch.float64) for name in ("term_a_B", "term_b_B")}
    if kind == "parts":
        terms = {name: x[batch.episode_B] for name, x in terms.items()}
    return replace(batch, reward_B_T=reward, notes=batch.notes | terms)


def layouts(row: Method) -> list[str]:
    return ["segments"] if row.needs_critic else ["rows", "parts"]


def penalized(penalty: Objective) -> Text:
    return Text(TEXTBOOK["grpo"].advantage, lambda e: clipped()(e) - 0.3 * penalty(e), of_means)


def corrected(factor: Objective, inner: Objective = plain) -> Text:
    return Text(group_mean, lambda e: factor(e) * inner(e), of_means)


KINDS: Mapping[str, Objective] = {
    "k1": lambda e: e.lp - e.ref,
    "k2": lambda e: (e.lp - e.ref) ** 2 / 2,
    "k3": lambda e: k3(e.ref - e.lp),
}
OLD: Mapping[str, Objective] = {
    "k1": lambda e: e.old - e.lp,
    "k2": lambda e: (e.old - e.lp) ** 2 / 2,
    "k3": lambda e: k3(e.lp - e.old),
}
NO_RATIO = {"ratio": None, "clip_low": None, "clip_high": None}
RETURNS = each(lambda e, _: e.R)


def to_go(told: Sequence[Told]) -> None:
    for e in told:
        r = e.nu - e.old
        e.A = torch.stack([r[t:].sum() for t in range(len(r))])


def taught_groups(told: Sequence[Told]) -> None:
    for e in told:
        sums = [float((x.nu - x.old).sum()) for x in told if x.group == e.group]
        own = float((e.nu - e.old).sum())
        e.A = torch.full_like(e.reward, (own - mean_of(sums)) / (std_of(sums) + 1e-6))


def changed(name: str, **overrides: Mapping[str, object]) -> Method:
    return method(name, overrides)


def ratio(name: str, level: str | None, **more: object) -> Method:
    return changed(name, weighting={"ratio": level, **more})


VARIANTS: Mapping[str, tuple[Method, Text]] = {
    **{f"β·{k}": (changed("grpo", weighting={"kl": k, "beta": 0.3}), penalized(f)) for k, f in KINDS.items()},
    **{
        f"β·ρ·{k}": (
            changed("grpo", weighting={"kl": k, "beta": 0.3, "kl_ratio": True}),
            penalized(lambda e, f=f: e.rho * f(e)),
        )
        for k, f in KINDS.items()
    },
    **{
        f"β·{k} to the old policy": (changed("grpo", weighting={"kl": k, "beta": 0.3, "kl_to": "old"}), penalized(f))
        for k, f in OLD.items()
    },
    "no clip": (ratio("rloo", "unit"), Text(TEXTBOOK["rloo"].advantage, lambda e: e.rho * e.A, of_sums)),
    "only an upper clip": (
        changed("grpo", weighting={"clip_low": None}),
        Text(TEXTBOOK["grpo"].advantage, clipped(1e9, 0.2), of_means),
    ),
    "sequence ratio": (
        ratio("grpo", "sequence", clip_low=0.05, clip_high=0.1),
        Text(TEXTBOOK["grpo"].advantage, clipped(0.05, 0.1, of_sequence), of_means),
    ),
    "turn ratio": (
        ratio("reinforce", "turn", clip_low=0.1, clip_high=0.2),
        Text(RETURNS, clipped(0.1, 0.2, of_turns), of_sums),
    ),
    "product ratio": (
        ratio("reinforce", "product"),
        Text(RETURNS, lambda e: e.rho.prod() / len(e.lp) * e.A, of_sums),
    ),
    "capped on both sides": (
        ratio("reinforce", "unit", clip_kind="cap", clip_low=0.2, clip_high=0.3),
        Text(RETURNS, lambda e: e.rho.detach().clamp(0.8, 1.3) * e.A * e.lp, of_sums),
    ),
    "gap on both sides without a ratio": (
        changed("reinforce", weighting={"gap": 0.05, "gap_sides": "both"}),
        Text(RETURNS, lambda e: in_gap(e, plain(e), 0.05, both=True), of_sums),
    ),
    "stale sequences": (
        changed("reinforce_baseline", weighting={"stale_sequence": 0.05}),
        Text(TEXTBOOK["reinforce_baseline"].advantage, lambda e: unstale(e, plain(e), 0.05), of_sums),
    ),
    "a teacher who pays for whole sequences": (
        changed("on_policy_distillation", credit={"gamma": 1.0}),
        Text(to_go, lambda e: e.rho * e.A, of_units),
    ),
    "a teacher whose sums are compared within groups": (
        changed("grpo", rewards={"teacher": "model"}),
        Text(taught_groups, clipped(), of_means),
    ),
    "a teacher of whole distributions beside a reference": (
        changed("gkd", weighting={"kl": "k3", "beta": 0.3}),
        Text(by_teacher, lambda e: nearer_in_all(e) - 0.3 * k3(e.ref - e.lp), of_units),
    ),
    "a teacher of whole distributions at the most uncertain third, by sequences": (
        changed("gkd", weighting={"entropy_share": 0.33}, update={"aggregation": "sequence_mean"}),
        Text(by_teacher, nearer_in_all, of_means, share=0.33),
    ),
    "a teacher of whole distributions with a bonus": (
        changed("gkd", update={"entropy_coefficient": 0.1}),
        Text(by_teacher, lambda e: nearer_in_all(e) + 0.1 * e.H, of_units),
    ),
    "truncated correction": (
        changed("dr_grpo", update={"aggregation": "sequence_mean"}, weighting={**NO_RATIO, "correction": 1.1}),
        corrected(lambda e: e.rho.detach().clamp(max=1.1)),
    ),
    "masked correction of sequences": (
        changed(
            "dr_grpo",
            update={"aggregation": "sequence_mean"},
            weighting={**NO_RATIO, "correction": 1.5, "correction_kind": "mask", "correction_level": "sequence"},
        ),
        corrected(lambda e: e.rho.prod().detach() * (e.rho.prod().detach() <= 1.5)),
    ),
    "band of corrections": (
        changed(
            "dr_grpo",
            update={"aggregation": "sequence_mean"},
            weighting={**NO_RATIO, "correction": 1.2, "correction_kind": "band"},
        ),
        corrected(lambda e: e.rho.detach() * ((e.rho <= 1.2) & (e.rho >= 1 / 1.2))),
    ),
    "the most uncertain third": (
        changed("reinforce", weighting={"entropy_share": 0.33}, update={"aggregation": "unit_mean"}),
        Text(RETURNS, plain, of_units, share=0.33),
    ),
}


def test_every_method_has_a_textbook_objective() -> None:
    """Whoever adds a row writes its objective down in `textbook`, from the paper."""
    assert set(METHODS) <= set(TEXTBOOK)


@pytest.mark.parametrize("passes", PASSES)
@pytest.mark.parametrize("name", METHODS)
def test_the_gradient_of_every_method_is_that_of_its_textbook_objective(name: str, passes: str) -> None:
    row, text = METHODS[name], TEXTBOOK[name]
    for kind in layouts(row):
        for seed in range(4):
            batch = ragged(seed, kind)
            want = theirs(text, batch, seed)
            assert max(float(part.abs().max()) for part in want) > 1e-6, "the objective has a gradient to compare with"
            for got, wanted in zip(ours(row, batch, seed, **PASSES[passes]), want, strict=True):
                torch.testing.assert_close(got, wanted.expand_as(got), atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_gradient_of_every_value_of_a_column_is_that_of_its_textbook_objective(name: str) -> None:
    row, text = VARIANTS[name]
    for kind in layouts(row):
        for seed in range(4):
            batch = ragged(seed, kind)
            got, want = ours(row, batch, seed, micro_batch=20)[0], theirs(text, batch, seed)[0]
            torch.testing.assert_close(got, want, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("name", [name for name, row in METHODS.items() if row.of_single_units])
def test_units_by_themselves_have_the_gradient_of_whole_rows(name: str) -> None:
    """A memoryless policy reads each unit as a row of its own."""
    row = METHODS[name]
    for kind in layouts(row):
        batch = ragged(5, kind)
        for got, want in zip(ours(row, batch, 5, memoryless=True), ours(row, batch, 5), strict=True):
            torch.testing.assert_close(got, want, atol=1e-10, rtol=1e-10)


def test_on_policy_reinforce_and_unclipped_ratio_have_one_gradient() -> None:
    batch = random_batch(0)
    plain_row, with_ratio = METHODS["reinforce"], ratio("reinforce", "unit", clip_low=0.2, clip_high=0.2)
    torch.testing.assert_close(ours(plain_row, batch, 0)[0], ours(with_ratio, batch, 0)[0])


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
