"""The plain path of reading: right-padded rows through the model's own forward, as everybody would.

Nothing that lies to the right of a token reaches it, so padding changes no number, whatever the layers are: attention
with or without windows, recurrent, experts, mixed. So most models need no mask either, and without one their attention
takes its fastest kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Forward = Callable[..., Any]  # of a layer


def states(
    backbone: nn.Module, tokens: Tensor, length: Tensor, position_B_C: Tensor, longest: int, *, masked: bool = True
) -> Tensor:
    """[B, C, H]: the hidden state *before* the token at each of the positions. `longest` is the largest `length`."""
    L = longest
    mask_B_L = (torch.arange(L, device=tokens.device) < length[:, None]).long() if masked else None
    hidden_B_L_H = backbone(input_ids=tokens[:, :L], attention_mask=mask_B_L, use_cache=False).last_hidden_state
    before_B_C = (position_B_C - 1).clamp(max=L - 1)
    return hidden_B_L_H.gather(1, before_B_C[..., None].expand(-1, -1, hidden_B_L_H.shape[-1]))


@contextmanager
def layers_by(backbone: nn.Module, way: Callable[[Forward], Forward]) -> Iterator[None]:
    """While this holds, each layer of the backbone runs as `way` makes it of its forward."""
    layers = max((m for m in backbone.modules() if isinstance(m, nn.ModuleList)), key=len, default=())
    before = [(vars(layer), vars(layer).get("forward"), layer.forward) for layer in layers]
    for own, _, forward in before:
        own["forward"] = way(forward)
    try:
        yield
    finally:
        for own, patched, _ in before:
            del own["forward"]
            if patched is not None:
                own["forward"] = patched


def recomputed(forward: Forward) -> Forward:
    """A layer that keeps its input alone, and runs again on the way back: for twice the forward work a token leaves one
    hidden state a layer, instead of all that is computed from it."""

    def run(*given: Any, **named: Any) -> Any:
        return checkpoint(forward, *given, use_reentrant=False, **named)

    return run
