"""KL(π ‖ ν) of each token over the whole vocabulary, against plain forward passes and arithmetic by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import torch
from agents_worlds import Echo
from torch import Tensor

from peripatos.agents.language import distribution
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.comparison import divergence
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.envs.vocabulary import Batch


def policy_of(seed: int, **options: object) -> LanguagePolicy:
    return LanguagePolicy(*tiny_llama(seed=seed, hidden=16, layers=1, heads=2), **options)


def batch_of(policy: LanguagePolicy) -> Batch:
    renderer = Renderer(policy.tokenizer)
    engine = TransformersEngine(policy, stop_ids=[renderer.stop_id])
    actor = ConversationActor(Echo, engine, renderer, max_tokens=5, context=512)
    batch = actor.collect(range(3), 2, seed=0, version=0).batch
    assert batch is not None
    return batch


def whole_by_hand(policy: LanguagePolicy, inputs: Mapping[str, Tensor], row: int, temperature: float) -> Tensor:
    """log p of every token behind each token of a row but the last, by one forward pass of the model itself."""
    n = int(inputs["length_B"][row])
    logits = policy.model(input_ids=inputs["tokens_B_T"][row : row + 1, :n]).logits[0, :-1]
    return torch.log_softmax(logits / temperature, dim=-1)


def test_a_divergence_by_hand() -> None:
    p, q = torch.tensor([[0.5, 0.5, 0.0]]), torch.tensor([[0.25, 0.25, 0.5]])
    assert float(divergence(p.log(), q.log())) == pytest.approx(math.log(2.0))
    assert float(divergence(p.log(), p.log())) == 0.0, "what both cannot choose counts nothing"
    assert float(divergence(q.log(), p.log())) == math.inf, "what the teacher alone cannot choose is infinitely far"


def test_the_gradient_of_a_divergence_is_finite_where_a_token_is_impossible() -> None:
    logits = torch.tensor([[0.3, -0.2, -torch.inf]], requires_grad=True)
    teacher = torch.log_softmax(torch.tensor([[1.0, 0.0, -torch.inf]]), dim=-1)
    (slope,) = torch.autograd.grad(divergence(torch.log_softmax(logits, dim=-1), teacher).sum(), logits)
    p, c = torch.softmax(logits.detach(), dim=-1), (torch.log_softmax(logits.detach(), -1) - teacher)[:, :2]
    want = p[:, :2] * (c - (p[:, :2] * c).sum())  # π·(c − E c), c = log π − log ν
    torch.testing.assert_close(slope, torch.cat([want, torch.zeros(1, 1)], dim=1))


def test_vocabularies_of_two_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="a teacher of 4 tokens cannot be compared with a policy of 3"):
        divergence(torch.zeros(2, 3), torch.zeros(2, 4))


@pytest.mark.parametrize("pieces", [1, 5])
def test_policy_and_teacher_are_compared_as_plain_forward_passes_have_them(
    pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values and gradients, whatever the pieces in which vocabularies are read."""
    policy, teacher = policy_of(0, temperature=0.7), policy_of(1, temperature=0.7)
    batch = batch_of(policy)
    units = int(batch.mask_B_T.sum())
    monkeypatch.setitem(distribution._PIECE, "cpu", policy.vocabulary * -(-units // pieces))
    scores, apart_B_T = policy.compare(batch.inputs, teacher)
    for got, want in zip(scores, policy.score(batch.inputs), strict=True):
        torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)
    terms = []
    for row, chosen in enumerate(batch.mask_B_T):
        own, theirs = (whole_by_hand(one, batch.inputs, row, 0.7) for one in (policy, teacher))
        apart = (own.exp() * (own - theirs.detach())).sum(-1)[chosen[1 : len(own) + 1]]
        torch.testing.assert_close(apart_B_T[row, chosen], apart, atol=1e-5, rtol=1e-4)
        assert not apart_B_T[row, ~chosen].any()
        terms.append(apart.sum())
    weights = list(policy.model.parameters())
    want = torch.autograd.grad(torch.stack(terms).sum(), weights)
    for got, wanted in zip(torch.autograd.grad(apart_B_T.sum(), weights), want, strict=True):
        torch.testing.assert_close(got, wanted, atol=2e-5, rtol=1e-3)
    assert all(x.grad is None for x in teacher.model.parameters())


def test_a_policy_is_no_distance_from_itself() -> None:
    policy = policy_of(0)
    batch = batch_of(policy)
    _, apart_B_T = policy.compare(batch.inputs, policy)
    assert float(apart_B_T.detach().abs().max()) <= 1e-5  # log-probabilities of −4 in fp32
