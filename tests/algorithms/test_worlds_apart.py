"""An update from several worlds: credit and rewards are each world's own, the steps are everybody's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from algorithms_batches import TabularPolicy, random_batch
from torch import Tensor
from whole_updates import moves

from peripatos.algorithms.learner import Learner
from peripatos.algorithms.methods import Method, method
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.algorithms.training_batch import TrainingBatch, minibatches
from peripatos.envs.vocabulary import Batch


def two_worlds(segments: bool) -> tuple[Learner, Batch, Batch, Batch]:
    policy, light = moves(0, rows=4, segments=segments)
    _, heavy = moves(1, rows=4, segments=segments)
    heavy = replace(
        heavy,
        reward_B_T=100 * heavy.reward_B_T,
        episode_B=heavy.episode_B + (1 << 30),
        bundle_B=heavy.bundle_B + (1 << 30),
        group_B=heavy.group_B + 1024,
    )
    light, heavy = (
        replace(part, notes={**part.notes, "world_B": torch.full_like(part.group_B, world)})
        for world, part in enumerate((light, heavy))
    )
    mixed = Batch.stacked([light, heavy])
    shuffled = mixed.rows(torch.tensor([4, 0, 5, 1, 6, 2, 7, 3, *list(range(8, len(mixed.group_B)))]))
    row = method("ppo" if segments else "grpo", {})
    return Learner(policy, row, OptimizerSettings(), seed=0, worlds=[row, row]), shuffled, light, heavy


@pytest.mark.parametrize("segments", [True, False])
def test_credit_in_a_mixture_is_credit_in_each_world(segments: bool) -> None:
    learner, mixed, *apart = two_worlds(segments)
    whole = learner._prepared(mixed)
    assert torch.equal(whole.batch.episode_B, mixed.episode_B)
    assert torch.equal(whole.place_B_T, torch.arange(mixed.mask_B_T.numel()).view_as(mixed.mask_B_T))
    for world, part in enumerate(apart):
        alone = learner._in_world(world, part)
        rows = torch.nonzero(mixed.notes["world_B"] == world)[:, 0]
        order = torch.argsort(mixed.episode_B[rows], stable=True)
        theirs = torch.argsort(part.episode_B, stable=True)
        T = alone.advantage_B_T.shape[1]
        torch.testing.assert_close(whole.advantage_B_T[rows][order][:, :T], alone.advantage_B_T[theirs])
        assert not whole.advantage_B_T[rows][:, T:].any()
    assert whole.count == sum(learner._in_world(world, part).count for world, part in enumerate(apart))


def test_each_world_has_its_own_scale_of_rewards_and_a_checkpoint_has_both(tmp_path: Path) -> None:
    learner, mixed, _, _ = two_worlds(segments=True)
    row = method("ppo", {"rewards": {"scale": "return", "clip": 10.0}})

    def fresh() -> Learner:
        return Learner(learner.policy, row, OptimizerSettings(), seed=0, worlds=[row, row])

    first = fresh()
    first.update(mixed)
    light, heavy = (float(scale.moments.std()[0]) for scale in first.scales if scale is not None)
    assert heavy > 50 * light
    first.save(tmp_path)
    second = fresh()
    second.load(tmp_path)
    assert [float(scale.moments.std()[0]) for scale in second.scales if scale is not None] == [light, heavy]


def test_a_world_may_have_credit_of_its_own() -> None:
    learner, mixed, _, _ = two_worlds(segments=False)
    rows: list[Method] = [method("grpo", {}), method("grpo", {"credit": {"scale": None}})]
    other = Learner(learner.policy, learner.method, OptimizerSettings(), seed=0, worlds=rows)
    scaled, plain = (learner_._prepared(mixed).advantage_B_T.abs() for learner_ in (learner, other))
    heavy = mixed.notes["world_B"] == 1
    assert torch.equal(scaled[~heavy], plain[~heavy])
    assert float(plain[heavy].max()) > 10 * float(scaled[heavy].max())


@pytest.mark.parametrize("stage", [None, "minibatch"])
@pytest.mark.parametrize("own", [None, "batch", "minibatch"])
def test_each_world_is_whitened_as_its_own_row_says_whatever_the_stage_does(stage: str | None, own: str | None) -> None:
    """In one minibatch, which is the batch, a world whitened over either has the same gradient."""
    _, mixed, *_ = two_worlds(segments=False)

    def gradient(stage: str | None, own: str | None) -> Tensor:
        rows = [method("grpo", {"credit": {"scale": None, "whiten": whiten}}) for whiten in (stage, own)]
        policy, _ = moves(0, rows=4, segments=False)
        learner = Learner(policy, rows[0], OptimizerSettings(max_grad_norm=1e9), seed=0, worlds=rows)
        learner.update(mixed)
        return torch.cat([x.flatten() for x in learner.gradient.values() if x is not None])

    of_batch = ["batch" if whiten == "minibatch" else whiten for whiten in (stage, own)]
    torch.testing.assert_close(gradient(stage, own), gradient(*of_batch))
    different = gradient(stage, None if own else "minibatch")
    assert not torch.allclose(gradient(stage, own), different, rtol=0.1)


def test_a_world_that_pays_more_does_not_take_the_scale_of_another_in_a_minibatch() -> None:
    learner, mixed, *_ = two_worlds(segments=True)
    for part in minibatches(learner._prepared(mixed), 2, np.random.default_rng(0)):
        whitened, world_B = part.whitened([True, True]), part.batch.notes["world_B"]
        untouched = part.whitened([True, False]).advantage_B_T[world_B == 1]
        assert torch.equal(untouched, part.advantage_B_T[world_B == 1])
        for world in (0, 1):
            units = whitened.advantage_B_T[part.batch.mask_B_T & (world_B == world)[:, None]]
            assert float(units.mean()) == pytest.approx(0, abs=1e-4)
            assert float(units.std()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.7])
@pytest.mark.parametrize(
    "row",
    [
        method("grpo", {}),
        method("grpo", {"weighting": {"correction": 2.0}}),
        method("gkd", {"update": {"aggregation": "sequence_mean"}}),
        method("high_entropy", {"rewards": {"overlong_share": None}}),
    ],
    ids=lambda row: row.name,
)
def test_the_most_uncertain_units_are_those_of_all_worlds_together(row: Method, share: float) -> None:
    row = replace(row, weighting=replace(row.weighting, entropy_share=share))
    batch = random_batch(0, rows=8, groups=4)
    world_B = torch.tensor([0, 0, 1, 1, 0, 0, 1, 1])  # by groups
    # the second world is met in one state only, of which the policy is surer, or less sure, than of any other
    state_B_T = torch.where((world_B == 1)[:, None], 0, batch.inputs["state_B_T"])
    notes = {**batch.notes, "world_B": world_B}
    batch = replace(batch, inputs={**batch.inputs, "state_B_T": state_B_T}, notes=notes)

    def prepared(worlds: list[Method]) -> TrainingBatch:
        policy = TabularPolicy(0)
        return Learner(policy, row, OptimizerSettings(), seed=0, teacher=policy, worlds=worlds)._prepared(batch)

    one, two = prepared([row]), prepared([row, row])
    assert torch.equal(one.trained_B_T, two.trained_B_T)
    assert torch.equal(one.taught_B_T, two.taught_B_T)
    entropy = TabularPolicy(0).score(batch.inputs).entropy_B_T
    assert entropy[two.trained_B_T].min() > entropy[one.batch.mask_B_T & (one.share_B_T > 0) & ~two.trained_B_T].max()
