"""The baseline of least variance, by hand and against what it is the least of."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from algorithms_batches import random_batch

from peripatos.algorithms.annotate import with_energy
from peripatos.algorithms.credit import Credit, assign_credit
from peripatos.algorithms.optimal_baseline import optimal_advantage


def tensor(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def drawn(*shape: int) -> torch.Tensor:
    """Numbers between 0 and 1."""
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_it_agrees_with_arithmetic_by_hand() -> None:
    """Two episodes of 2 steps and one of 1. W = (1, 3), (2, 2), (1, –): b_1 = (1·4 + 2·1 + 1·0)/4 = 1.5 and
    b_2 = (3·2 + 2·1)/5 = 1.6."""
    returns, energy = tensor([4, 2], [1, 1], [0, 9]), tensor([1, 2], [2, 0], [1, 7])
    alive = torch.tensor([[True, True], [True, True], [True, False]])
    got = optimal_advantage(returns, energy, alive, torch.tensor([5, 5, 5]))
    torch.testing.assert_close(got, tensor([2.5, 0.4], [-0.5, -0.6], [-1.5, 0.0]))


def test_equal_returns_and_an_episode_alone_teach_exactly_nothing() -> None:
    returns, energy = tensor([0.1, 0.3], [0.1, 0.7], [5.0, 1.0]), drawn(3, 2)
    alive = torch.tensor([[True, True], [True, False], [True, True]])
    got = optimal_advantage(returns, energy, alive, torch.tensor([0, 0, 1]))
    assert torch.equal(got, torch.zeros_like(got))


def test_of_equal_energies_it_is_the_mean_of_the_group() -> None:
    returns, alive = drawn(6, 1), torch.ones(6, 1, dtype=torch.bool)
    got = optimal_advantage(returns, torch.full_like(returns, 0.7), alive, torch.arange(6) // 3)
    want = returns.view(2, 3) - returns.view(2, 3).mean(dim=1, keepdim=True)
    torch.testing.assert_close(got[:, 0], want.flatten())


def test_no_other_baseline_makes_the_gradient_of_a_bandit_vary_less() -> None:
    """Four arms that are drawn alike: Σ ‖(R − b)·∂ log π/∂ logits‖² is least at b."""
    slope = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    returns, energy = tensor([1.0], [0.0], [3.0], [-2.0]), (slope**2).sum(dim=1, keepdim=True)
    advantage = optimal_advantage(returns, energy, torch.ones_like(returns, dtype=torch.bool), torch.zeros(4).long())
    least = float((advantage**2 * energy).sum())
    for other in torch.linspace(-2, 3, 101, dtype=torch.float64):
        assert float(((returns - other) ** 2 * energy).sum()) >= least - 1e-12


def test_a_policy_that_cannot_say_its_energy_is_refused() -> None:
    class Mute:
        pass

    with pytest.raises(ValueError, match="gives the energy of what was chosen"):
        with_energy(random_batch(0), Mute(), None)  # type: ignore[arg-type]


def test_a_whole_trajectory_counts_by_all_of_its_energy() -> None:
    batch = random_batch(3)
    energy = drawn(*batch.mask_B_T.shape)
    noted = replace(batch, notes={"energy_B_T": energy})
    got = assign_credit(noted, Credit(baseline="optimal")).advantage_B_T
    R, W = (batch.reward_B_T * batch.mask_B_T).sum(1), (energy * batch.mask_B_T).sum(1)
    for group in (0, 1):
        own = batch.group_B == group
        want = R[own] - (R[own] * W[own]).sum() / W[own].sum()
        torch.testing.assert_close(got[own], torch.where(batch.mask_B_T[own], want[:, None], 0.0))
