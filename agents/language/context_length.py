"""How many tokens a model can read.

Rotary frequencies that are chosen by length ("dynamic", "longrope") change beyond the original context for all tokens
of a batch at once, the keys in memory excepted: such a model ends at its original context.

A model whose tokens look at `index_topk` others only (DeepSeek-V3.2) ends there: `transformers` chooses them among
later tokens as well, so that a token's probability would change as its text goes on.
"""

from __future__ import annotations

from collections.abc import Mapping

from transformers import PreTrainedConfig

UNNAMED_CONTEXT = 2048  # tokens, of models that could go on for ever: recurrent ones, distances instead of positions


def context_length(config: PreTrainedConfig) -> int:
    """Most tokens that a sequence can have, of a text model."""
    names = ("max_position_embeddings", "n_positions", "max_seq_len", "index_topk")
    named = [getattr(config, name, None) for name in names]
    limits = [limit for limit in named if isinstance(limit, int) and limit > 0]
    return min([*(limits or [UNNAMED_CONTEXT]), *_original_lengths(config)])


def _original_lengths(config: PreTrainedConfig) -> list[int]:
    """The original context of each kind of layer whose rotary frequencies are chosen by length."""
    rotary = getattr(config, "rope_parameters", None) or {}
    kinds = [rotary, *(part for part in rotary.values() if isinstance(part, Mapping))]  # one, or one a kind of layer
    chosen = [part for part in kinds if part.get("rope_type") in ("dynamic", "longrope")]
    lengths = [part.get("original_max_position_embeddings") for part in chosen]
    if chosen:
        lengths.append(getattr(config, "original_max_position_embeddings", None))
    return [length for length in lengths if isinstance(length, int)]
