"""Attention by products, against torch's own kernel and its autograd."""

import pytest
import torch
from model_families import family_policy
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from peripatos.agents.language import short_attention
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.model_path import PLAIN, SHORT

TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 2e-2}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("groups", [1, 3])
def test_it_says_and_learns_what_torchs_kernel_does(dtype: torch.dtype, groups: int) -> None:
    torch.manual_seed(groups)
    shapes = (5, 3 * groups, 7, 16), (5, 3, 12, 16), (5, 3, 12, 20)
    given = [torch.randn(*shape, dtype=dtype, requires_grad=True) for shape in shapes]
    query, key, value = given
    mask = torch.rand(5, 1, 7, 12) < 0.6
    mask[..., 0] = True
    back = torch.randn(5, 7, 3 * groups, 20, dtype=dtype)
    said, _ = short_attention._attention(nn.Identity(), query, key, value, mask, scaling=0.3)
    # in fp64, where torch has no fused kernel, with every weight in memory
    wide = [x.double() for x in (query, key, value)]
    repeated = [x.repeat_interleave(groups, dim=1) for x in wide[1:]]
    scores = (0.3 * wide[0] @ repeated[0].transpose(2, 3)).masked_fill(~mask, -torch.inf)
    due = (scores.softmax(dim=-1) @ repeated[1]).transpose(1, 2)
    found, right = torch.autograd.grad(said, given, back), torch.autograd.grad(due, given, back.double())
    for mine, exact in zip((said, *found), (due, *right), strict=True):
        assert mine.dtype == dtype
        off = (mine.detach().double() - exact.detach().double()).norm() / exact.detach().double().norm()
        assert float(off) < TOLERANCE[dtype]


@pytest.mark.parametrize("asked", [{"dropout": 0.5}, {"is_causal": False}, {"scaling": 0.2}])
def test_what_a_mask_of_bools_does_not_say_is_left_to_torch(asked: dict[str, float | bool]) -> None:
    torch.manual_seed(0)
    query = torch.randn(2, 4, 6, 8)
    torch.manual_seed(0)
    said, _ = short_attention._attention(nn.Identity(), query, query, query, None, **asked)
    torch.manual_seed(0)
    due = scaled_dot_product_attention(
        query,
        query,
        query,
        dropout_p=asked.get("dropout", 0.0),
        is_causal=bool(asked.get("is_causal", True)),
        scale=asked.get("scaling"),
    )
    torch.testing.assert_close(said, due.transpose(1, 2))


def gradient(policy: LanguagePolicy) -> torch.Tensor:
    """Of four rows that share a prompt of nine tokens, and two that share one of five; some end early."""
    tokens = torch.randint(7, 60, (6, 15), generator=torch.Generator().manual_seed(0))
    tokens[:4, :9], tokens[4:, :5] = tokens[0, :9].clone(), tokens[4, :5].clone()
    first, length = torch.tensor([9, 9, 9, 9, 5, 5]), torch.tensor([14, 14, 12, 11, 13, 14])
    place = torch.arange(15)
    inputs = {
        "tokens_B_T": tokens,
        "first_B": first,
        "length_B": length,
        "chosen_B_T": (place >= first[:, None]) & (place < length[:, None]),
    }
    policy.zero_grad()
    policy.score(inputs).logp_B_T.sum().backward()
    return torch.cat([p.grad.flatten() for p in policy.model.parameters() if p.grad is not None])


@pytest.mark.parametrize("kind", ["llama", "qwen3", "mixtral", "gpt2", "deepseek_v3", "phi"])
def test_short_rows_are_learned_from_by_it_with_the_gradient_of_plain_rows(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    policy, calls = family_policy(kind), []
    attend = short_attention._Attend.apply
    monkeypatch.setattr(short_attention._Attend, "apply", lambda *given: calls.append(1) or attend(*given))
    policy.path = PLAIN
    plain = gradient(policy)
    assert not calls
    policy.path = SHORT
    short = gradient(policy)
    layers = policy.model.config.get_text_config().num_hidden_layers
    assert len(calls) == 2 * layers  # the prompts, and what follows them
    assert float((short - plain).norm() / plain.norm()) < 1e-5
    assert policy.model.config.get_text_config()._attn_implementation == "sdpa"


def test_it_is_for_learning_from_short_rows_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    model = family_policy("llama").model

    def means() -> str | None:
        return model.config.get_text_config()._attn_implementation

    with short_attention.short_rows(model, 24, 70):
        assert means() == short_attention.ATTENTION
    with short_attention.short_rows(model, 1_000, 1_000):
        assert means() == "sdpa"
    with torch.no_grad(), short_attention.short_rows(model, 24, 70):
        assert means() == "sdpa"
    assert means() == "sdpa"
