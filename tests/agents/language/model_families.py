"""Tiny models of the families that people train, with random weights and the built-in tokenizer.

Weights are scaled up so that logits are far from flat: what goes wrong with a position or a router then shows.
"""

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.tiny_llama import tiny_tokenizer

VOCABULARY = 128
_GPT2 = {"n_embd": 64, "n_layer": 2, "n_head": 4}
_EXPERTS = {"moe_intermediate_size": 32, "num_experts": 4, "num_experts_per_tok": 2, "head_dim": 16}
_LATENT = {"kv_lora_rank": 16, "q_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 16}
_ROUTED = {"moe_intermediate_size": 32, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1}
_GEMMA3_TEXT = {
    "vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "head_dim": 16,
    "num_attention_heads": 4, "num_key_value_heads": 2, "layer_types": ["full_attention"] * 2,
    "max_position_embeddings": 64,
}  # fmt: skip
_VISION = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
FAMILIES: dict[str, dict[str, object]] = {
    "llama": {},
    "qwen2": {},
    "qwen3": {"head_dim": 16},
    "mistral": {"sliding_window": None},
    "olmo2": {},
    "phi": {},
    "phi3": {"sliding_window": None},
    "stablelm": {},
    "glm4": {"head_dim": 16},
    "starcoder2": {"sliding_window": None},
    "gpt2": _GPT2,
    "gptj": {**_GPT2, "rotary_dim": 8},
    "opt": {"ffn_dim": 128, "word_embed_proj_dim": 64, "pad_token_id": 1},
    "falcon": {"new_decoder_architecture": False},
    "gpt_neox": {},
    "mixtral": {"num_local_experts": 4, "sliding_window": None},
    "olmoe": {"num_experts": 4, "num_experts_per_tok": 2},
    "qwen2_moe": {**_EXPERTS, "shared_expert_intermediate_size": 32},
    "qwen3_moe": _EXPERTS,
    "deepseek_v2": {**_LATENT, **_ROUTED, "num_key_value_heads": 4, "first_k_dense_replace": 1},
    "deepseek_v3": {**_LATENT, **_ROUTED, "num_key_value_heads": 4, "first_k_dense_replace": 1},
    "glm4_moe": {**_ROUTED, "head_dim": 16, "first_k_dense_replace": 1},
    "minimax_m2": {"num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 16},
    "gemma3": {
        "text_config": _GEMMA3_TEXT,
        "vision_config": {**_VISION, "image_size": 32, "patch_size": 16},
        "mm_tokens_per_image": 4,
    },
}


def family_policy(kind: str, *, seed: int = 0, critic: bool = False, **more: object) -> LanguagePolicy:
    """A policy of the family `kind`; equal seeds give equal weights."""
    common: dict[str, object] = {
        "vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    settings = FAMILIES.get(kind, {})
    if "text_config" not in settings:
        settings = {
            name: value
            for name, value in {**common, **settings, **more}.items()
            if value is not None or name == "sliding_window"
        }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **settings), dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(4.0)
    return LanguagePolicy(model, tiny_tokenizer(), critic=critic)
