"""How far apart two batches, two tensors or two gradients are: what the checks measure by."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ...envs.vocabulary import Batch


@dataclass(frozen=True)
class Measured:
    """What a check has found: a figure, which is 0 where nothing differs, and what it is of."""

    figure: float
    detail: str


def columns(batch: Batch) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a batch, by its name."""
    for field in fields(batch):
        value = getattr(batch, field.name)
        if isinstance(value, Tensor):
            yield field.name, value
        elif isinstance(value, Mapping):
            yield from value.items()


def unequal(one: Batch, other: Batch) -> Measured:
    """How many values of two batches differ; all of a column whose shape does, or that one of them lacks."""
    ours, theirs, wrong = dict(columns(one)), dict(columns(other)), dict[str, int]()
    for name in dict.fromkeys((*ours, *theirs)):
        a, b = ours.get(name), theirs.get(name)
        if a is None or b is None or a.shape != b.shape:
            wrong[name] = max(x.numel() for x in (a, b) if x is not None)
        elif count := int((~same(a, b)).sum()):
            wrong[name] = count
    where = f": {', '.join(wrong)}" if wrong else ""
    total = sum(x.numel() for x in ours.values())
    return Measured(sum(wrong.values()), f"{sum(wrong.values()):,} of {total:,} values differ{where}")


def same(one: Tensor, other: Tensor) -> Tensor:
    """bool: where two tensors of one shape are equal, or both nothing."""
    return (one == other) | ((one != one) & (other != other))


def largest(one: Tensor, other: Tensor) -> float:
    """The largest |difference|; infinite where one of the two is not finite."""
    gap = (one.detach().double() - other.detach().double()).abs()
    return float(torch.where(gap.isfinite(), gap, math.inf).max()) if gap.numel() else 0.0


def relative(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """‖g − g'‖ / ‖g‖ of two gradients; infinite where one of the two is not finite, 0 where both are zero."""
    apart = math.sqrt(sum(float((a.double() - b.double()).square().sum()) for a, b in zip(one, other, strict=True)))
    size = math.sqrt(sum(float(a.double().square().sum()) for a in one))
    if not math.isfinite(apart) or not math.isfinite(size):
        return math.inf
    return apart / size if size else math.inf if apart else 0.0
