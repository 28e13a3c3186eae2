"""Adapters beside a model that stands still, against peft itself."""

from pathlib import Path

import pytest
import torch
from model_families import family_policy
from peft import PeftModel
from test_model_families import rows_of

from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.lora import Lora, add_adapter, merge_adapter
from peripatos.envs.errors import UserError
from peripatos.scenarios.assembly.policies import make_reference

ROWS = rows_of((5, 9), (12, 3))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def adapted(kind: str = "llama", *, rank: int = 4, targets: tuple[str, ...] = (), seed: int = 0) -> LanguagePolicy:
    policy = family_policy(kind)
    policy.lora = Lora(rank, 8, targets)
    add_adapter(policy.model, policy.lora, seed=seed)
    return policy


def learn(policy: LanguagePolicy) -> None:
    """One large step that makes the rows' tokens likelier."""
    trained = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    (-policy.score(ROWS).logp_B_T.sum()).backward()
    with torch.no_grad():
        for parameter in trained:
            assert parameter.grad is not None
            parameter -= 0.01 * parameter.grad.sign()


@torch.no_grad()
def logp(policy: LanguagePolicy) -> torch.Tensor:
    return policy.score(ROWS).logp_B_T


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt_neox", "opt", "gpt2"])
def test_a_model_with_an_adapter_begins_as_its_base_and_only_the_adapter_learns(kind: str) -> None:
    base, policy = family_policy(kind), adapted(kind)
    assert torch.equal(logp(policy), logp(base))
    learn(policy)
    assert not torch.allclose(logp(policy), logp(base))
    mine = dict(policy.model.named_parameters())
    for name, parameter in base.model.named_parameters():
        other = mine.get(
            name, mine.get(name.replace(".weight", ".base_layer.weight").replace(".bias", ".base_layer.bias"))
        )
        assert other is not None, name
        assert torch.equal(other, parameter), name


def test_peft_reads_what_is_saved_and_gives_the_same_numbers(tmp_path: Path) -> None:
    policy = adapted(targets=("q_proj", "down_proj"))
    learn(policy)
    policy.save(tmp_path)
    theirs = PeftModel.from_pretrained(family_policy("llama").model, str(tmp_path))
    ids = torch.arange(1, 9)[None]
    with torch.no_grad():
        torch.testing.assert_close(theirs(input_ids=ids).logits, policy.model(input_ids=ids).logits)


@pytest.mark.parametrize("kind", ["gpt2", "deepseek_v3", "qwen3_moe", "mixtral", "mamba", "nemotron_h"])
def test_whatever_layers_a_family_has_peft_reads_the_adapter_and_it_can_be_merged(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    policy = adapted(kind)
    with torch.no_grad():
        for parameter in policy.parameters():
            if parameter.requires_grad:
                parameter.add_(0.02 * torch.randn_like(parameter))
    policy.save(tmp_path)
    ids, theirs = torch.arange(1, 9)[None], PeftModel.from_pretrained(family_policy(kind).model, str(tmp_path))
    with torch.no_grad():
        ours = policy.model(input_ids=ids).logits
        torch.testing.assert_close(theirs(input_ids=ids).logits, ours)
        merge_adapter(policy.model)
        off = (policy.model(input_ids=ids).logits - ours).abs().max()
    assert off < 1e-5 * ours.abs().max()
    assert not any("lora" in name for name, _ in policy.model.named_parameters())


@pytest.mark.parametrize(
    ("kind", "target"), [("deepseek_v3", "gate_proj"), ("mamba", "out_proj"), ("mamba", "dt_proj")]
)
def test_a_target_beside_which_no_adapter_would_act_is_named(kind: str, target: str) -> None:
    with pytest.raises(UserError, match=rf"agent\.lora\.targets names '{target}', beside which .*; allowed: "):
        adapted(kind, targets=(target,))


def test_a_saved_adapter_is_read_back_exactly(tmp_path: Path) -> None:
    policy, other = adapted(), adapted(seed=1)
    learn(policy)
    policy.save(tmp_path)
    other.load(tmp_path)
    assert torch.equal(logp(other), logp(policy))


def test_an_adapter_beside_other_weights_of_the_same_shape_is_refused(tmp_path: Path) -> None:
    policy, other = adapted(), adapted()
    policy.save(tmp_path)
    other.load(tmp_path)
    with torch.no_grad():
        next(p for name, p in other.model.named_parameters() if "lora_" not in name).add_(0.1)
    with pytest.raises(ValueError, match=r"as it was then, and the weights of .* are others now"):
        other.load(tmp_path)


@pytest.mark.parametrize("other", [{"rank": 2}, {"targets": ("q_proj",)}])
def test_an_adapter_of_another_form_is_refused(other: dict[str, object], tmp_path: Path) -> None:
    adapted().save(tmp_path)
    with pytest.raises(ValueError, match="belong to another model"):
        adapted(**other).load(tmp_path)


def test_a_reference_shares_what_nobody_trains_and_stays_as_it_was() -> None:
    policy = adapted()
    learn(policy)
    reference = make_reference(policy)
    before = logp(policy)
    learn(policy)
    assert not torch.allclose(logp(policy), before)
    assert isinstance(reference, LanguagePolicy)
    assert torch.equal(logp(reference), before)
    ours, theirs = dict(policy.named_parameters()), dict(reference.named_parameters())
    for name, parameter in ours.items():
        assert (parameter.data_ptr() == theirs[name].data_ptr()) != parameter.requires_grad
        assert not theirs[name].requires_grad


def test_targets_that_match_nothing_are_refused_with_what_there_is() -> None:
    with pytest.raises(
        UserError, match=r"'q_prj', which is no linear layer in LlamaForCausalLM; allowed: .*q_proj.*mean 'q_proj'"
    ):
        adapted(targets=("q_prj",))


def test_a_rank_above_the_width_of_every_target_is_refused() -> None:
    with pytest.raises(UserError, match=r"agent\.lora\.rank is 65; allowed is at most 64"):
        add_adapter(family_policy("llama").model, Lora(65, 16), seed=0)
    add_adapter(family_policy("qwen3_moe").model, Lora(16, 16), seed=0)  # wider than its router


def test_an_adapter_of_another_base_and_a_model_that_is_none_are_refused_by_name(tmp_path: Path) -> None:
    small, other = adapted("llama"), adapted("gpt_neox")
    small.model.config.name_or_path = "models/small"
    small.save(tmp_path / "small")
    with pytest.raises(ValueError, match=r"does not fit.*the adapter is of 'models/small', and this model is"):
        other.load(tmp_path / "small")
    with pytest.raises(ValueError, match=r"does not fit|has the shape .*the adapter is of 'models/small'"):
        adapted("llama", rank=2).load(tmp_path / "small")
    with pytest.raises(ValueError, match=r"they are an adapter .LoRA., and this agent has no agent.lora"):
        family_policy("llama").load(tmp_path / "small")
    family_policy("llama").save(tmp_path / "whole")
    with pytest.raises(ValueError, match=r"they are no adapter, and this agent has agent.lora"):
        adapted("llama").load(tmp_path / "whole")
