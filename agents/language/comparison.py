"""How far a policy is from a teacher at each token, over the whole vocabulary.

    KL(π ‖ ν) = Σ_v π(v)·(log π(v) − log ν(v)) = E_v∼π [log π(v) − log ν(v)]

exact, where the token that was sampled is one draw of it (Agarwal et al. 2023, arXiv:2306.13649). No more than a piece
of the two vocabularies is in memory at a time: what the teacher keeps of a unit is its hidden state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

Whole = Callable[[slice], Tensor]  # some of the chosen tokens → log ν of all that might have been, [n, V]


class Teaching(Protocol):
    """Who says how likely every token would have been where a policy chose one."""

    def whole(self, inputs: Mapping[str, Tensor]) -> Whole:
        """Of the chosen tokens in `inputs`, row by row."""
        ...


def divergence(logp_N_V: Tensor, teacher_N_V: Tensor) -> Tensor:
    """KL(π ‖ ν) of each row, [N], differentiable in `logp_N_V`; tokens that π cannot choose count zero. `ValueError`
    for vocabularies of two sizes."""
    if logp_N_V.shape != teacher_N_V.shape:
        own, theirs = logp_N_V.shape[-1], teacher_N_V.shape[-1]
        raise ValueError(f"a teacher of {theirs:,} tokens cannot be compared with a policy of {own:,}")
    impossible = logp_N_V == -torch.inf  # as some models have unused tokens; 0 · (∞ − ∞) is no number
    apart = logp_N_V.masked_fill(impossible, 0.0) - teacher_N_V.masked_fill(impossible, 0.0)
    # Σ π·(log π − log ν)
    return (logp_N_V.exp() * apart).sum(dim=-1)
