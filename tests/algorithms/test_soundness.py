"""What an update leaves behind is looked at before the version moves on."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from algorithms_batches import TabularPolicy, random_batch
from safetensors.torch import load_file, save_file

from peripatos.algorithms.learner import Learner, UpdateRefused
from peripatos.algorithms.methods import METHODS
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.algorithms.soundness import find_unsound


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e25])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_weight_that_is_not_finite_or_too_large_to_be_squared_is_named(bad: float, kind: torch.dtype) -> None:
    weights = {"a": torch.ones(3, dtype=kind), "b": torch.ones(2, 2, dtype=kind), "c": torch.zeros(0)}
    assert find_unsound(weights) is None
    weights["b"][1, 0] = bad
    found = find_unsound({"count": torch.ones((), dtype=torch.float64), **weights})
    assert found is not None
    assert found.startswith("the norm of b is ")


def test_half_precision_is_summed_where_its_sum_fits() -> None:
    assert find_unsound({"a": torch.full((100,), 60000.0, dtype=torch.float16)}) is None


def test_statistics_may_be_larger_than_weights_and_whole_numbers_are_left_alone() -> None:
    assert find_unsound({"m2": torch.tensor([1e100], dtype=torch.float64), "step": torch.tensor(3)}) is None
    assert find_unsound({"m2": torch.tensor([0.0, math.nan])}) == "the norm of m2 is nan"
    assert find_unsound({}) is None


@pytest.mark.parametrize(
    "settings",
    [OptimizerSettings(lr=1e38), OptimizerSettings(lr=1.0, weight_decay=1e30)],
    ids=["step size", "weight decay"],
)
def test_what_a_step_has_spoiled_is_refused_before_the_version_moves_on(settings: OptimizerSettings) -> None:
    learner = Learner(TabularPolicy(0).float(), METHODS["reinforce"], settings, seed=0)
    with pytest.raises(UpdateRefused, match=r"norm of logits is (inf|nan) after 1 step$"):
        learner.update(random_batch(0))
    assert learner.version == 0


def test_moments_of_the_optimiser_are_looked_at_too(tmp_path: Path) -> None:
    learner = Learner(TabularPolicy(0), METHODS["reinforce"], OptimizerSettings(), seed=0)
    learner.update(random_batch(0))
    assert learner.find_unsound() is None
    learner.save(tmp_path)
    tensors = load_file(tmp_path / "optimizer.safetensors")
    tensors["0.exp_avg_sq"][1, 2] = math.inf
    save_file(tensors, tmp_path / "optimizer.safetensors")
    learner.load(tmp_path)
    assert learner.find_unsound() == "the norm of the optimiser's exp_avg_sq of logits is inf"
