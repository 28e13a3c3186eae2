"""Numbers to look at: none of them is trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor


def pass_at_k(n: int, c: int, k: int) -> float:
    """1 − C(n−c, k)/C(n, k): the chance that at least one of k samples, drawn without replacement from n of which
    c are right, is right. Unbiased (Chen et al. 2021, arXiv:2107.03374). `ValueError` unless 0 ≤ c ≤ n, 1 ≤ k ≤ n."""
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@k needs 0 ≤ c ≤ n and 1 ≤ k ≤ n, got n={n}, c={c}, k={k}")
    # 1 − C(n−c, k) / C(n, k)
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def explained_variance(value_B_T: Tensor, target_B_T: Tensor, mask_B_T: Tensor) -> Tensor:
    """1 − Var(target − V)/Var(target) over the mask: 1 is a perfect critic, 0 one that knows the mean at best.
    NaN where it is undefined (fewer than two targets, or all equal)."""
    value, target = value_B_T[mask_B_T].double(), target_B_T[mask_B_T].double()
    if len(target) < 2:
        return target.new_tensor(math.nan)
    # 1 − Var(target − V) / Var(target)
    return torch.where(target.var() > 0, 1 - (target - value).var() / target.var(), math.nan)


def masked_mean(value_B_T: Tensor, mask_B_T: Tensor) -> Tensor:
    """The plain mean over the units in the mask, a scalar in fp64; 0 where there are none."""
    count = mask_B_T.sum().clamp(min=1)
    return torch.where(mask_B_T, value_B_T.double(), 0.0).sum() / count


class Log:
    """Weighted means of numbers that come in pieces. They stay on their device until somebody asks for the means."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Tensor, Tensor]] = {}

    def add(self, metrics: Mapping[str, float | Tensor], weight: float | Tensor = 1.0) -> None:
        """Add one piece; pieces of a mean over units are weighted by their units."""
        for name, value in metrics.items():
            value = torch.as_tensor(value, dtype=torch.float64)
            total, weights = self._sums.get(name, (torch.zeros_like(value), torch.zeros_like(value)))
            self._sums[name] = (total + weight * value, weights + weight)

    def means(self) -> dict[str, float]:
        """Every name with its mean so far, read in one go."""
        if not self._sums:
            return {}
        device = next((total.device for total, _ in self._sums.values() if total.device.type != "cpu"), "cpu")
        columns = [torch.stack([total.to(device), weights.to(device)]) for total, weights in self._sums.values()]
        read = torch.stack(columns).tolist()
        return {name: total / weights for name, (total, weights) in zip(self._sums, read, strict=True) if weights}
