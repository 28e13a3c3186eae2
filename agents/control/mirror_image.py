"""The mirror image of features, where a world has declared its symmetry.

    M x = σ ∘ x[π]

Features are observations, normalised; where their statistics are those of states and images alike, the image of the
features is the features of the image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...envs.control.symmetry import Mirror


class MirrorImage(nn.Module):
    """`mirror` for tensors [..., D], on the device of the module. Nothing in it is learned or saved."""

    order: Tensor
    signs: Tensor

    def __init__(self, mirror: Mirror) -> None:
        super().__init__()
        self.register_buffer("order", torch.tensor(mirror.order), persistent=False)
        self.register_buffer("signs", torch.tensor(mirror.signs, dtype=torch.float32), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The image of each row."""
        return x.index_select(-1, self.order) * self.signs
