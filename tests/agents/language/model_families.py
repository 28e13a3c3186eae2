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


_HEAD = {"head_dim": 16}
_DELTA = {
    "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 16, "linear_value_head_dim": 16,
    **_HEAD, "layer_types": ["linear_attention", "full_attention"],
}  # fmt: skip
_MAMBA = {
    "mamba_n_heads": 8, "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_d_state": 16, "mamba_chunk_size": 8,
    "mamba_expand": 2,
}  # fmt: skip
_SSM = {"n_groups": 1, "chunk_size": 8}
_WINDOWED = {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]}
_INDEXED = {**_LATENT, **_ROUTED, "num_key_value_heads": 4, "first_k_dense_replace": 1, "index_head_dim": 16,
            "index_n_heads": 2, "index_topk": 48}  # fmt: skip
_ALIKE = """afmoe apertus arcee bitnet cohere cohere2 cohere2_moe cwm diffllama doge ernie4_5 exaone4 exaone_moe
flex_olmo flint gemma gemma2 gemma3_text glm gpt_neox_japanese granite granite_swa granitemoe granitemoe_swa
granitemoeshared helium hunyuan_v1_dense hyperclovax internlm3 iquestcoder jais2 ministral ministral3 nanochat nemotron
olmo olmo3 persimmon seed_oss smollm3 vaultgemma"""
FURTHER: dict[str, dict[str, object]] = {
    **dict.fromkeys(_ALIKE.split(), _HEAD),
    "mistral, a window of 8": {"sliding_window": 8},
    "qwen2, a window of 8": {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
    "phi3, a window of 8": {"sliding_window": 8},
    "gpt_oss": {**_HEAD, **_WINDOWED, "num_local_experts": 4, "num_experts_per_tok": 2},
    "gemma4_text": {**_HEAD, **_WINDOWED, "hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 128},
    "gemma3n_text": {
        **_HEAD, "num_hidden_layers": 4, "layer_types": ["sliding_attention", "full_attention"] * 2,
        "num_kv_shared_layers": 2, "hidden_size_per_layer_input": 16, "vocab_size_per_layer_input": 128,
        "sliding_window": 16, "laurel_rank": 8, "altup_num_inputs": 2, "intermediate_size": [128] * 4,
        "activation_sparsity_pattern": [0.0] * 4,
    },
    "biogpt": {},
    "bloom": {"n_layer": 2, "n_head": 4, "max_position_embeddings": None},
    "mpt": {"d_model": 64, "n_layers": 2, "n_heads": 4, "max_seq_len": 64, "max_position_embeddings": None},
    "codegen": {**_GPT2, "rotary_dim": 8, "n_positions": 64},
    "gpt_bigcode": {**_GPT2, "n_positions": 64},
    "gpt_neo": {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": 16},
    "openai-gpt": {**_GPT2, "n_positions": 64},
    "ernie4_5_moe": {**_HEAD, **_EXPERTS, "moe_num_experts": 4, "moe_k": 2},
    "hunyuan_v1_moe": {**_HEAD, "num_experts": 4, "moe_topk": 2},
    "phimoe": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "dots1": {**_ROUTED, **_HEAD, "n_shared_experts": 1, "first_k_dense_replace": 1},
    "hy_v3": _EXPERTS,
    "llama4_text": {**_HEAD, "num_local_experts": 2, "intermediate_size_mlp": 64},
    "minicpm3": {**_LATENT, "num_key_value_heads": 4},
    "glm4_moe_lite": {**_LATENT, **_ROUTED, "num_key_value_heads": 4},
    "longcat_flash": {
        **_LATENT, "num_layers": 1, "ffn_hidden_size": 64, "expert_ffn_hidden_size": 32, "n_routed_experts": 4,
        "zero_expert_num": 2, "moe_topk": 2, "head_dim": 8, "num_key_value_heads": 4,
    },
    "deepseek_v32": _INDEXED,
    "glm_moe_dsa": _INDEXED,
    "jamba": {
        "attn_layer_period": 2, "attn_layer_offset": 1, "mamba_d_state": 4, "mamba_dt_rank": 4, "num_experts": 4,
        "num_experts_per_tok": 2, "expert_layer_period": 2, "expert_layer_offset": 1,
    },
    "bamba": {**_MAMBA, "attn_layer_indices": [1]},
    "falcon_h1": {**_MAMBA, **_HEAD, "mamba_d_ssm": 128},
    "granitemoehybrid": {
        **_MAMBA, "layer_types": ["mamba", "attention"], "num_local_experts": 4, "num_experts_per_tok": 2,
        "shared_intermediate_size": 32,
    },
    "zamba2": {
        "num_hidden_layers": 6, "mamba_ngroups": 1, "mamba_d_state": 16, "n_mamba_heads": 8, "mamba_headdim": 16,
        "chunk_size": 8, "hybrid_layer_ids": [1, 3, 5], "layers_block_type": ["mamba", "hybrid"] * 3,
        "layer_types": ["mamba", "hybrid"] * 3, "num_key_value_heads": 4, "attention_head_dim": 32,
    },
    "nemotron_h": {
        **_ROUTED, **_SSM, **_HEAD, "num_hidden_layers": 4, "layers_block_type": ["mamba", "attention", "mamba", "moe"],
        "mamba_num_heads": 8, "mamba_head_dim": 16, "ssm_state_size": 16,
    },
    "qwen3_next": {**_DELTA, **_EXPERTS, "shared_expert_intermediate_size": 32},
    "qwen3_5_text": _DELTA,
    "qwen3_5_moe_text": {**_DELTA, **_EXPERTS, "shared_expert_intermediate_size": 32},
    "olmo_hybrid": _DELTA,
    "lfm2": {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False},
    "minimax": {
        **_HEAD, "num_local_experts": 4, "num_experts_per_tok": 2, "block_size": 8,
        "layer_types": ["linear_attention", "full_attention"],
    },
    "bailing_hybrid": {**_LATENT, **_EXPERTS, "num_shared_experts": 1},
    "mamba": {"state_size": 4, "max_position_embeddings": None},
    "mamba2": {**_SSM, "state_size": 16, "num_heads": 8, "head_dim": 16, "expand": 2, "max_position_embeddings": None},
    "falcon_mamba": {"state_size": 4, "max_position_embeddings": None},
    "recurrent_gemma": {"block_types": ["recurrent", "attention"], "lru_width": 64, "attention_window_size": 16},
    "rwkv": {"attention_hidden_size": 64, "max_position_embeddings": None},
    "xlstm": {"num_heads": 4, "num_blocks": 2, "embedding_dim": 64, "qk_dim_factor": 0.5},
}  # fmt: skip


def family_policy(kind: str, *, seed: int = 0, critic: bool = False, **more: object) -> LanguagePolicy:
    """A policy of the family `kind` (what stands behind a comma is its variant); equal seeds give equal weights."""
    common: dict[str, object] = {
        "vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    settings = {**FAMILIES, **FURTHER}.get(kind, {})
    kind = kind.partition(",")[0]
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
