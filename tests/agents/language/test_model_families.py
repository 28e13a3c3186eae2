"""What holds for every family of language models, not only for the built-in one."""

from pathlib import Path

import pytest
import torch
from model_families import FAMILIES, VOCABULARY, family_policy
from torch import Tensor

from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.model_checks import check_checkpoint, check_model
from peripatos.agents.language.packing import pack
from peripatos.agents.language.sample import Sample
from peripatos.scenarios.build import make_reference


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def rows_of(*lengths: tuple[int, int]) -> dict[str, Tensor]:
    """One row of random tokens for each (prompt, reply)."""
    generator = torch.Generator().manual_seed(0)
    samples = []
    for prompt, reply in lengths:
        sample = Sample(torch.randint(7, VOCABULARY, (prompt,), generator=generator).tolist())
        said = torch.randint(7, VOCABULARY, (reply,), generator=generator).tolist()
        sample.extend(said, 0, (0.0,) * reply)
        samples.append(sample)
    count = len(samples)
    return dict(pack(samples, list(range(count)), [0] * count, 0).inputs)


@torch.no_grad()
def logp_of(policy: LanguagePolicy, inputs: dict[str, Tensor]) -> Tensor:
    return policy.evaluate(inputs)[0]


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
            for mine, theirs in zip(reader.evaluate(rows), first.evaluate(rows), strict=True):
                assert torch.equal(mine, theirs)


@pytest.mark.parametrize("kind", FAMILIES)
def test_every_family_that_is_tried_here_passes_the_checks(kind: str) -> None:
    policy = family_policy(kind)
    check_model(policy)
    check_checkpoint(policy)


def test_a_checkpoint_without_a_value_head_is_refused_by_a_critic(tmp_path: Path) -> None:
    family_policy("llama").save(tmp_path)
    with pytest.raises(ValueError, match="value_head"):
        family_policy("llama", critic=True).load(tmp_path)


def test_a_checkpoint_that_is_not_read_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from peripatos.envs.errors import UserError

    monkeypatch.setattr(LanguagePolicy, "load", lambda policy, folder: None)
    with pytest.raises(UserError, match="LlamaForCausalLM: .* is not read back as it was written"):
        check_checkpoint(family_policy("llama"))
