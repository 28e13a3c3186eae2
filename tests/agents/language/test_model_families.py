"""What holds for every family of language models, not only for the built-in one."""

from pathlib import Path

import pytest
import torch
from model_families import FAMILIES, FURTHER, VOCABULARY, family_policy
from torch import Tensor

from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.model_checks import check_checkpoint, check_model, find_path
from peripatos.agents.language.model_path import PLAIN
from peripatos.agents.language.packing import pack
from peripatos.agents.language.sample import Sample
from peripatos.scenarios.assembly.policies import make_reference


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def rows_of(*lengths: tuple[int, int]) -> dict[str, Tensor]:
    """One row of random tokens for each (prompt, reply). The seed is one with which no expert is preferred to another
    by so little that rounding decides: of 0 a token of qwen2_moe has two that differ by 2.5e-6."""
    generator = torch.Generator().manual_seed(1)
    samples = []
    for prompt, reply in lengths:
        sample = Sample(torch.randint(7, VOCABULARY, (prompt,), generator=generator).tolist())
        said = torch.randint(7, VOCABULARY, (reply,), generator=generator).tolist()
        sample.extend(said, 0, (0.0,) * reply)
        samples.append(sample)
    count = len(samples)
    return dict(pack(samples, [(0, index) for index in range(count)], 0, [False] * count).inputs)


@torch.no_grad()
def logp_of(policy: LanguagePolicy, inputs: dict[str, Tensor]) -> Tensor:
    return policy.score(inputs)[0]


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_checkpoint_of_every_family_is_read_back_exactly(kind: str, tmp_path: Path) -> None:
    first, second = family_policy(kind, critic=True), family_policy(kind, critic=True, seed=1)
    assert first.value_head is not None
    torch.nn.init.normal_(first.value_head.weight, generator=torch.Generator().manual_seed(0))
    rows = rows_of((5, 9), (12, 3))
    first.save(tmp_path)
    reference = make_reference(second)
    for reader in (second, reference):
        assert not torch.equal(logp_of(reader, rows), logp_of(first, rows))
        reader.load(tmp_path)
        with torch.no_grad():
            for mine, theirs in zip(reader.score(rows), first.score(rows), strict=True):
                assert torch.equal(mine, theirs)


@pytest.mark.parametrize("kind", FAMILIES)
def test_every_family_that_is_tried_here_passes_the_checks(kind: str) -> None:
    policy = family_policy(kind)
    check_model(policy)
    check_checkpoint(policy)


SOME = [*FURTHER][::3]
OTHERS = [pytest.param(kind, marks=pytest.mark.exhaustive) for kind in FURTHER if kind not in SOME]


@pytest.mark.parametrize("kind", [*SOME, *OTHERS])
def test_every_further_family_is_read_on_some_path_and_its_checkpoints_are_read_back(kind: str) -> None:
    """A third of them; `benchmarks/families.py` prints the figures of all."""
    policy = family_policy(kind)
    tried = find_path(policy)[-1]
    assert not tried.why
    assert max(tried.sampler, tried.trainer) <= 1e-4
    policy.path = tried.path
    check_checkpoint(policy)


@pytest.mark.parametrize("kind", ["llama", "gemma2", "mistral, a window of 8", "qwen3_moe", "deepseek_v3", "minicpm3"])
def test_the_short_path_has_the_gradient_of_the_plain_one(kind: str) -> None:
    policy = family_policy(kind)
    policy.path = find_path(policy)[-1].path
    assert policy.path.shared_prompts
    inputs = rows_of((9, 5), (9, 12), (3, 7))
    inputs["tokens_B_T"][1, :9] = inputs["tokens_B_T"][0, :9]  # a group of two
    gradients = []
    for path in (policy.path, PLAIN):
        policy.path = path
        policy.zero_grad()
        policy.score(inputs).logp_B_T.sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in policy.model.parameters() if p.grad is not None]))
    short, plain = gradients
    assert float((short - plain).norm() / plain.norm()) <= 5e-5


def test_a_model_that_chooses_what_it_looks_at_ends_where_it_looks_at_everything() -> None:
    assert family_policy("deepseek_v32").context == 48


def test_a_checkpoint_without_a_value_head_is_refused_by_a_critic(tmp_path: Path) -> None:
    family_policy("llama").save(tmp_path)
    with pytest.raises(ValueError, match="value_head"):
        family_policy("llama", critic=True).load(tmp_path)


def test_a_checkpoint_that_is_not_read_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from peripatos.envs.errors import UserError

    monkeypatch.setattr(LanguagePolicy, "load", lambda policy, folder: None)
    with pytest.raises(UserError, match=r"LlamaForCausalLM: .* is not read back as it was written"):
        check_checkpoint(family_policy("llama"))


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("lengths", [((50, 8), (4, 50)), ((60, 4), (1, 63), (30, 30)), ((64, 0), (3, 61))])
def test_a_row_has_the_log_probabilities_that_it_has_alone(kind: str, lengths: tuple[tuple[int, int], ...]) -> None:
    """Every row fits the context of 64, though one's prompt with another's reply would not."""
    policy, rows = family_policy(kind), rows_of(*lengths)
    together = logp_of(policy, rows)
    for row in range(len(lengths)):
        alone = logp_of(policy, {name: tensor[row : row + 1] for name, tensor in rows.items()})
        torch.testing.assert_close(together[row : row + 1], alone, atol=2e-3, rtol=1e-3)


_LONG = {"short_factor": [1.0] * 8, "long_factor": [4.0] * 8}
BY_LENGTH: dict[str, tuple[str, dict[str, object], int]] = {
    "dynamic": ("llama", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}}, 64),
    "dynamic, extended": (
        "llama",
        {
            "max_position_embeddings": 256,
            "rope_parameters": {
                "rope_type": "dynamic",
                "rope_theta": 1e4,
                "factor": 4.0,
                "original_max_position_embeddings": 64,
            },
        },
        64,
    ),
    "longrope": (
        "phi3",
        {
            "max_position_embeddings": 256,
            "original_max_position_embeddings": 64,
            "rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4, **_LONG},
        },
        64,
    ),
    "yarn, which is the same at any length": (
        "llama",
        {
            "max_position_embeddings": 256,
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 1e4,
                "factor": 4.0,
                "original_max_position_embeddings": 64,
            },
        },
        256,
    ),
}


@pytest.mark.parametrize("name", BY_LENGTH)
def test_frequencies_that_depend_on_the_length_end_at_the_original_context(name: str) -> None:
    kind, settings, context = BY_LENGTH[name]
    policy = family_policy(kind, **settings)
    assert policy.context == context
    check_model(policy)
    lengths = ((context - 14, 8), (4, context - 14), (10, context - 10))
    rows = rows_of(*lengths)
    together = logp_of(policy, rows)
    for row in range(len(lengths)):
        alone = logp_of(policy, {name: tensor[row : row + 1] for name, tensor in rows.items()})
        torch.testing.assert_close(together[row : row + 1], alone, atol=2e-3, rtol=1e-3)
