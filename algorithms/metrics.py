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


def with_effective_share(means: Mapping[str, float]) -> dict[str, float]:
    """(Σρ)² / (n·Σρ²) in the place of the mean of ρ²: the effective sample size as a share of the samples (Kish 1965),
    1 where all ratios are equal."""
    squared = means.get("policy/ratio_squared", 0.0)
    rest = {name: value for name, value in means.items() if name != "policy/ratio_squared"}
    # ρ̄² / mean(ρ²)
    return rest | ({"policy/effective_share": rest["policy/ratio"] ** 2 / squared} if squared else {})


class Log:
    """Weighted means of numbers that come in pieces. Tensors stay on their device until somebody asks for the means;
    numbers of Python stay what they are, for arithmetic on tensors takes a hundred times as long."""

    def __init__(self) -> None:
        self._numbers: dict[str, tuple[float, float]] = {}  # Σ w·x and Σ w of each
        self._sums: dict[tuple[str, ...], tuple[Tensor, Tensor]] = {}  # the same of tensors, by the names of a block

    def add(self, metrics: Mapping[str, float | Tensor], weight: float = 1.0) -> None:
        """Add one piece; pieces of a mean over units are weighted by their units. What comes as a tensor does so each
        time."""
        for name, value in metrics.items():
            if isinstance(value, Tensor):
                total = weight * value.to(torch.float64)
                self._put((name,), total, torch.full_like(total, weight))
            else:
                before, weights = self._numbers.get(name, (0.0, 0.0))
                self._numbers[name] = (before + weight * value, weights + weight)

    def add_units(self, metrics: Mapping[str, Tensor], mask_B_T: Tensor) -> None:
        """Add what was seen of each unit in the mask, [B, T] each: all in one pass over memory."""
        seen = torch.stack([value.double() for value in metrics.values()])
        sums = torch.where(mask_B_T, seen, 0.0).sum(dim=(1, 2))
        self._put(tuple(metrics), sums, mask_B_T.sum().double().expand_as(sums))

    def means(self) -> dict[str, float]:
        """Every name with its mean so far, tensors first, read in one go."""
        means = {name: total / weights for name, (total, weights) in self._numbers.items() if weights}
        if not self._sums:
            return means
        device = next((total.device for total, _ in self._sums.values() if total.device.type != "cpu"), "cpu")
        blocks = [(total.to(device), weights.to(device)) for total, weights in self._sums.values()]
        read = torch.cat([torch.stack([total.view(-1), weights.view(-1)], 1) for total, weights in blocks]).tolist()
        names = [name for block in self._sums for name in block]
        return {name: total / weights for name, (total, weights) in zip(names, read, strict=True) if weights} | means

    def _put(self, names: tuple[str, ...], total: Tensor, weights: Tensor) -> None:
        """More of the sums of a block of numbers, which come together each time."""
        if names in self._sums:
            before, more = self._sums[names]
            total, weights = before + total, more + weights
        self._sums[names] = (total, weights)
