"""How many tokens are read at once, and that rows which are longer give the same numbers by other means."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from model_families import family_policy
from test_model_families import rows_of

from peripatos.agents.language import memory, plain_rows
from peripatos.agents.language.memory import bytes_per_token, free_memory, token_budget
from peripatos.agents.language.model_checks import find_path
from peripatos.agents.language.model_path import SHORT


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_what_a_token_leaves_grows_with_the_layers_and_not_with_the_vocabulary() -> None:
    two, four = (bytes_per_token(family_policy("llama", num_hidden_layers=layers)) for layers in (2, 4))
    assert 1.7 < four / two < 2.1
    wide = bytes_per_token(family_policy("llama", vocab_size=4_000))
    assert wide == pytest.approx(two, rel=0.02)


def test_the_budget_is_a_power_of_two_and_follows_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = family_policy("llama")
    found = []
    for free in (1 << 30, 1 << 34, 1 << 36):
        monkeypatch.setattr(memory, "free_memory", lambda device, free=free: free)
        found.append(token_budget(policy))
    assert found[0].bit_count() == 1
    assert found[0] < found[1] == found[2]  # on a CPU more at once are no faster


def test_copies_of_the_weights_that_are_still_to_be_made_are_owed(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = family_policy("llama")
    size = sum(p.numel() * p.dtype.itemsize for p in policy.parameters() if p.requires_grad)
    monkeypatch.setattr(memory, "free_memory", lambda device: 1 << 30)
    full = token_budget(policy)
    assert token_budget(policy, copies=(1 << 28) // size) < full


def test_what_is_free_is_what_the_kernel_says() -> None:
    free = free_memory(torch.device("cpu"))
    assert 1 << 20 < free < 1 << 44


@pytest.mark.parametrize("kind", ["llama", "qwen3_moe", "gemma2", "mamba", "gpt2"])
def test_a_row_above_the_budget_has_the_gradient_of_one_below(kind: str) -> None:
    policy, inputs, found = family_policy(kind), rows_of((5, 40), (9, 20)), []
    policy.path = find_path(policy)[-1].path
    for budget in (None, 8):
        policy.token_budget = budget
        policy.zero_grad()
        logp = policy.score(inputs).logp_B_T
        logp.sum().backward()
        grads = [p.grad.flatten() for p in policy.model.parameters() if p.grad is not None]
        found.append((logp.detach(), torch.cat(grads)))
    (logp, gradient), (again, recomputed) = found
    torch.testing.assert_close(again, logp, atol=1e-4, rtol=1e-4)
    assert float((recomputed - gradient).norm() / gradient.norm()) <= 5e-5


def test_a_row_above_the_budget_leaves_a_fraction_for_the_way_back() -> None:
    policy, kept = family_policy("llama", num_hidden_layers=8), []
    for budget in (None, 8):
        policy.token_budget = budget
        kept.append(bytes_per_token(policy))
    assert kept[1] < kept[0] / 5


def test_rows_that_fit_because_they_share_their_beginning_keep_all_that_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy, ways = family_policy("llama"), []
    policy.path = replace(SHORT, trees=True)
    monkeypatch.setattr(plain_rows, "recomputed", lambda forward: ways.append("again") or forward)
    prompt = torch.arange(20, 50)
    rows = torch.stack([torch.cat([prompt, torch.tensor([last, last, 0])]) for last in range(7, 13)])
    inputs = {
        "tokens_B_T": rows,
        "first_B": torch.full((6,), 30),
        "length_B": torch.full((6,), 32),
        "chosen_B_T": (torch.arange(33) >= 30).expand(6, -1) & (torch.arange(33) < 32),
    }
    nodes = 30 + 6 * 2
    for budget, again in ((nodes, False), (nodes - 1, True)):
        policy.token_budget = budget
        policy.score(inputs)
        assert bool(ways) == again
