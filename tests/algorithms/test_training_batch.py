"""What an update may not depend on: how a batch is cut into parts, and in how many rows an episode lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from algorithms_batches import TabularPolicy, random_batch
from torch import Tensor

from peripatos.agents.protocols import Scores
from peripatos.algorithms.learner import Learner, UpdateRefused
from peripatos.algorithms.methods import METHODS, Method, method
from peripatos.algorithms.optimizer import ADAPTED_RANGE, OptimizerSettings, adapted
from peripatos.algorithms.training_batch import minibatches, prepare
from peripatos.envs.vocabulary import Batch

SETTINGS = OptimizerSettings(lr=0.05, max_grad_norm=1e9)
CONSTANTS: dict[str, tuple[str, dict[str, dict[str, object]]]] = {
    "entropy_share": ("grpo", {"weighting": {"entropy_share": 0.3}}),
    "entropy_share, sft": ("sft", {"weighting": {"entropy_share": 0.3}}),
    "whiten batch": ("reinforce", {"credit": {"whiten": "batch"}}),
    "whiten minibatch": ("rloo", {"credit": {"whiten": "minibatch"}}),
    "ratio turn": ("grpo", {"weighting": {"ratio": "turn"}}),
    "ratio sequence": ("grpo", {"weighting": {"ratio": "sequence"}}),
    "correction": ("grpo", {"weighting": {"correction": 2.0}}),
    "correction of sequences": ("grpo", {"weighting": {"correction": 1.5, "correction_level": "sequence"}}),
    "band": ("reinforce", {"weighting": {"correction": 1.1, "correction_kind": "band"}}),
    "k1": ("grpo", {"weighting": {"kl": "k1", "beta": 0.1}}),
    "k3 with a ratio": ("grpo", {"weighting": {"kl": "k3", "beta": 0.1, "kl_ratio": True}}),
    "entropy bonus": ("reinforce", {"update": {"entropy_coefficient": 0.1}}),
    "value clip": ("ppo", {"update": {"value_clip": 0.1}}),
    "positive": ("rejection_sampling", {"update": {"epochs": 2}}),
    "per turn": ("grpo", {"credit": {"granularity": "turn", "gamma": 0.9}}),
    "unit mean": ("grpo", {"update": {"aggregation": "unit_mean"}}),
}
ROWS = {name: method(name, {"update": {"length": 9}} if name == "dr_grpo" else {}) for name in METHODS}
ROWS |= {name: method(*given) for name, given in CONSTANTS.items()}


def parameters(policy: TabularPolicy) -> Tensor:
    return torch.cat([p.detach().flatten() for p in policy.parameters()])


def after(
    row: Method, batch: Batch, *, micro_batch: int | None = None, seed: int = 0
) -> tuple[Tensor, dict[str, float]]:
    settings = replace(SETTINGS, micro_batch=micro_batch)
    learner = Learner(TabularPolicy(0), row, settings, seed=seed, reference=TabularPolicy(5), teacher=TabularPolicy(6))
    metrics = learner.update(batch).metrics
    return parameters(learner.policy), metrics


def in_two_rows(batch: Batch) -> Batch:
    """The same episodes, each split behind its first turn, as a template that rewrites earlier turns leaves them."""
    early, late = batch.mask_B_T & (batch.turn_B_T == 0), batch.mask_B_T & (batch.turn_B_T > 0)

    def doubled(x: Tensor) -> Tensor:
        return x.repeat_interleave(2, dim=0)

    columns = {f.name: doubled(getattr(batch, f.name)) for f in fields(batch) if f.name.endswith(("_B_T", "_B"))}
    mask = torch.stack([early, late], dim=1).flatten(0, 1)
    last = torch.where(mask, torch.arange(mask.shape[1]), -1).amax(dim=1, keepdim=True)
    end = mask & (torch.arange(mask.shape[1]) == last)
    inputs = {name: doubled(x) for name, x in batch.inputs.items()}
    heard, early_B_T = batch.notes["observed_B_T"], batch.turn_B_T == 0
    observed = torch.stack([heard & early_B_T, heard & ~early_B_T], dim=1).flatten(0, 1)
    return replace(
        batch, inputs=inputs, notes={"observed_B_T": observed}, **{**columns, "mask_B_T": mask, "end_B_T": end}
    )


@pytest.mark.parametrize("minibatches", [1, 3])
@pytest.mark.parametrize("name", ROWS)
def test_no_constant_makes_an_update_depend_on_its_micro_batches(name: str, minibatches: int) -> None:
    row = ROWS[name]
    row = replace(row, update=replace(row.update, minibatches=minibatches))
    batch = random_batch(0, behavior_noise=0.3)
    one_group_is_flat = torch.where(batch.group_B[:, None] == 1, 0.25, batch.reward_B_T) * batch.end_B_T
    batch = replace(batch, reward_B_T=one_group_is_flat)
    (whole, said), (micro, said_in_parts) = after(row, batch), after(row, batch, micro_batch=18)
    torch.testing.assert_close(micro, whole, atol=1e-9, rtol=1e-7)
    assert said_in_parts.keys() == said.keys()
    for metric, value in said.items():
        assert said_in_parts[metric] == pytest.approx(value, rel=1e-6, abs=1e-9), metric


@pytest.mark.parametrize("name", ROWS)
def test_no_update_depends_on_the_number_of_rows_that_an_episode_lies_in(name: str) -> None:
    batch = random_batch(0, behavior_noise=0.3)
    split = in_two_rows(batch)
    assert int(split.mask_B_T.any(dim=1).sum()) > len(batch.mask_B_T)
    whole, _ = after(ROWS[name], batch)
    for micro_batch in (None, 18, 9):
        got, _ = after(ROWS[name], split, micro_batch=micro_batch)
        torch.testing.assert_close(got, whole, atol=1e-9, rtol=1e-7)


def test_whitening_a_minibatch_that_is_the_batch_is_whitening_the_batch() -> None:
    """Also where a group teaches nothing before it is whitened."""
    batch = random_batch(6)
    batch = replace(batch, reward_B_T=torch.where(batch.group_B[:, None] == 1, 0.0, batch.reward_B_T))
    one, other = (after(method("rloo", {"credit": {"whiten": of}}), batch)[0] for of in ("batch", "minibatch"))
    torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-10)


def parts(batch: Batch, count: int, seed: int) -> Iterator[set[tuple[int, int]]]:
    training = prepare(batch, METHODS["grpo"], batch.behavior_logp_B_T, torch.zeros_like(batch.behavior_logp_B_T))
    for part in minibatches(training, count, np.random.default_rng(seed)):
        yield set(zip(part.batch.group_B.tolist(), part.batch.episode_B.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("groups", "count"), [(6, 4), (4, 4), (3, 2), (2, 4), (1, 3)])
def test_no_group_is_parted_where_there_are_enough_and_no_episode_ever(groups: int, count: int, seed: int) -> None:
    batch = in_two_rows(random_batch(seed, rows=12, groups=groups))
    seen = list(parts(batch, count, seed))
    assert len(seen) == count
    episodes = [{episode for _, episode in part} for part in seen]
    assert sum(map(len, episodes)) == len(set.union(*episodes)) == 12
    if groups >= count:
        of_groups = [{group for group, _ in part} for part in seen]
        assert sum(map(len, of_groups)) == groups


@pytest.mark.parametrize("name", ["reinforce", "reinforce_baseline", "rloo", "grpo", "rejection_sampling", "ppo"])
def test_a_step_that_went_too_far_makes_the_next_one_smaller(name: str) -> None:
    """Also where a method makes one step for each batch, and the KL is zero before it."""
    settings = OptimizerSettings(lr=0.5, schedule="adaptive_kl", target_kl=1e-4)
    learner = Learner(TabularPolicy(0), METHODS[name], settings, seed=0)
    learner.update(random_batch(0))
    assert learner.lr < 0.5


def test_a_step_that_hardly_moved_makes_the_next_one_larger() -> None:
    settings = OptimizerSettings(lr=1e-6, schedule="adaptive_kl", target_kl=0.02)
    learner = Learner(TabularPolicy(0), METHODS["grpo"], settings, seed=0)
    learner.update(random_batch(0))
    assert learner.lr == pytest.approx(1.5e-6)


@pytest.mark.parametrize("lr", [1e-7, 1e-6, 3e-4, 5e-2])
def test_the_adaptive_step_size_stays_in_the_neighbourhood_of_what_was_asked_for(lr: float) -> None:
    settings = OptimizerSettings(lr=lr, schedule="adaptive_kl", target_kl=0.015)
    small = large = lr
    for _ in range(30):
        assert adapted(small, 1.0, settings) <= small
        assert adapted(large, 0.0, settings) >= large
        small, large = adapted(small, 1.0, settings), adapted(large, 0.0, settings)
    assert small == pytest.approx(lr / ADAPTED_RANGE)
    assert large == pytest.approx(lr * ADAPTED_RANGE)


def test_a_demonstrators_log_probabilities_are_unknown_and_nothing_is_made_of_them() -> None:
    with pytest.raises(ValueError, match="adaptive_kl needs log-probabilities"):
        Learner(TabularPolicy(0), METHODS["sft"], replace(SETTINGS, schedule="adaptive_kl"), seed=0)
    _, metrics = after(METHODS["sft"], random_batch(0))
    assert not {"kl/old", "kl/sampler_gap"} & metrics.keys()


def test_the_gap_between_sampler_and_trainer_is_always_said() -> None:
    batch = random_batch(0, behavior_noise=0.3)
    logp = TabularPolicy(0).score(batch.inputs)[0].detach()
    want = float((logp - batch.behavior_logp_B_T)[batch.mask_B_T].abs().mean())
    for overrides in ({}, {"weighting": {"correction": 2.0}}, {"update": {"epochs": 3}}):
        _, metrics = after(method("reinforce", overrides), batch)
        assert metrics["kl/sampler_gap"] == pytest.approx(want)


@pytest.mark.parametrize("update", [{}, {"epochs": 2}, {"minibatches": 2}])
@pytest.mark.parametrize("level", ["unit", "sequence"])
def test_a_penalty_in_the_reward_is_that_of_the_policy_before_the_update_by_hand(
    update: dict[str, object], level: str
) -> None:
    """Not of a sampler that is off, in however many steps it is learned from: R − β Σ (log π − log π_ref)."""
    weighting = {"correction": 1e6, "correction_level": level, "kl": "k1", "kl_in": "reward", "beta": 0.5}
    batch, row = random_batch(0, behavior_noise=0.6), method("reinforce", {"weighting": weighting, "update": update})
    learner = Learner(TabularPolicy(0), row, SETTINGS, seed=0, reference=TabularPolicy(5))
    logp, reference = (TabularPolicy(seed).score(batch.inputs)[0].detach() for seed in (0, 5))
    want_B = ((batch.reward_B_T - 0.5 * (logp - reference)) * batch.mask_B_T).sum(dim=1)
    got_B_T = learner._prepared(batch).advantage_B_T
    torch.testing.assert_close(got_B_T, torch.where(batch.mask_B_T, want_B[:, None], 0.0))


@pytest.mark.parametrize(
    ("overrides", "passes"),
    [
        ({"weighting": {"correction": 2.0}}, 1),
        ({"weighting": {"correction": 2.0, "ratio": "unit"}, "update": {"epochs": 2}}, 3),
        ({"weighting": {"correction": 2.0}, "update": {"minibatches": 2}}, 3),
        ({"weighting": {"correction": 2.0, "entropy_share": 0.5}}, 2),
        ({"weighting": {"correction": 2.0, "kl": "k1", "kl_in": "reward", "beta": 0.5}}, 2),
        ({}, 1),
    ],
)
def test_a_single_step_is_its_own_old_policy_and_reads_the_batch_once(
    overrides: dict[str, dict[str, object]], passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its correction is that of a pass before it."""
    seen = []

    class Counting(TabularPolicy):
        def score(self, inputs: Mapping[str, Tensor]) -> Scores:
            seen.append(len(next(iter(inputs.values()))))
            return super().score(inputs)

    batch, row = random_batch(0, behavior_noise=0.3), method("reinforce", overrides)
    learner = Learner(Counting(0), row, SETTINGS, seed=0, reference=TabularPolicy(5))
    learner.update(batch)
    assert len(seen) == passes
    monkeypatch.setattr(Learner, "_first_is_old", False)
    asked, _ = after(row, batch)
    torch.testing.assert_close(parameters(learner.policy), asked, atol=1e-12, rtol=1e-10)


def test_a_refusal_says_how_many_steps_of_the_update_were_taken() -> None:
    class Spoilt(TabularPolicy):
        calls = 0

        def score(self, inputs: Mapping[str, Tensor]) -> Scores:
            self.calls += 1
            logp, entropy, value = super().score(inputs)
            return Scores(logp * float("nan") if self.calls == 3 else logp, entropy, value)

    learner = Learner(Spoilt(0), method("reinforce", {"update": {"epochs": 4}}), SETTINGS, seed=0)
    with pytest.raises(UpdateRefused, match="was not taken, but 2 earlier ones of this update were"):
        learner.update(random_batch(0))


def cut_at_the_end(batch: Batch, rows: list[int]) -> Batch:
    """The last replies of `rows` had no tokens left."""
    cut = torch.zeros_like(batch.mask_B_T)
    cut[rows] = batch.end_B_T[rows]
    return replace(batch, notes={"cut_B_T": cut})


@pytest.mark.parametrize("name", ["grpo", "rloo", "reinforce", "sft"])
def test_replies_that_were_cut_can_be_left_out_of_the_loss(name: str) -> None:
    """Their logits get no gradient, and what is left is as if they had not been sampled; credit still sees them."""
    batch = random_batch(0)
    one_turn = replace(batch, turn_B_T=torch.zeros_like(batch.turn_B_T))
    cut = cut_at_the_end(one_turn, [1, 6])
    row = method(name, {"update": {"cut_replies": "leave_out"}})
    kept, _ = after(METHODS[name], cut)
    left_out, _ = after(row, cut)
    assert not torch.equal(kept, left_out)
    training = prepare(cut, row, batch.behavior_logp_B_T, torch.zeros_like(batch.behavior_logp_B_T))
    assert not training.share_B_T[[1, 6]].any()
    assert torch.equal(
        training.advantage_B_T,
        prepare(cut, METHODS[name], batch.behavior_logp_B_T, training.reference_logp_B_T).advantage_B_T,
    )
    others = prepare(
        one_turn.rows(torch.tensor([0, 2, 3, 4, 5, 7])),
        METHODS[name],
        training.old_logp_B_T[[0, 2, 3, 4, 5, 7]],
        training.reference_logp_B_T[[0, 2, 3, 4, 5, 7]],
    )
    assert training.count == pytest.approx(others.count)
    assert torch.equal(training.share_B_T[[0, 2, 3, 4, 5, 7]], others.share_B_T)


def test_only_the_turn_that_was_cut_is_left_out() -> None:
    batch = cut_at_the_end(random_batch(0), [3])
    training = prepare(
        batch,
        method("grpo", {"update": {"cut_replies": "leave_out"}}),
        batch.behavior_logp_B_T,
        torch.zeros_like(batch.behavior_logp_B_T),
    )
    last = batch.turn_B_T[3][batch.end_B_T[3]]
    chosen = batch.mask_B_T[3]
    assert torch.equal(training.share_B_T[3] > 0, chosen & (batch.turn_B_T[3] != last))


@pytest.mark.parametrize("name", ROWS)
def test_of_rows_that_are_left_out_nothing_is_learned(name: str) -> None:
    batch = random_batch(3)
    nothing = replace(batch, notes={**batch.notes, "left_out_B": torch.ones(len(batch.group_B), dtype=torch.bool)})
    learned, _ = after(ROWS[name], nothing)
    assert torch.equal(learned, parameters(TabularPolicy(0)))
