"""Returns and GAE against arithmetic done by hand."""

import pytest
import torch
from torch import Tensor

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


def loop(
    r: Tensor, V: Tensor, mask: Tensor, end: Tensor, bootstrap: Tensor, gamma: Tensor, lam: float
) -> tuple[Tensor, Tensor]:
    """G and A by the two recursions as they are written, unit after unit; γ [B], a row's own."""
    G, A, (later_G, later_A, later_V) = torch.zeros_like(r), torch.zeros_like(r), r.new_zeros(3, len(r))
    for t in reversed(range(r.shape[1])):
        m, e = mask[:, t], end[:, t]
        g = r[:, t] + gamma * torch.where(e, bootstrap[:, t], later_G)
        delta = r[:, t] + gamma * torch.where(e, bootstrap[:, t], later_V) - V[:, t]
        a = delta + gamma * lam * torch.where(e, 0.0, later_A)
        G[:, t], A[:, t] = torch.where(m, g, 0.0), torch.where(m, a, 0.0)
        later_G, later_A = torch.where(m, g, later_G), torch.where(m, a, later_A)
        later_V = torch.where(m, V[:, t], later_V)
    return G, A


@pytest.mark.parametrize("T", [32_000, *range(1, 18)])
def test_all_units_at_once_are_the_loop(T: int) -> None:
    """Six factors, each with no ends, few, some and many; fp64 within 1e-12 of the loop and fp32 within 1e-5."""
    lam = 0.97 if T % 2 else 1.0
    products = [0.5, 0.9, 0.99, 0.999, 0.9999, 1.0]
    ends = torch.tensor([0.0, 0.0003, 0.02, 0.5]).repeat(6)[:, None]
    draw = torch.Generator().manual_seed(T)
    mask, end = torch.rand(24, T, generator=draw) < 0.9, torch.rand(24, T, generator=draw) < ends
    r, V, bootstrap = (torch.randn(24, T, generator=draw).double().add(0.25) for _ in range(3))
    gammas = torch.tensor(products, dtype=torch.float64).div(lam)
    want_G, want_A = loop(r, V, mask, end, bootstrap, gammas.repeat_interleave(4), lam)
    for kind, near in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        for at, gamma in enumerate(gammas.tolist()):
            one = slice(4 * at, 4 * at + 4)
            reward, value, after = (x[one].to(kind) for x in (r, V, bootstrap))
            got_G = discounted_returns(reward, mask[one], end[one], after, gamma=gamma)
            got_A = gae(reward, value, mask[one], end[one], after, gamma=gamma, lam=lam)
            for got, want in ((got_G, want_G[one]), (got_A, want_A[one])):
                assert got.dtype == kind
                scale = want.abs().amax(dim=1, keepdim=True).clamp(min=1.0)
                assert float(((got - want) / scale).abs().max()) <= near, (kind, gamma)


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
