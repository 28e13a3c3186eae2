"""How prompts are read into their slots: in passes of texts of like length, a group's text once for all its slots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from .slots import Manner, Pass, SlotLayer, weigh

LOOKS = 1 << 25  # pairs of tokens of which one may look at the other, in one pass: a mask has an entry for each


@dataclass(frozen=True)
class Text:
    """Tokens to read into one slot or more, after `start` others that are there."""

    tokens: tuple[int, ...]
    start: int
    slots: list[int]


def in_parts(texts: Sequence[Text], most: int) -> Iterator[list[Text]]:
    """Those that begin their slots apart from those that go on, the longest first. A part has at most `most` tokens,
    padding included, and `LOOKS` pairs of tokens, unless it is a single text, and none is shorter than half of the
    longest."""
    part: list[Text] = []
    for text in sorted(texts, key=lambda text: (text.start > 0, -len(text.tokens))):
        if part:
            P, N = len(part[0].tokens), len(part) + 1
            L = P + max(text.start, *(one.start for one in part))
            alike = (text.start > 0) == (part[0].start > 0) and 2 * len(text.tokens) >= P
            if not alike or most < N * P or N * P * L > LOOKS:
                yield part
                part = []
        part.append(text)
    if part:
        yield part


def reading(texts: Sequence[Text], sent: Callable[[np.ndarray], Tensor]) -> tuple[Tensor, Reading]:
    """The texts as tokens [N, P] and the pass that reads them; `sent` brings an array to the device."""
    P = max(len(text.tokens) for text in texts)
    tokens_N_P, place_N_P = np.zeros((len(texts), P), np.int64), np.zeros((len(texts), P), np.int64)
    goes = []  # [4, …]: row, column, slot, place
    for row, text in enumerate(texts):
        n = len(text.tokens)
        tokens_N_P[row, :n] = text.tokens
        place_N_P[row] = text.start + np.minimum(np.arange(P), n - 1)  # padding has no place
        for slot in text.slots:
            goes.append(np.stack([np.full(n, row), np.arange(n), np.full(n, slot), place_N_P[row, :n]]))
    row_M, column_M, slot_M, position_M = sent(np.concatenate(goes, axis=1))
    work = Reading(
        position_N_P=sent(place_N_P),
        row_M=row_M,
        column_M=column_M,
        slot_M=slot_M,
        position_M=position_M,
        slot_N=sent(np.array([text.slots[0] for text in texts])),
        length=int(place_N_P.max()) + 1,
        fresh=all(text.start == 0 for text in texts),
    )
    return sent(tokens_N_P), work


@dataclass(kw_only=True)
class Reading(Pass):
    """Texts of up to P tokens, right-padded, each read into one slot or more (a group's), after `start` places that
    are in its slot already.

    Token m of M is in row `row_M`, column `column_M`, and goes to `slot_M`, `position_M`.
    """

    row_M: Tensor
    column_M: Tensor
    slot_M: Tensor
    position_M: Tensor
    slot_N: Tensor  # the first of each row
    length: int  # places that the longest row has then
    fresh: bool  # whether every row begins here

    def take(self, layer: SlotLayer, key_N_K_P_D: Tensor, value_N_K_P_D: Tensor) -> tuple[Tensor, Tensor]:
        """Padding goes nowhere."""
        at, of = (self.slot_M, slice(None), self.position_M), (self.row_M, slice(None), self.column_M)
        layer.keys[at], layer.values[at] = key_N_K_P_D[of], value_N_K_P_D[of]  # type: ignore[index]
        if self.fresh:
            return key_N_K_P_D, value_N_K_P_D
        return layer.keys[self.slot_N, :, : self.length], layer.values[self.slot_N, :, : self.length]  # type: ignore[index]

    def seen(self, window: int | None) -> Tensor:
        """bool [N, P, L]."""
        length = self.position_N_P.shape[1] if self.fresh else self.length
        place_L, position = torch.arange(length, device=self.slot_N.device), self.position_N_P[..., None]
        seen = place_L <= position
        return seen if window is None else seen & (place_L > position - window)

    def attend(self, query_N_H_P_D: Tensor, keys: Tensor, values: Tensor, manner: Manner) -> Tensor:
        """Rows that begin here need no mask: nobody looks at padding on the right."""
        N, H, P, D = query_N_H_P_D.shape
        K = keys.shape[1]
        if self.fresh and manner.window is None and manner.cap is None and manner.sink_H is None:
            if query_N_H_P_D.dtype == torch.float32 and H > K:  # for which no fused kernel shares keys
                keys, values = keys.repeat_interleave(H // K, dim=1), values.repeat_interleave(H // K, dim=1)
            said = scaled_dot_product_attention(
                query_N_H_P_D, keys, values, is_causal=True, scale=manner.scale, enable_gqa=keys.shape[1] < H
            )
            return said.transpose(1, 2)
        query = query_N_H_P_D.reshape(N, K, H // K * P, D)
        bias = self.bias(manner.window, query.dtype).repeat(1, 1, H // K, 1)
        said = weigh(query, keys, values, bias, manner, few=False)
        return said.reshape(N, H, P, -1).transpose(1, 2)
