"""Weights on their way: out of the policy that learns, and into one that acts."""

from __future__ import annotations

import torch
from torch import Tensor

from ..envs.errors import nearest
from .protocols import Policy, Weights


@torch.no_grad()
def take_weights(policy: Policy, weights: Weights) -> None:
    """Make `policy` what `weights` say. Nothing to do where they are in its module already; what nobody trains may be
    left out of tensors.

    ValueError for tensors of other names or shapes, before anything has changed.
    """
    if weights.folder is not None:
        policy.load(weights.folder)
    if weights.tensors is None:
        return
    mine, given = policy.module().state_dict(), dict(weights.tensors())
    for name in given:
        if name not in mine:
            raise ValueError(f"version {weights.version} has weights {name!r}, unknown here.{nearest(name, mine)}")
    still = {name for name, parameter in policy.module().named_parameters() if not parameter.requires_grad}
    mine = {name: tensor for name, tensor in mine.items() if name in given or name not in still}
    for name, tensor in mine.items():
        if name not in given:
            raise ValueError(f"version {weights.version} comes without {name!r}")
        if given[name].shape != tensor.shape:
            shapes = f"{tuple(given[name].shape)}, not {tuple(tensor.shape)}"
            raise ValueError(f"version {weights.version} has {name!r} of shape {shapes}")
    for name, tensor in mine.items():
        tensor.copy_(given[name])


def moving_tensors(policy: Policy) -> dict[str, Tensor]:
    """What an update may change, statistics of observations too, by names of the module's `state_dict`: all but the
    parameters that nobody trains (the base of an adapter)."""
    module = policy.module()
    still = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    return {name: tensor.detach() for name, tensor in module.state_dict().items() if name not in still}


def kept_weights(policy: Policy, version: int) -> Weights:
    """`policy` as it is now, whatever becomes of it."""
    kept = {
        name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in moving_tensors(policy).items()
    }
    return Weights(version, tensors=kept.items)
