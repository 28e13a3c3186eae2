"""What is sampled from logits, in one place: sampler and trainer must mean the same distribution.

    p ∝ softmax(logits / temperature), restricted to the smallest set of tokens with mass ≥ top_p

(nucleus sampling: Holtzman et al. 2020, arXiv:1904.09751). Log-probabilities are of that distribution, at that
temperature and top-p, as importance ratios need them.
"""

from __future__ import annotations

import torch
from torch import Tensor


def log_probabilities(logits_N_V: Tensor, *, temperature: float, top_p: float, kept_N: Tensor | None) -> Tensor:
    """log p over the vocabulary, float32 [N, V]; −inf outside the nucleus.

    `kept_N` are tokens that stay in the support whatever their mass: those that were sampled, which the
    nucleus of a policy that has moved on may no longer hold.
    """
    logp = torch.log_softmax(logits_N_V.float() / temperature, dim=-1)
    if top_p >= 1:
        return logp
    with torch.no_grad():
        ordered, index = logp.sort(dim=-1, descending=True)
        mass_before = ordered.exp().cumsum(dim=-1) - ordered.exp()
        outside = torch.zeros_like(logp, dtype=torch.bool).scatter(-1, index, mass_before >= top_p)
        if kept_N is not None:
            outside.scatter_(-1, kept_N[:, None], False)
    return torch.log_softmax(logp.masked_fill(outside, -torch.inf), dim=-1)


def draw(logp_N_V: Tensor, uniform_N: Tensor) -> Tensor:
    """One token for each row by inverting the cumulative distribution at a uniform number in [0, 1): [N].

    One uniform for each row, against one exponential for each entry of the vocabulary in torch.multinomial.
    A token of probability zero is never drawn.
    """
    cumulative = logp_N_V.exp().cumsum(dim=-1)
    threshold = uniform_N[:, None].to(cumulative) * cumulative[:, -1:]
    # rounding may put the threshold at the total itself, beyond every token
    threshold = torch.minimum(threshold, torch.nextafter(cumulative[:, -1:], torch.zeros_like(threshold)))
    return torch.searchsorted(cumulative, threshold, right=True)[:, 0]


def entropy(logp_N_V: Tensor) -> Tensor:
    """−Σ p log p for each row, [N]; tokens outside the support count zero."""
    return -(logp_N_V.exp() * logp_N_V.masked_fill(logp_N_V == -torch.inf, 0.0)).sum(dim=-1)
