"""Whether a policy and its learner can be worked with: no number of theirs is NaN, inf, or too large to be squared.

    ‖θ‖ = √Σ θ²  in the numbers' own precision, which is neither NaN nor inf

A weight of 1e20 is finite, and no layer can sum its products; so the norm is what is asked for. Of the optimiser's
moments, which are squares already, the largest is asked for. Every norm is computed where its tensors are, and all of
them are read at once: one wait for the device.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import (
    Tensor,
    _foreach_norm,  # pyright: ignore[reportPrivateImportUsage] (what torch's own clip_grad_norm_ is made of)
)

Named = Mapping[str, Tensor]


@torch.no_grad()
def find_unsound(weights: Named, others: Named) -> str | None:
    """`the norm of actor.0.weight is nan`, of the first tensor that is not sound; None if all are.

    Args:
        weights: whose norms have to be finite.
        others: statistics and moments, whose numbers have to be finite.
    """
    norms = [*_norms(weights, 2.0), *_norms(others, math.inf)]
    if not norms:
        return None
    device = next((norm.device for _, norm in norms if norm.device.type != "cpu"), "cpu")
    values = torch.stack([norm.to(device, torch.float64) for _, norm in norms]).tolist()
    if all(map(math.isfinite, values)):
        return None
    name, value = next(
        (name, value) for (name, _), value in zip(norms, values, strict=True) if not math.isfinite(value)
    )
    size = "norm" if name in weights else "largest entry"
    return f"the {size} of {name} is {value}"


@torch.no_grad()
def largest(tensors: list[Tensor]) -> float | Tensor:
    """The largest size of any number in `tensors`, on their device; 0 for none."""
    return torch.stack(_foreach_norm(tensors, math.inf)).max() if tensors else 0.0


def _norms(tensors: Named, order: float) -> Iterable[tuple[str, Tensor]]:
    """The norm of each tensor of floats; half precision is summed in single."""
    kinds: dict[torch.dtype, list[str]] = {}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.numel():
            kinds.setdefault(tensor.dtype, []).append(name)
    for kind, names in kinds.items():
        wide = torch.float32 if kind.itemsize < torch.float32.itemsize else kind
        yield from zip(names, _foreach_norm([tensors[name] for name in names], order, dtype=wide), strict=True)
