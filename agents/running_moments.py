"""Running mean and variance, merged batch by batch.

    δ = mean_b − mean,  n = n_a + n_b:   mean += δ·n_b/n,   M2 += M2_b + δ²·n_a·n_b/n

(Chan, Golub & LeVeque 1979, the parallel form of Welford's recurrence.) Everything is float64 and lives in
module buffers, so that it is in every checkpoint and moves only when somebody calls `update`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_ROUNDING = 1e-7  # of float32, relative


class RunningMoments(nn.Module):
    """Mean and variance over everything seen so far, of vectors with `size` entries.

    Before the first `update` the mean is 0 and the variance 1, so that normalising changes nothing.
    """

    count: Tensor
    mean: Tensor
    m2: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("m2", torch.zeros(size, dtype=torch.float64))

    @torch.no_grad()
    def update(self, x_M_D: Tensor) -> None:
        """Merge M vectors [M, size]; M = 0 changes nothing."""
        if x_M_D.ndim != 2 or x_M_D.shape[1] != self.mean.shape[0]:
            raise ValueError(f"x has shape {list(x_M_D.shape)}; expected [M, {self.mean.shape[0]}]")
        if len(x_M_D) == 0:
            return
        x = x_M_D.to(torch.float64)
        mean, added = x.mean(0), float(len(x))
        delta, total = mean - self.mean, self.count + added
        self.m2 += ((x - mean) ** 2).sum(0) + delta**2 * (self.count * added / total)
        self.mean += delta * (added / total)
        self.count += added

    def std(self) -> Tensor:
        """Standard deviation [size] (population form); 1 before the first update, and where nothing varies.

        A spread below the rounding of float32 around the mean is none; there is no smallest unit otherwise.
        """
        variance = self.m2 / self.count.clamp(min=1.0)
        return torch.where(variance > (_ROUNDING * self.mean) ** 2, variance.sqrt(), torch.ones_like(variance))

    def normalize(self, x: Tensor, *, clip: float) -> Tensor:
        """(x − mean)/std clipped to ±clip, in the type of `x` [..., size]."""
        scale = self.std().reciprocal().to(x.dtype)
        return ((x - self.mean.to(x.dtype)) * scale).clamp(-clip, clip)
