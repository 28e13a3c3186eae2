"""Running mean and variance, merged batch by batch.

    δ = mean_b − mean,  n = n_a + n_b:   mean += δ·n_b/n,   M2 += M2_b + δ²·n_a·n_b/n

(Chan, Golub & LeVeque 1979, the parallel form of Welford's recurrence.) Everything is float64 and lives in
module buffers, so that it is in every checkpoint and moves only when somebody calls `update`.

One number that is out of all bounds would be the spread of everything else for good. So what is not finite, and what
is rare and a million times as far from the mean as the others, is left out and counted.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_ROUNDING = 1e-7  # of float32, relative
_WILD = 1e6  # times as far from the mean as others are
_RARE = 0.1  # share of the vectors; what is more frequent is how it is


def wild(module: nn.Module) -> int:
    """How many vectors all running moments in `module` have left out."""
    return sum(part.left_out for part in module.modules() if isinstance(part, RunningMoments))


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
        self.left_out = 0  # vectors, by this object
        self._scaled: tuple[tuple[Tensor, ...], tuple[object, ...], tuple[Tensor, Tensor]] | None = None

    @torch.no_grad()
    def update(self, x_M_D: Tensor) -> None:
        """Merge M vectors [M, size], without those that are wild; M = 0 changes nothing."""
        if x_M_D.ndim != 2 or x_M_D.shape[1] != self.mean.shape[0]:
            raise ValueError(f"x has shape {list(x_M_D.shape)}; expected [M, {self.mean.shape[0]}]")
        x = self._tame(x_M_D.to(torch.float64))
        if len(x) == 0:
            return
        mean, added = x.mean(0), float(len(x))
        delta, total = mean - self.mean, self.count + added
        self.m2 += ((x - mean) ** 2).sum(0) + delta**2 * (self.count * added / total)
        self.mean += delta * (added / total)
        self.count += added

    def _tame(self, x_M_D: Tensor) -> Tensor:
        """The vectors that are neither infinite nor, as a few among many, out of all bounds."""
        kept_M = x_M_D.isfinite().all(1)
        x = x_M_D if bool(kept_M.all()) else x_M_D[kept_M]
        if len(x) and bool((wild_M := self._is_wild(x)).any()) and float(wild_M.double().mean()) <= _RARE:
            x = x[~wild_M]
        self.left_out += len(x_M_D) - len(x)
        return x

    def _is_wild(self, x_M_D: Tensor) -> Tensor:
        """Where a vector is far from the mean as it was before; at first, from the middle of the others [M]."""
        if self.count > 0:
            center_D = self.mean
            varies_D = self.m2 > 0
            scale_D = torch.where(varies_D, self.std(), center_D.abs().clamp(min=1.0))
        else:
            center_D = x_M_D.median(0).values
            distance = (x_M_D - center_D).abs()
            scale_D = distance.masked_fill(distance == 0, torch.nan).nanmedian(0).values.nan_to_num(1.0)
        return ((x_M_D - center_D).abs() > _WILD * scale_D).any(1)

    def std(self) -> Tensor:
        """Standard deviation [size] (population form); 1 before the first update, and where nothing varies.

        A spread below the rounding of float32 around the mean is none; there is no smallest unit otherwise.
        """
        variance = self.m2 / self.count.clamp(min=1.0)
        return torch.where(variance > (_ROUNDING * self.mean) ** 2, variance.sqrt(), torch.ones_like(variance))

    def normalize(self, x: Tensor, *, clip: float) -> Tensor:
        """(x − mean)/std clipped to ±clip, in the type of `x` [..., size]."""
        mean, scale = self._scaling(x)
        return ((x - mean) * scale).clamp(-clip, clip)

    def _scaling(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and 1/std in the type of `x`, worked out anew only where the statistics have moved, by whomever."""
        moments = (self.count, self.mean, self.m2)
        now = (x.dtype, *(one._version for one in moments))
        known = self._scaled
        if known is None or known[1] != now or any(a is not b for a, b in zip(known[0], moments, strict=True)):
            self._scaled = known = moments, now, (self.mean.to(x.dtype), self.std().reciprocal().to(x.dtype))
        return known[2]
