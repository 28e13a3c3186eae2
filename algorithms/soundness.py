"""Whether a policy and its learner can be worked with: no number of theirs is NaN, inf, or too large to be squared.

    ‖θ‖ = √Σ θ²  in the numbers' own precision, which is neither NaN nor inf

A weight of 1e20 is finite, and no layer can sum its products; so the norm is what is asked for. Every norm is computed
where its tensors are, and one answer is read: one wait for the device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import (
    Tensor,
    _foreach_norm,  # pyright: ignore[reportPrivateImportUsage] (what torch's own clip_grad_norm_ is made of)
)

Named = Mapping[str, Tensor]


@torch.no_grad()
def find_unsound(tensors: Named) -> str | None:
    """`the norm of actor.0.weight is nan`, of the first tensor whose norm is not finite; None if all are."""
    norms = _norms(tensors)
    device = next((norm_N.device for _, norm_N in norms if norm_N.device.type != "cpu"), "cpu")
    if not norms or bool(torch.stack([norm_N.isfinite().all().to(device) for _, norm_N in norms]).all()):
        return None
    values = [(name, value) for names, norm_N in norms for name, value in zip(names, norm_N.tolist(), strict=True)]
    return next(f"the norm of {name} is {value}" for name, value in values if not math.isfinite(value))


def _norms(tensors: Named) -> list[tuple[list[str], Tensor]]:
    """Names and norms [N] of all tensors of floats, by their type and device; half precision is summed in single."""
    kinds: dict[tuple[torch.dtype, torch.device], list[str]] = {}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.numel():
            kinds.setdefault((tensor.dtype, tensor.device), []).append(name)
    found = []
    for (kind, _), names in kinds.items():
        wide = torch.float32 if kind.itemsize < torch.float32.itemsize else None
        found.append((names, torch.stack(_foreach_norm([tensors[name] for name in names], 2.0, dtype=wide))))
    return found
