"""The plain path of reading: right-padded rows through the model's own forward, as everybody would.

Nothing that lies to the right of a token reaches it, so padding changes no number, whatever the layers are: attention
with or without windows, recurrent, experts, mixed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def states(backbone: nn.Module, tokens: Tensor, length: Tensor, position_B_C: Tensor) -> Tensor:
    """[B, C, H]: the hidden state *before* the token at each of the positions."""
    L = int(length.max())
    mask_B_L = torch.arange(L, device=tokens.device) < length[:, None]
    hidden_B_L_H = backbone(input_ids=tokens[:, :L], attention_mask=mask_B_L.long(), use_cache=False).last_hidden_state
    before_B_C = (position_B_C - 1).clamp(max=L - 1)
    return hidden_B_L_H.gather(1, before_B_C[..., None].expand(-1, -1, hidden_B_L_H.shape[-1]))
