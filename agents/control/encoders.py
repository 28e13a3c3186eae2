"""From observations to features: what every network that acts in bodies reads.

    numbers    (x − mean)/std by running statistics, clipped: D features
    pictures   colours normalised likewise, then convolutions and one layer: 256 features each

The convolutions are those of Mnih et al. 2015 (doi:10.1038/nature14236) for pictures of 36 pixels and more; smaller
ones get fewer strides, and the 7 × 7 of a grid world three of 2 × 2. Whoever reads the features shares them: a picture
is looked at once for actor and critic. Statistics move only in `advance`. Left out: pooling, residual networks, and
augmentation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ...envs.vocabulary import Batch
from ..running_moments import RunningMoments

Size = tuple[int, int, int]  # channels, height, width
CLIP = 10.0  # what is normalised stays within ± this
_FEATURES = 256  # of a picture
_CONVOLUTIONS = {  # from which shorter side on: channels, side and stride of each
    36: ((32, 8, 4), (64, 4, 2), (64, 3, 1)),
    12: ((32, 4, 2), (64, 3, 1)),
    0: ((16, 2, 1), (32, 2, 1), (64, 2, 1)),
}
_LOOKED_AT = 256  # pictures of a batch, at most, from which statistics of colours are taken
_BYTES_MEAN, _BYTES_VARIANCE = 127.5, 256.0**2 / 12  # of all bytes alike


class Encoder(nn.Module):
    """`size` features of observations with `numbers` numbers and then the pixels of `pictures`, channels first."""

    def __init__(self, numbers: int, pictures: Sequence[Size], generator: torch.Generator) -> None:
        super().__init__()
        self.observations = RunningMoments(numbers)
        self.pictures = nn.ModuleList(PictureEncoder(size, generator) for size in pictures)
        self._pixels = [math.prod(size) for size in pictures]
        self.size = numbers + _FEATURES * len(pictures)

    def forward(self, observation: Tensor, pixels: Tensor | None = None) -> Tensor:
        """Features [..., size] of numbers [..., D] and pixels [..., P] of any type."""
        seen = [self.observations.normalize(observation, clip=CLIP)]
        if pixels is not None:
            parts = pixels.split(self._pixels, -1)
            seen += [encode(part) for encode, part in zip(self.pictures, parts, strict=True)]
        return torch.cat(seen, -1) if len(seen) > 1 else seen[0]

    def read(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Features of the inputs of a batch."""
        return self(inputs["observation_B_T_D"], inputs.get("pixels_B_T_P"))

    def look(self, observation_N_D: np.ndarray) -> Tensor:
        """Features [N, size] of what worlds show, numbers and pixels in one row."""
        seen = torch.as_tensor(observation_N_D, device=self.observations.mean.device)
        return self(*seen.split([len(self.observations.mean), sum(self._pixels)], -1)) if self._pixels else self(seen)

    @torch.no_grad()
    def advance(self, batch: Batch, mirror: nn.Module | None = None) -> None:
        """Let the statistics take in this batch's units, and their images by `mirror`."""
        mask = batch.mask_B_T
        seen = batch.inputs["observation_B_T_D"][mask]
        self.observations.update(seen if mirror is None else torch.cat([seen, mirror(seen)]))
        if self._pixels:
            seen = torch.nonzero(mask)
            row, step = seen[:: math.ceil(len(seen) / _LOOKED_AT) or 1].unbind(1)
            parts = batch.inputs["pixels_B_T_P"][row, step].split(self._pixels, -1)
            for encoder, part in zip(self.pictures, parts, strict=True):
                assert isinstance(encoder, PictureEncoder)
                encoder.colors.update(encoder.as_picture(part).movedim(1, -1).flatten(0, 2))


class PictureEncoder(nn.Module):
    """Features [..., 256] of a picture, given as its pixels [..., C·H·W]."""

    def __init__(self, size: Size, generator: torch.Generator) -> None:
        super().__init__()
        self.size = size  # channels, height, width
        channels, *sides = size
        layers: list[nn.Module] = []
        for out, side, stride in next(of for least, of in _CONVOLUTIONS.items() if min(sides) >= least):
            layers += [_orthogonal(nn.Conv2d(channels, out, side, stride), generator), nn.ReLU()]
            channels, sides = out, [(one - side) // stride + 1 for one in sides]
        last = _orthogonal(nn.Linear(channels * math.prod(sides), _FEATURES), generator)
        self.layers = nn.Sequential(*layers, nn.Flatten(), last, nn.ReLU())
        # as if it had seen one pixel, of any colour: the first batch is bytes too
        self.colors = RunningMoments(size[0])
        self.colors.count += 1.0
        self.colors.mean += _BYTES_MEAN
        self.colors.m2 += _BYTES_VARIANCE

    def forward(self, pixels: Tensor) -> Tensor:
        """Of pixels of any type and any leading shape."""
        colors = self.as_picture(pixels).float().movedim(1, -1)
        seen = self.colors.normalize(colors, clip=CLIP).movedim(-1, 1)
        return self.layers(seen).reshape(*pixels.shape[:-1], _FEATURES)

    def as_picture(self, pixels: Tensor) -> Tensor:
        """Pixels [..., C·H·W] as pictures [M, C, H, W]."""
        return pixels.reshape(-1, *self.size)


def _orthogonal(layer: nn.Conv2d | nn.Linear, generator: torch.Generator) -> nn.Module:
    """With orthogonal weights of gain √2, and no bias."""
    nn.init.orthogonal_(layer.weight, math.sqrt(2.0), generator=generator)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
