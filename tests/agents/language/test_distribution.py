"""Sampling and its log-probabilities: one distribution, drawn exactly."""

from typing import Any

import pytest
import torch
from scipy.stats import chisquare
from torch.utils._python_dispatch import TorchDispatchMode

from peripatos.agents.language import distribution
from peripatos.agents.language.distribution import draw, entropy, log_probabilities
from peripatos.agents.protocols import Distribution

LOGITS = torch.tensor([[2.0, 1.0, 0.0, -1.0]])


def test_temperature_and_nucleus_by_hand() -> None:
    # softmax(2, 1, 0, −1) = (.644, .237, .087, .032); top_p .7 keeps the first two: .644/.881, .237/.881
    got = log_probabilities(LOGITS, Distribution(top_p=0.7)).exp()
    torch.testing.assert_close(got, torch.tensor([[0.73106, 0.26894, 0.0, 0.0]]), atol=1e-5, rtol=0)
    sharp = log_probabilities(LOGITS, Distribution(0.5))
    torch.testing.assert_close(sharp, torch.log_softmax(2 * LOGITS, dim=-1))


def test_the_nucleus_always_holds_the_likeliest_token() -> None:
    got = log_probabilities(LOGITS, Distribution(top_p=1e-9))
    assert got.exp().tolist() == [[1, 0, 0, 0]]


def test_top_k_and_min_p_by_hand() -> None:
    def got(**of: float) -> list[float]:
        return log_probabilities(LOGITS, Distribution(**of)).exp()[0].tolist()  # type: ignore[arg-type]

    # .644, .237, .087, .032: at least .1 of .644 are the first three; two of them the likeliest; of these .7 is one
    assert got(min_p=0.1) == pytest.approx([0.66524, 0.24473, 0.09003, 0], abs=1e-5)
    assert got(min_p=0.1, top_k=2) == pytest.approx([0.73106, 0.26894, 0, 0], abs=1e-5)
    assert got(min_p=0.1, top_k=2, top_p=0.7) == [1, 0, 0, 0]
    assert got(top_k=9) == pytest.approx(LOGITS.softmax(-1)[0].tolist())
    assert got(min_p=1.0) == [1, 0, 0, 0]


def test_what_is_as_likely_as_the_last_of_the_top_k_is_kept_too() -> None:
    logits = torch.tensor([[1.0, 3.0, 1.0, 0.0]])
    kept = log_probabilities(logits, Distribution(top_k=2)).isfinite()
    assert kept.tolist() == [[True, True, True, False]]


def test_a_token_that_was_sampled_stays_in_the_support() -> None:
    got = log_probabilities(LOGITS, Distribution(top_p=0.5), kept_N=torch.tensor([3]))
    assert torch.isfinite(got[0, 3])
    assert torch.isinf(got[0, 1])


@pytest.mark.parametrize("seed", range(3))
def test_draws_follow_the_distribution(seed: int) -> None:
    logp = log_probabilities(LOGITS, Distribution()).expand(20_000, -1)
    tokens = draw(logp, torch.rand(20_000, generator=torch.Generator().manual_seed(seed)))
    counts = torch.bincount(tokens, minlength=4).numpy()
    assert (
        chisquare(counts, logp[0].double().exp().numpy() * 20_000 / logp[0].double().exp().sum().item()).pvalue > 1e-4
    )


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1.0 - 2**-24, 1.0])
def test_a_token_of_probability_zero_is_never_drawn(uniform: float) -> None:
    logp = torch.full((1, 50_000), -torch.inf)
    logp[0, [7, 30_000]] = torch.tensor([0.5, 0.5]).log()
    assert int(draw(logp, torch.tensor([uniform]))) in (7, 30_000)


def test_entropy_counts_only_the_support() -> None:
    logp = torch.tensor([[0.5, 0.5, 0.0]]).log()
    assert float(entropy(logp)) == pytest.approx(0.693147, abs=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("rows", [3, 20])
@pytest.mark.parametrize("uncertain", [True, False])
def test_reading_the_chosen_tokens_in_pieces_is_autograd_through_the_whole_vocabulary(
    temperature: float, biased: bool, rows: int, uncertain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`uncertain`: entropies are in the loss. The last of the pieces is kept, and the others are read again."""
    monkeypatch.setattr(distribution, "piece_of", lambda device: rows * 50)
    monkeypatch.setattr(distribution, "_BLOCK", 2 * 50)
    generator = torch.Generator().manual_seed(0)
    hidden, weight, bias = (torch.randn(*shape, generator=generator) for shape in ((10, 8), (50, 8), (50,)))
    token = torch.randint(50, (10,), generator=generator)
    towards = torch.randn(2, 10, generator=generator)

    def gradients(plain: bool) -> list[torch.Tensor]:
        leaves = [x.clone().requires_grad_() for x in ((hidden, weight, bias) if biased else (hidden, weight))]
        h, w, b = leaves if biased else (*leaves, None)
        if plain:
            logits = torch.nn.functional.linear(h, w, b)
            logp_N_V = log_probabilities(logits, Distribution(temperature))
            seen = logp_N_V.gather(-1, token[:, None])[:, 0], distribution.entropy(logp_N_V)
        else:
            seen = distribution.read_chosen(h, w, b, token, temperature=temperature)
        ((torch.stack(seen) if uncertain else seen[0]) * towards).sum().backward(retain_graph=True)
        ((torch.stack(seen) if uncertain else seen[0]) * towards).sum().backward()  # once more, with nothing kept
        return [*(x.detach() for x in seen), *(leaf.grad for leaf in leaves if leaf.grad is not None)]

    for ours, theirs in zip(gradients(plain=False), gradients(plain=True), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("most", [3, 100])
def test_of_bf16_it_learns_what_the_rounded_products_say(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """`most` rows in a piece. A product is rounded to bf16 on a CPU, and all else is in fp32 until a gradient is."""
    monkeypatch.setattr(distribution, "piece_of", lambda device: most * 50 // 6)
    monkeypatch.setattr(distribution, "_BLOCK", 2 * 50)
    generator = torch.Generator().manual_seed(0)
    h, w = (torch.randn(n, 8, generator=generator).bfloat16().requires_grad_() for n in (10, 50))
    token, towards = torch.randint(50, (10,), generator=generator), torch.randn(2, 10, generator=generator)
    seen = torch.stack(distribution.read_chosen(h, w, None, token, temperature=0.7))
    (seen * towards).sum().backward()
    z = torch.mm(h, w.T).detach().float().requires_grad_()
    logp = log_probabilities(z, Distribution(0.7))
    due = torch.stack((logp.gather(-1, token[:, None])[:, 0], entropy(logp)))
    (due * towards).sum().backward()
    torch.testing.assert_close(seen, due, atol=1e-5, rtol=1e-5)
    assert h.grad is not None
    assert w.grad is not None
    assert z.grad is not None
    for found, right in ((h.grad, z.grad @ w.detach().float()), (w.grad, z.grad.T @ h.detach().float())):
        assert float((found.float() - right).norm() / right.norm()) < 5e-3  # of 2⁻⁸ is half a last place


def test_on_a_cpu_nothing_but_the_products_is_as_large_as_the_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "_BLOCK", 4 * 1_000)
    h, w = (torch.randn(n, 8).bfloat16().requires_grad_() for n in (40, 1_000))
    sizes: list[int] = []

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            made = func(*args, **(kwargs or {}))
            if isinstance(made, torch.Tensor) and made.untyped_storage().nbytes() >= 40 * 1_000 * 2:
                sizes.append(made.untyped_storage().data_ptr())
            return made

    with Sizes():
        logp, uncertainty = distribution.read_chosen(h, w, None, torch.arange(40), temperature=1.0)
        (logp + uncertainty).sum().backward()
    assert len(set(sizes)) == 1


def test_tokens_that_a_model_never_says_leave_entropy_and_gradients_finite() -> None:
    bias = torch.zeros(6)
    bias[4:] = -torch.inf
    hidden, weight = torch.randn(3, 2, generator=torch.Generator().manual_seed(0)), torch.ones(6, 2)
    hidden.requires_grad_()
    logp, uncertainty = distribution.read_chosen(hidden, weight, bias, torch.tensor([0, 1, 5]), temperature=1.0)
    expected = torch.full((3,), 4.0).log()  # four tokens are equally likely
    torch.testing.assert_close(uncertainty, expected)
    torch.testing.assert_close(logp[:2], -expected[:2])
    assert logp[2] == -torch.inf
    uncertainty.sum().backward()
    assert hidden.grad is not None
    assert torch.isfinite(hidden.grad).all()
