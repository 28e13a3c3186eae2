"""Attention for many short rows on a CPU: batched products, which the heads that share keys take together.

torch's fused kernel works in blocks that short rows do not fill: for 47 rows of 24 tokens behind 46 others, with nine
heads of 64, its way back takes 46 ms of a core and this one 10. Sums are in fp32 as its are, and as in FlashAttention
(Dao et al. 2022, arXiv 2205.14135, algorithm 4) nothing of size [Q, L] is kept for the way back, which begins with

    P = exp(scale · q kᵀ − ℓ),  ℓ = log Σ exp(scale · q kᵀ),
    ∂v = Pᵀ ∂o,  ∂s = P ∘ (∂o vᵀ − Σ ∂o ∘ o),  ∂q = scale · ∂s k,  ∂k = scale · ∂sᵀ q.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

ATTENTION = "peripatos_short"
MOST = 1 << 14  # queries × keys of a row: beyond, the fused kernel is as fast


@contextmanager
def short_rows(model: PreTrainedModel, queries: int, keys: int) -> Iterator[None]:
    """While this holds, the model attends by products, if it is to learn on a CPU from rows that are short enough."""
    config = model.config.get_text_config()
    before = config._attn_implementation
    fits = torch.is_grad_enabled() and model.device.type == "cpu" and before == "sdpa" and queries * keys <= MOST
    try:
        config._attn_implementation = ATTENTION if fits else before
        yield
    finally:
        config._attn_implementation = before


class _Attend(torch.autograd.Function):
    """softmax(scale · q kᵀ, where the mask says so) v, [B, K, G, Q, E]: of queries [B, K, G, Q, D], keys [B, K, L, D],
    values [B, K, L, E] and a mask of bools [B, 1, Q, L]; G heads share their keys."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scale: float) -> Tensor:
        scores = _scores(_wide(query), _wide(key), mask, scale)
        least = torch.finfo(scores.dtype)  # of a token of padding, which sees none and says 0
        top = scores.amax(dim=-1, keepdim=True).clamp_(min=least.min)
        weight = scores.sub_(top).exp_()
        mass = weight.sum(dim=-1, keepdim=True).clamp_(min=least.tiny)
        said = _product(weight, _wide(value)).div_(mass).to(query.dtype)
        total = mass.log_().add_(top)
        ctx.save_for_backward(query, key, value, mask, total, said)
        ctx.scale = scale
        return said

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        *given, mask, total, said = ctx.saved_tensors
        query, key, value, back = map(_wide, (*given, gradient[0]))
        weight = _scores(query, key, mask, ctx.scale).sub_(total).exp_()
        slope = _product(back, value.transpose(-1, -2))
        slope.sub_((back * said).sum(dim=-1, keepdim=True)).mul_(weight).mul_(ctx.scale)
        d_query, d_key, d_value = _product(slope, key), _summed(slope, query), _summed(weight, back)
        d_query, d_key, d_value = (d.to(x.dtype) for d, x in zip((d_query, d_key, d_value), given, strict=True))
        return d_query, d_key, d_value, None, None


def _scores(query: Tensor, key: Tensor, mask: Tensor, scale: float) -> Tensor:
    return _product(query, key.transpose(-1, -2)).mul_(scale).masked_fill_(~mask[:, :, None], float("-inf"))


def _product(many: Tensor, one: Tensor) -> Tensor:
    """[B, K, G, Q, M] times [B, K, M, N], which all G share."""
    B, K, G, Q, M = many.shape
    return torch.bmm(many.view(B * K, G * Q, M), one.flatten(0, 1)).view(B, K, G, Q, -1)


def _summed(left: Tensor, right: Tensor) -> Tensor:
    """Σ_G leftᵀ right, [B, K, M, N], of [B, K, G, Q, M] and [B, K, G, Q, N]."""
    B, K, G, Q, M = left.shape
    left, right = left.view(B * K, G * Q, M), right.view(B * K, G * Q, -1)
    return torch.bmm(left.transpose(1, 2), right).view(B, K, M, -1)


def _wide(x: Tensor) -> Tensor:
    """At least fp32, and in the order of its dimensions, in one copy."""
    return x.to(torch.promote_types(x.dtype, torch.float32), memory_format=torch.contiguous_format).contiguous()


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    **other: Any,
) -> tuple[Tensor, None]:
    """The attention function of `ATTENTION`: queries [B, H, Q, D], said [B, Q, H, E]. By torch's kernel, where a model
    asks for more than a mask of bools, or that each token sees those before it."""
    B, H, Q, D = query.shape
    K, L = key.shape[1:3]
    mask = attention_mask
    if mask is None and Q == L and getattr(module, "is_causal", False):
        mask = torch.ones(1, 1, Q, L, dtype=torch.bool, device=query.device).tril()
    more = any(other.get(name) is not None for name in ("position_bias", "s_aux", "softcap", "is_causal"))
    if mask is None or mask.dtype != torch.bool or dropout or more:
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **other)
    scale = D**-0.5 if scaling is None else scaling
    said: Tensor = _Attend.apply(query.reshape(B, K, H // K, Q, D), key, value, mask, scale)  # type: ignore[assignment]
    return said.reshape(B, H, Q, -1).transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, _attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
