"""Places that several rows have alike, a group's prompt for most: on a CPU a step looks at them once for all rows.

    o = Σ_c w_c o_c,   w_c = exp(ℓ_c − ℓ),   ℓ = log Σ_c exp(ℓ_c),   ℓ_c = log Σ_(places of c) exp(scale · q·k)

The queries of all rows that have a beginning alike are queries of one row over the beginning, a product that reads
these keys once and not once a row; each row looks at what follows in its own slot, and the two are put together by
their sums (Hydragen: Juravsky et al. 2024, arXiv:2402.05099). That is the flat attention to rounding.

Every slot holds its whole row all the same, so a row that has the beginning read may end, be rewritten or be dropped at
any time: the next step reads another's. On a GPU, where a step is recorded and its kernels may not depend on who is in
which group, all is looked at slot by slot.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

WORTH = 1024  # places that need not be read again, for each group: below, to put two parts together takes longer


class Part(NamedTuple):
    """What queries read from some of the places that they look at."""

    said_N_K_G_D: Tensor
    total_N_K_G: Tensor  # log Σ exp(scale · q·k), fp32


@dataclass(frozen=True)
class Alike:
    """The first `length` places are the same in the slots of each group: one of them, which is read for all, and which
    of the step's rows the group has. Every row is in a group, if need be in one of its own."""

    length: int
    groups: tuple[tuple[int, Tensor], ...]

    def weigh(self, query_N_K_G_D: Tensor, keys: Tensor, values: Tensor, scale: float) -> Part:
        """What the rows read from there, of the keys and values of all slots [S, K, L, D]."""
        N, K, G, D = query_N_K_G_D.shape
        said = query_N_K_G_D.new_empty(N, K, G, values.shape[3])
        total = said.new_empty(N, K, G, dtype=torch.promote_types(said.dtype, torch.float32))
        for slot, row_M in self.groups:
            M = len(row_M)
            query = query_N_K_G_D[row_M].transpose(0, 1).reshape(1, K, M * G, D)
            at = (slice(slot, slot + 1), slice(None), slice(self.length))
            part = weigh_part(query, keys[at], values[at], None, scale)
            said[row_M] = part.said_N_K_G_D.view(K, M, G, -1).transpose(0, 1)
            total[row_M] = part.total_N_K_G.view(K, M, G).transpose(0, 1)
        return Part(said, total)


def alike_of(rows: Iterable[tuple[int, Hashable, int]]) -> Alike | None:
    """What the rows of a step have alike, where that is worth while. Of each: its slot, the group that it began with,
    and in how many places it is still as the others of its group."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    slots, length = [], sys.maxsize
    for place, (slot, group, places) in enumerate(sorted(rows)):
        slots.append(slot)
        groups[group].append(place)
        length = min(length, places)
    if length * (len(slots) - len(groups)) < WORTH * len(groups):
        return None
    return Alike(length, tuple((slots[group[0]], torch.tensor(group)) for group in groups.values()))


def fits_part(query: Tensor, keys: Tensor, values: Tensor) -> bool:
    """Whether `weigh_part` takes them."""
    return query.dtype == keys.dtype == values.dtype and query.shape[3] == keys.shape[3] == values.shape[3]


def weigh_part(query: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None, scale: float) -> Part:
    """softmax(scale · q·k + bias) v of queries [N, K, G, D] and keys [N, K, L, D], by torch's kernel for a CPU."""
    return Part(
        *torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, keys, values, 0.0, False, attn_mask=bias, scale=scale
        )
    )


def merged(one: Part, other: Part) -> Tensor:
    """What both parts say together, [N, K, G, D], fp32 at least."""
    weight = torch.sigmoid(other.total_N_K_G - one.total_N_K_G)[..., None]
    return torch.lerp(one.said_N_K_G_D.to(weight.dtype), other.said_N_K_G_D.to(weight.dtype), weight)
