"""From samples of different lengths to one batch: right-padded, with one column to spare.

The spare column is the state after a row's last token, whose value a truncated episode bootstraps from.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..envs.vocabulary import Batch
from .conversation import Sample


def pack(samples: Sequence[Sample], episodes: Sequence[int], groups: Sequence[int], version: int) -> Batch:
    """The batch of `samples`, row by row; `episodes` and `groups` number each row's. Values are zero."""
    B, T = len(samples), max(len(sample.tokens) for sample in samples) + 1
    tokens = torch.zeros(B, T, dtype=torch.long)
    mask, end = torch.zeros(B, T, dtype=torch.bool), torch.zeros(B, T, dtype=torch.bool)
    logp, reward = torch.zeros(B, T), torch.zeros(B, T)
    turn = torch.zeros(B, T, dtype=torch.long)
    for b, sample in enumerate(samples):
        n = len(sample.tokens)
        tokens[b, :n] = torch.tensor(sample.tokens)
        mask[b, :n] = torch.tensor(sample.chosen)
        logp[b, :n] = torch.tensor(sample.logp)
        turn[b, :n] = torch.tensor(sample.turn)
        for position, value in sample.reward.items():
            reward[b, position] = value
        end[b, torch.nonzero(mask[b])[-1]] = True
    inputs = {
        "tokens": tokens,
        "first": torch.tensor([sample.first for sample in samples]),
        "length": torch.tensor([len(sample.tokens) for sample in samples]),
        "chosen": mask,
    }
    return Batch(
        inputs=inputs,
        mask_B_T=mask,
        behavior_logp_B_T=logp,
        reward_B_T=reward,
        turn_B_T=turn,
        end_B_T=end,
        bootstrap_B_T=torch.zeros(B, T),
        value_B_T=torch.zeros(B, T),
        episode_B=torch.tensor(episodes),
        group_B=torch.tensor(groups),
        version=version,
    )
