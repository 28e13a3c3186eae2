"""What the learner adds to a batch before it learns: here, the words of the world."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from algorithms_batches import TabularPolicy, random_batch
from torch import Tensor
from whole_updates import talk

from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.algorithms.learner import Learner
from peripatos.algorithms.methods import method
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.envs.vocabulary import Batch

SETTINGS = OptimizerSettings(lr=1e-2, max_grad_norm=1e9)
HEARING = method("echo", {"update": {"observation_coefficient": 0.5}})


def gradient(policy: LanguagePolicy, batch: Batch, name: str, coefficient: float, micro_batch: int | None) -> Tensor:
    row = method(name, {"update": {"observation_coefficient": coefficient}} if coefficient else {})
    Learner(policy, row, replace(SETTINGS, micro_batch=micro_batch), seed=0).update(batch)
    gradients = [p.grad.flatten() for p in policy.parameters() if p.grad is not None]
    return torch.cat(gradients).double()


@pytest.mark.parametrize("micro_batch", [None, 60])
def test_of_a_language_model_the_words_of_the_world_add_their_own_cross_entropy(micro_batch: int | None) -> None:
    """∇(GRPO + c·CE) = ∇GRPO + c·∇CE, with CE read from the model by hand."""
    policy, batch = talk()
    observed = batch.notes["observed_B_T"]
    tokens = batch.inputs["tokens_B_T"]
    logits = policy.model(input_ids=tokens).logits[:, :-1].float()
    logp = torch.log_softmax(logits, dim=-1).gather(-1, tokens[:, 1:, None])[..., 0]
    cross_entropy = -logp[observed[:, 1:]].mean()
    want = torch.autograd.grad(cross_entropy, list(policy.parameters()))
    alone = gradient(talk()[0], batch, "grpo", 0.0, None)
    both = gradient(talk()[0], batch, "echo", 0.5, micro_batch)
    by_hand = torch.cat([g.flatten() for g in want]).double()
    torch.testing.assert_close(both, alone + 0.5 * by_hand, atol=2e-5, rtol=1e-3)


def test_what_the_world_says_is_learned_from_groups_without_information_too() -> None:
    policy, batch = talk()
    batch = replace(batch, reward_B_T=torch.zeros_like(batch.reward_B_T))
    learner = Learner(policy, HEARING, SETTINGS, seed=0)
    said = []
    for _ in range(6):
        batch = replace(batch, version_B=torch.full_like(batch.version_B, learner.version))
        said.append(learner.update(batch).metrics["observation/logp"])
    assert said[-1] > said[0] + 0.5


def test_a_batch_without_that_note_is_refused() -> None:
    learner = Learner(TabularPolicy(0), HEARING, SETTINGS, seed=0)
    with pytest.raises(ValueError, match="notes observed_B_T"):
        learner.update(replace(random_batch(0), notes={}))
