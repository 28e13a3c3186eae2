"""A small model that vLLM takes on a CPU, and how far what it says is from what its trainer reads."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from peripatos.agents.language.engines.vllm_engine import VllmEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.lora import Lora, add_adapter
from peripatos.agents.language.packing import pack
from peripatos.agents.language.sample import Sample
from peripatos.agents.language.tiny_llama import tiny_tokenizer
from peripatos.agents.protocols import Completion, Request

STOP, WAIT = 2, 60.0


def policy(drawn: dict[str, float] | None = None, *, bf16: bool = False, lora: bool = False) -> LanguagePolicy:
    """Heads that share keys, and an output layer that is the embedding."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        initializer_range=0.3,
    )
    model, adapter = LlamaForCausalLM(config), Lora(4, 8) if lora else None
    if adapter is not None:
        add_adapter(model, adapter, seed=0)
    precision = "bf16" if bf16 else "fp32"
    return LanguagePolicy(model, tokenizer, **(drawn or {}), precision=precision, lora=adapter)


def asked(n: int = 8, *, limit: int = 12) -> list[Request]:
    return [Request(k, tuple(range(8, 12 + 3 * k)), limit, seed=1000 + k, greedy=k % 3 == 0) for k in range(n)]


def answers(engine: VllmEngine, requests: Sequence[Request]) -> list[Completion]:
    return [future.result(WAIT) for future in engine.submit(requests)]


@torch.no_grad()
def gap(policy: LanguagePolicy, engine: VllmEngine) -> torch.Tensor:
    """|sampled with − trained with| of each token."""
    samples = []
    for request, said in zip(asked(), answers(engine, asked()), strict=True):
        samples.append(Sample(list(request.prompt)))
        samples[-1].extend(said.tokens, 0, said.logp)
    batch = pack(samples, [(0, row) for row in range(len(samples))], 0, [False] * len(samples))
    return (policy.score(batch.inputs).logp_B_T - batch.behavior_logp_B_T)[batch.mask_B_T].abs()


@torch.no_grad()
def learn(policy: LanguagePolicy) -> None:
    """Whatever learns moves far."""
    for parameter in policy.parameters():
        if parameter.requires_grad:
            parameter += 0.3 * torch.randn_like(parameter.float()).to(parameter.dtype) * (0.1 + parameter.float().std())
