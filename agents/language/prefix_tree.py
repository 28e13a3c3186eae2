"""The tree path of reading: whatever several rows begin with is computed once, forward and back.

    a b c d          a b c d                    a token is a node: its place is its depth, and it looks at what stands
    a b c e f    ─▶        └ e f                above it in its own tree alone
    x y              x y

Rows are sorted, so that a row's common beginning with all before it is that with the one before it, and a node is the
beginning of an unbroken run of rows. With depth d and run [u, v] of each node,

    i looks at j   ⇔   d_j ≤ d_i  and  u_j ≤ u_i ≤ v_j

Prompts, the earlier turns of conversations that lie in several rows, and replies that begin alike are the same thing
here. Trees, also those of a single row, are laid side by side in the rows that the model is given, as in sequence
packing, so that little is padding. Keys and values are those of the flat rows, and so is the gradient, to rounding.

A mask of N columns makes N² pairs, whether they are looked at or not. So a row joins a tree where that costs less than
to stand alone, a token's matrices counted as `pairs` pairs; and all of it is worth while where it costs `_WORTH` of the
other paths at most, as they are not masked and lose nothing to another kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

_WORTH = 0.87
Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@dataclass(frozen=True)
class Forest:
    """Trees in R rows of N columns. All int64."""

    token_R_N: Tensor
    depth_R_N: Tensor
    first_R_N: Tensor  # the run of sorted rows that begin with a node
    last_R_N: Tensor
    place_B_L: Tensor  # where the token of a flat row stands, r·N + n; 0 behind its end


@dataclass
class _Tree:
    rows: list[int]  # in sorted order, by their number there
    shared: list[int]  # how many tokens of each are those of the row before it
    size: int = 0


def grow(tokens_B_L: Ints, length_B: Ints, pairs: int, other: float) -> Forest | None:
    """The forest of right-padded rows, on the host; None where it costs nearly the `other` paths' cost, in pairs."""
    B, L = tokens_B_L.shape
    tokens = np.where(np.arange(L) < length_B[:, None], tokens_B_L, -1)
    order = np.lexsort(tokens.T[::-1])
    tokens, length = tokens[order], length_B[order]
    trees = _trees(length.tolist(), alike(torch.from_numpy(tokens), torch.from_numpy(length)).tolist(), pairs)
    N = max(tree.size for tree in trees)
    lines = _side_by_side(trees, N)
    R = len(lines)
    if cost(R, N, N, pairs) > _WORTH * other:
        return None
    token, depth = np.zeros((2, R * N), dtype=np.int64)
    first = np.tile(np.arange(B, B + N), R)  # padding looks at itself alone
    last, place = first.copy(), np.zeros((B, L), dtype=np.int64)
    for line, beside in enumerate(lines):
        free, before = line * N, 0
        for tree in beside:
            for row, shared in zip(tree.rows, tree.shared, strict=True):
                n = int(length[row])
                new = slice(free, free + n - shared)
                place[row, :shared] = place[before, :shared]
                place[row, shared:n] = np.arange(new.start, new.stop)
                token[new], depth[new], first[new] = tokens[row, shared:n], np.arange(shared, n), row
                last[place[row, :n]] = row
                free, before = new.stop, row
    back = np.empty_like(place)
    back[order] = place
    token_R_N, depth_R_N, first_R_N, last_R_N = (
        torch.from_numpy(column.reshape(R, N)) for column in (token, depth, first, last)
    )
    return Forest(token_R_N, depth_R_N, first_R_N, last_R_N, torch.from_numpy(back))


def alike(tokens_B_T: Tensor, length_B: Tensor) -> Tensor:
    """int [B]: with how many tokens each row begins as the row before it; 0 for the first."""
    T = tokens_B_T.shape[1]
    within = torch.arange(T, device=length_B.device) < torch.minimum(length_B[1:], length_B[:-1])[:, None]
    same = ((tokens_B_T[1:] == tokens_B_T[:-1]) & within).long().cumprod(dim=1).sum(dim=1)
    return torch.nn.functional.pad(same, (1, 0))


def cost(rows: int, columns: int, seen: float, pairs: int) -> float:
    """Of so many rows and columns, each of which sees `seen` others, in pairs."""
    return rows * columns * (pairs + seen)


def _trees(length: Sequence[int], alike: Sequence[int], pairs: int) -> list[_Tree]:
    trees: list[_Tree] = []
    for row, (n, shared) in enumerate(zip(length, alike, strict=True)):
        size = trees[-1].size if trees else 0
        own = n - shared
        if trees and shared and own * pairs + (size + own) ** 2 - size**2 <= n * pairs + n**2:
            trees[-1].rows.append(row)
            trees[-1].shared.append(shared)
            trees[-1].size += own
        else:
            trees.append(_Tree([row], [0], n))
    return trees


def _side_by_side(trees: list[_Tree], columns: int) -> list[list[_Tree]]:
    """Largest first, each in the first line that has room for it."""
    lines: list[list[_Tree]] = []
    room: list[int] = []
    for tree in sorted(trees, key=lambda tree: -tree.size):
        at = next((line for line, left in enumerate(room) if left >= tree.size), len(lines))
        if at == len(lines):
            lines.append([])
            room.append(columns)
        lines[at].append(tree)
        room[at] -= tree.size
    return lines


def states(backbone: nn.Module, forest: Forest, position_B_C: Tensor, *, bools: bool) -> Tensor:
    """[B, C, H]: the hidden state *before* the token at each of the positions. `bools`: what kind of mask the attention
    takes, one of bools or one that is added."""
    device = position_B_C.device
    moved = (x.to(device, non_blocking=True) for x in (forest.token_R_N, forest.depth_R_N, forest.place_B_L))
    token_R_N, depth_R_N, place_B_L = moved
    first_R_N, last_R_N = (x.to(device, non_blocking=True) for x in (forest.first_R_N, forest.last_R_N))
    # i looks at j ⇔ d_j ≤ d_i and u_j ≤ u_i ≤ v_j
    above = depth_R_N[:, None, :] <= depth_R_N[:, :, None]
    same = (first_R_N[:, None, :] <= first_R_N[:, :, None]) & (first_R_N[:, :, None] <= last_R_N[:, None, :])
    mask = (above & same)[:, None]
    if not bools:
        mask = torch.zeros_like(mask, dtype=torch.float32).masked_fill_(~mask, torch.finfo(torch.float32).min)
    hidden = backbone(
        input_ids=token_R_N, attention_mask=mask, position_ids=depth_R_N, use_cache=False
    ).last_hidden_state.flatten(0, 1)
    before_B_C = place_B_L.gather(1, (position_B_C - 1).clamp(max=place_B_L.shape[1] - 1))
    return hidden.index_select(0, before_B_C.flatten()).view(*before_B_C.shape, -1)
