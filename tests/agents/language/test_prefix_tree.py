"""Reading by trees: what rows begin with alike is computed once, and nothing else changes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from model_families import FAMILIES, FURTHER, family_policy
from torch import Tensor

from peripatos.agents.language import prefix_tree
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.model_checks import check_model
from peripatos.agents.language.model_path import PLAIN, SHORT
from peripatos.agents.language.packing import pack
from peripatos.agents.language.sample import Sample

TREES = [
    *["llama", "qwen2", "qwen3", "mistral", "olmo2", "phi", "glm4", "starcoder2", "gpt2", "gptj", "opt", "gpt_neox"],
    *["mixtral", "qwen3_moe", "deepseek_v2", "deepseek_v3"],
]
WITHOUT = ["mistral, a window of 8", "qwen3_next", "gemma2", "mpt", "bloom", "mamba"]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def conversation(seed: int, rows: int = 10, vocabulary: int = 100) -> dict[str, Tensor]:
    """Rows that branch anywhere: in prompts, in replies, at a row's end; some are the same altogether."""
    draw = np.random.default_rng(seed)
    samples: list[Sample] = []
    for row in range(rows):
        tokens = draw.integers(7, vocabulary, int(draw.integers(2, 50))).tolist()
        if row and draw.random() < 0.8:
            earlier = samples[int(draw.integers(row))].tokens
            tokens = [*earlier[: int(draw.integers(1, len(earlier) + 1))], *tokens[: int(draw.integers(0, 8))]][:60]
            tokens = tokens if len(tokens) > 1 else [*tokens, 9]
        sample = Sample(tokens[: int(draw.integers(1, len(tokens)))])
        said = tokens[sample.first :]
        sample.extend(said, 0, (0.0,) * len(said))
        samples.append(sample)
    return dict(pack(samples, [(0, index) for index in range(rows)], 0, [False] * rows).inputs)


def gradient(policy: LanguagePolicy, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities, entropies, and the gradient of their sum with weights of either sign."""
    policy.zero_grad()
    logp, entropy, value = policy.score(inputs)
    weight = torch.randn(logp.shape, generator=torch.Generator().manual_seed(1)).to(logp)
    weight *= torch.arange(weight.shape[1]) <= inputs["length_B"][:, None]  # the last one is the state behind a row
    ((logp + 0.1 * entropy + value) * weight).sum().backward()
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in policy.parameters()]
    return logp.detach(), entropy.detach(), torch.cat([part.flatten() for part in parts])


@pytest.mark.parametrize("seed", range(8))
def test_a_row_adds_what_the_one_before_it_does_not_begin_with(seed: int) -> None:
    inputs = conversation(seed)
    rows = [row[:n] for row, n in zip(inputs["tokens_B_T"].tolist(), inputs["length_B"].tolist(), strict=True)]
    order = sorted(range(len(rows)), key=rows.__getitem__)
    policy = replace_path(family_policy("llama"), trees=True)
    added = policy.positions({name: x[order] for name, x in inputs.items()})
    assert added is not None
    first = {tuple(row[: n + 1]) for row in rows for n in range(len(row))}  # every beginning, once
    assert int(added.sum()) == len(first)
    assert replace_path(policy, trees=False).positions(inputs) is None


def replace_path(policy: LanguagePolicy, *, trees: bool) -> LanguagePolicy:
    """The same policy."""
    policy.path = replace(policy.path, trees=trees)
    return policy


@pytest.mark.parametrize("kind", TREES)
def test_trees_have_the_gradient_of_the_flat_rows(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix_tree, "_WORTH", 1e9)
    policy = family_policy(kind, critic=True)
    check_model(policy)
    assert policy.path.trees
    trees = replace(policy.path, masked=True)
    for seed in range(2):
        inputs = conversation(seed)
        policy.path = trees
        logp, entropy, mine = gradient(policy, inputs)
        policy.path = replace(PLAIN, linear_head=trees.linear_head)
        want_logp, want_entropy, theirs = gradient(policy, inputs)
        torch.testing.assert_close(logp, want_logp, atol=2e-4, rtol=1e-4, msg=f"seed {seed}")
        torch.testing.assert_close(entropy, want_entropy, atol=2e-4, rtol=1e-4, msg=f"seed {seed}")
        assert float((mine - theirs).norm() / theirs.norm()) <= 5e-5, seed


@pytest.mark.parametrize("seed", range(4))
def test_in_fp64_the_gradient_is_the_flat_one(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix_tree, "_WORTH", 1e9)
    policy = family_policy("llama").double()
    grads = []
    for path in (replace(SHORT, trees=True), PLAIN):
        policy.path = replace(path, linear_head=False)
        grads.append(gradient(policy, conversation(seed))[2])
    assert float((grads[0] - grads[1]).norm() / grads[1].norm()) <= 1e-6


@pytest.mark.parametrize("kind", WITHOUT)
def test_a_layer_that_looks_only_near_or_counts_columns_is_read_as_before(kind: str) -> None:
    assert kind in FAMILIES or kind in FURTHER
    policy = family_policy(kind)
    check_model(policy)
    assert not policy.path.trees


@pytest.mark.parametrize("seed", range(6))
def test_every_token_stands_where_it_is_said_to_and_beginnings_stand_once(seed: int) -> None:
    inputs = conversation(seed, rows=14)
    tokens, length = inputs["tokens_B_T"].numpy(), inputs["length_B"].numpy()
    forest = prefix_tree.grow(tokens, length, 1 << 20, float("inf"))
    assert forest is not None
    for row, n in enumerate(length):
        place = forest.place_B_L[row, :n]
        assert forest.token_R_N.flatten()[place].tolist() == tokens[row, :n].tolist()
        assert forest.depth_R_N.flatten()[place].tolist() == list(range(n))
    beginnings = {tuple(row[:t]) for row, n in zip(tokens.tolist(), length, strict=True) for t in range(1, n + 1)}
    used = {int(p) for row, n in enumerate(length) for p in forest.place_B_L[row, :n]}
    assert len(used) == len(beginnings)


def test_a_group_with_one_prompt_and_earlier_turns_is_cheap_and_strangers_are_left_alone() -> None:
    shared = np.tile(np.arange(60), (8, 1))
    shared[:, 50:] = np.arange(80).reshape(8, 10) + 100
    full = np.full(8, 60)
    flat = prefix_tree.cost(8, 60, 30, 128)
    forest = prefix_tree.grow(shared, full, 128, flat)
    assert forest is not None
    assert forest.token_R_N.numel() == 50 + 80
    assert prefix_tree.grow(np.arange(480).reshape(8, 60), full, 128, flat) is None


def test_short_rows_lie_side_by_side() -> None:
    tokens, length = np.arange(480).reshape(8, 60), np.array([60, 30, 20, 10, 40, 20, 58, 2])
    forest = prefix_tree.grow(tokens, length, 128, prefix_tree.cost(8, 60, 60, 128))
    assert forest is not None
    assert forest.token_R_N.shape == (4, 60)
