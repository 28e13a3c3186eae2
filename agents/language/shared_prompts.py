"""The short path of reading: rows that begin with the same prompt (a group) have it computed once.

The prompt's keys and values are repeated for its rows, and the rest of each row attends to them. That is exact for
models whose cache is one key and value for each token, and for short answers to long questions most of the work.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import DynamicCache


def read_prompts(
    backbone: nn.Module,
    prompts: Sequence[Sequence[int]],
    *,
    pad: int,
    cache: DynamicCache | None = None,
    seen_U_S: Tensor | None = None,
) -> tuple[Tensor, DynamicCache, Tensor]:
    """The prompts, left-padded and read: the last hidden state [U, H], the cache, the mask [U, S + P].

    With a `cache`, they go on where it ends; `seen_U_S` says which of its S columns are tokens. A new cache keeps every
    token, also for layers that look back through a window only: their masks see to that.
    """
    device = next(backbone.parameters()).device
    P = max(map(len, prompts))
    rows = [[pad] * (P - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[False] * (P - len(prompt)) + [True] * len(prompt) for prompt in prompts]
    mask_U_L = torch.tensor(mask, device=device)
    if seen_U_S is not None:
        mask_U_L = torch.cat([seen_U_S, mask_U_L], dim=1)
    cache = DynamicCache() if cache is None else cache
    hidden = backbone(
        input_ids=torch.tensor(rows, device=device),
        attention_mask=mask_U_L.long(),
        position_ids=(mask_U_L.cumsum(dim=1) - 1).clamp(min=0)[:, -P:],
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    return hidden[:, -1], cache, mask_U_L


def states(
    backbone: nn.Module, tokens: Tensor, first: Tensor, length: Tensor, after_B_C: Tensor, *, pad: int
) -> Tensor:
    """[B, C, H]: the hidden state *before* each of the tokens `after_B_C` behind the prompts."""
    prompts = [tuple(row[: row[-1]]) for row in torch.cat([tokens, first[:, None]], dim=1).tolist()]
    number = {prompt: index for index, prompt in enumerate(dict.fromkeys(prompts))}
    which_B = torch.tensor([number[prompt] for prompt in prompts], device=tokens.device)
    last_U_H, cache, mask_U_P = read_prompts(backbone, list(number), pad=pad)
    # by `index_select` both: where rows are chosen by brackets, torch's threads add up gradients in any order on a CPU
    last_B_H = last_U_H.index_select(0, which_B)
    C = after_B_C.shape[1]
    if C == 1:
        return last_B_H[:, None]
    cache.reorder_cache(which_B)
    step = torch.arange(C - 1, device=tokens.device)
    real_B_C = step < (length - first)[:, None]
    hidden = backbone(
        input_ids=after_B_C[:, :-1],
        attention_mask=torch.cat([mask_U_P[which_B], real_B_C], dim=1).long(),
        position_ids=torch.minimum(first[:, None] + step, length[:, None] - 1),  # padding has no place
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    return torch.cat([last_B_H[:, None], hidden], dim=1)
