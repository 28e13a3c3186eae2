"""Returns and GAE against arithmetic done by hand."""

import pytest
import torch

from peripatos.algorithms.returns import discounted_returns, gae

TRUE, FALSE = True, False


def row(*values: float) -> torch.Tensor:
    return torch.tensor([values])


def test_discounted_return_of_a_terminated_episode_by_hand() -> None:
    # G₂ = 3, G₁ = 2 + ½·3 = 3.5, G₀ = 1 + ½·3.5 = 2.75
    got = discounted_returns(
        row(1.0, 2.0, 3.0), torch.ones(1, 3, dtype=torch.bool), row(FALSE, FALSE, TRUE), torch.zeros(1, 3), gamma=0.5
    )
    torch.testing.assert_close(got, row(2.75, 3.5, 3.0))


def test_a_truncated_episode_bootstraps_and_a_terminated_one_does_not() -> None:
    mask, end = torch.ones(1, 4, dtype=torch.bool), row(FALSE, TRUE, FALSE, TRUE)
    bootstrap = row(99.0, 0.0, 99.0, 8.0)  # read at ends only: terminated after unit 1, truncated after unit 3
    got = discounted_returns(row(1.0, 1.0, 1.0, 1.0), mask, end, bootstrap, gamma=0.5)
    torch.testing.assert_close(got, row(1.5, 1.0, 1.0 + 0.5 * 5.0, 1.0 + 0.5 * 8.0))


def test_gae_by_hand() -> None:
    # γ = ½, λ = ½: δ = r + ½V' − V = (0 + ½·2 − 1, 1 + ½·4 − 2, 2 − 4) = (0, 1, −2)
    # A₂ = −2, A₁ = 1 + ¼·(−2) = ½, A₀ = 0 + ¼·½ = ⅛
    got = gae(
        row(0.0, 1.0, 2.0),
        row(1.0, 2.0, 4.0),
        torch.ones(1, 3, dtype=torch.bool),
        row(FALSE, FALSE, TRUE),
        torch.zeros(1, 3),
        gamma=0.5,
        lam=0.5,
    )
    torch.testing.assert_close(got, row(0.125, 0.5, -2.0))


def test_gae_skips_observation_tokens_in_time() -> None:
    # units 2 and 3 are observations with wild values; the rest is r = (0, 0, 1), V = (.5, .4, .6), γ = .9, λ = .95:
    # A₄ = 1 − .6 = .4;  A₁ = .9·.6 − .4 + .855·.4 = .482;  A₀ = .9·.4 − .5 + .855·.482 = .27211
    mask = row(TRUE, TRUE, FALSE, FALSE, TRUE)
    got = gae(
        row(0.0, 0.0, 5.0, -7.0, 1.0),
        row(0.5, 0.4, 9.0, -9.0, 0.6),
        mask,
        row(FALSE, FALSE, FALSE, TRUE, TRUE),
        row(0.0, 0.0, 3.0, 3.0, 0.0),
        gamma=0.9,
        lam=0.95,
    )
    torch.testing.assert_close(got, row(0.27211, 0.482, 0.0, 0.0, 0.4))


@pytest.mark.parametrize("seed", range(3))
def test_anything_at_masked_out_units_leaves_every_bit_unchanged(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    mask = torch.rand(6, 20, generator=draw) < 0.6
    end = torch.rand(6, 20, generator=draw) < 0.2
    reward, value, bootstrap = (torch.randn(6, 20, generator=draw) for _ in range(3))
    spoiled = [torch.where(mask, x, torch.tensor(float("nan"))) for x in (reward, value, bootstrap)]
    want = gae(reward, value, mask, end, bootstrap, gamma=0.9, lam=0.8)
    got = gae(spoiled[0], spoiled[1], mask, end | ~mask, spoiled[2], gamma=0.9, lam=0.8)
    assert torch.equal(want, got)
    want = discounted_returns(reward, mask, end, bootstrap, gamma=0.9)
    assert torch.equal(want, discounted_returns(spoiled[0], mask, end | ~mask, spoiled[2], gamma=0.9))


@pytest.mark.parametrize("seed", range(3))
def test_with_lambda_one_gae_is_the_return_minus_the_value(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    mask, end = torch.rand(4, 15, generator=draw) < 0.8, torch.rand(4, 15, generator=draw) < 0.3
    reward, value, bootstrap = (torch.randn(4, 15, generator=draw) for _ in range(3))
    advantage = gae(reward, value, mask, end, bootstrap, gamma=0.97, lam=1.0)
    returns = discounted_returns(reward, mask, end, bootstrap, gamma=0.97)
    torch.testing.assert_close(advantage, torch.where(mask, returns - value, 0.0), atol=1e-5, rtol=1e-5)


def test_a_wrong_rank_or_shape_is_named() -> None:
    mask = torch.ones(1, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match="reward_B_T must have rank 2"):
        discounted_returns(torch.zeros(3), mask, mask, torch.zeros(1, 3), gamma=1.0)
    with pytest.raises(ValueError, match="bootstrap_B_T has shape"):
        discounted_returns(torch.zeros(1, 3), mask, mask, torch.zeros(1, 4), gamma=1.0)


def test_a_batch_without_units_is_no_error() -> None:
    empty = torch.zeros(2, 0)
    nothing = torch.zeros(2, 0, dtype=torch.bool)
    assert gae(empty, empty, nothing, nothing, empty, gamma=1.0, lam=1.0).shape == (2, 0)
