"""bf16: matrices of the module itself, which sampler and trainer share."""

import gc
from pathlib import Path

import pytest
import torch
from model_families import family_policy

from peripatos.agents.language import low_precision
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.lora import Lora, add_adapter
from peripatos.agents.language.model_checks import check_checkpoint, check_model, check_precision, small_conversation
from peripatos.agents.language.model_files import load_language_model
from peripatos.agents.language.packing import pack
from peripatos.agents.protocols import Weights

MAPS = Path("/proc/self/maps")
KINDS = {  # and what is cast on its way: nothing for most
    "llama": False,
    "olmo2": False,  # matrices without a norm before them
    "gpt2": False,
    "gemma3": False,
    "deepseek_v3": False,  # a router in fp32
    "jamba": False,  # exponents of a recurrence, with two dimensions
    "zamba2": False,
    "qwen3_next": False,
    "gpt_oss": True,
}


def lowered(kind: str) -> LanguagePolicy:
    policy = family_policy(kind)
    path = check_model(policy)
    low = LanguagePolicy(policy.model, policy.tokenizer, critic=True, precision="bf16", path=path)
    check_precision(low)
    return low


@pytest.mark.parametrize("kind", KINDS)
def test_matrices_are_bf16_and_sampler_and_trainer_agree(kind: str) -> None:
    policy = lowered(kind)
    assert policy.path.autocast == KINDS[kind]
    for name, parameter in policy.named_parameters():
        vector = sum(n > 1 for n in parameter.shape) < 2
        small = "A_log" in name or "correction" in name or "value_head" in name
        if small or (vector and "norm" in name.lower()):
            assert parameter.dtype == torch.float32, name
        elif not vector:
            assert parameter.dtype == torch.bfloat16, name
    assert all(b.dtype == torch.float32 for b in policy.buffers() if b.is_floating_point())
    with torch.no_grad():
        samples = small_conversation(policy)
    batch = pack(samples, [(0, n) for n in range(len(samples))], 0, [False] * len(samples))
    scores = policy.score(batch.inputs)
    assert float((scores.logp_B_T - batch.behavior_logp_B_T)[batch.mask_B_T].abs().mean()) < 0.02
    (scores.logp_B_T.sum() + scores.value_B_T.sum()).backward()
    spoken = {name for name, p in policy.named_parameters() if p.grad is None and "vision" not in name}
    assert not {name for name in spoken if "multi_modal" not in name}
    check_checkpoint(policy)


@pytest.mark.parametrize("kind", ["llama", "gemma3"])  # whose norms multiply with w, and with 1 + w
@pytest.mark.parametrize("learns", [True, False])
def test_a_norm_on_a_cpu_is_torchs_with_its_gradients_and_keeps_no_more_than_its_input(kind: str, learns: bool) -> None:
    policy = lowered(kind)
    norm = next(m for m in policy.modules() if isinstance(m, low_precision._RMSNorm))
    torch.manual_seed(0)
    with torch.no_grad():
        norm.weight.normal_()
    norm.weight.requires_grad_(learns)
    size = norm.weight.numel()
    x, back = (3 * torch.randn(2, 5, size)).requires_grad_(), torch.randn(2, 5, size).bfloat16()
    kept: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        said = norm(x)
    given = [x, norm.weight] if learns else [x]
    found = torch.autograd.grad(said, given, back)
    wide, weight = x.detach().double().requires_grad_(), norm.weight.detach().double().requires_grad_()
    due = wide * (wide.square().mean(dim=-1, keepdim=True) + norm._epsilon).rsqrt() * (norm._offset + weight)
    right = torch.autograd.grad(due, [wide, weight][: len(given)], back.double())
    assert said.dtype == torch.bfloat16
    torch.testing.assert_close(said.detach().double(), due.detach(), rtol=2**-8, atol=1e-6)
    for mine, exact in zip(found, right, strict=True):
        torch.testing.assert_close(mine, exact.float(), rtol=1e-5, atol=1e-5)
    new = [t for t in kept if t.data_ptr() not in (x.data_ptr(), norm.weight.data_ptr()) and t.shape != (size,)]
    assert sum(t.numel() for t in new) == 2 * 5  # the scale of each token


def test_the_sampler_has_the_policys_own_weights_and_buffers_stay_fp32() -> None:
    policy = lowered("llama")
    assert TransformersEngine(policy, stop_ids=[], precision="bf16")._policy is policy
    exact = family_policy("gptj")
    sampler = TransformersEngine(exact, stop_ids=[], precision="bf16")  # of an fp32 policy, a copy
    copied = sampler._policy
    for mine, theirs in zip(copied.buffers(), exact.buffers(), strict=True):
        assert mine.dtype == theirs.dtype
        if theirs.is_floating_point():
            theirs.add_(1.0)
    sampler.load(Weights(1))
    assert all(torch.equal(*pair) for pair in zip(copied.buffers(), exact.buffers(), strict=True))


def test_a_checkpoint_in_bf16_is_read_back_by_transformers_as_it_acted(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    policy = lowered("llama")
    policy.save(tmp_path)
    read = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert all(torch.equal(read.state_dict()[name], x.float()) for name, x in policy.model.state_dict().items())


def test_with_lora_the_base_takes_two_bytes_a_weight_and_adapters_learn() -> None:
    policy = family_policy("llama")
    add_adapter(policy.model, Lora(4, 8), seed=0)
    low = LanguagePolicy(policy.model, policy.tokenizer, precision="bf16", lora=Lora(4, 8))
    check_precision(low)
    assert not low.path.autocast
    frozen = [p for p in low.parameters() if not p.requires_grad and p.ndim > 1]
    assert {p.dtype for p in frozen} == {torch.bfloat16}
    samples = small_conversation(low)
    batch = pack(samples, [(0, n) for n in range(len(samples))], 0, [False] * len(samples))
    low.score(batch.inputs).logp_B_T.sum().backward()
    learning = [p for p in low.parameters() if p.requires_grad]
    assert any(p.grad is not None and float(p.grad.abs().max()) > 0 for p in learning)


@pytest.mark.skipif(not MAPS.exists(), reason="only Linux says what of a process's memory is a file's")
def test_no_weight_keeps_the_file_in_memory_that_all_were_read_from(tmp_path: Path) -> None:
    family_policy("llama").save(tmp_path)
    model, tokenizer = load_language_model(str(tmp_path))
    file = str(tmp_path / "model.safetensors")
    assert file in MAPS.read_text()
    policy = LanguagePolicy(model, tokenizer, precision="bf16")
    gc.collect()
    assert {p.dtype for p in policy.parameters()} == {torch.bfloat16, torch.float32}
    assert file not in MAPS.read_text()
