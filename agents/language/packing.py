"""From samples of different lengths to one batch: right-padded, with one column to spare.

The spare column is the state after a row's last token, whose value a truncated episode bootstraps from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from ...envs.vocabulary import Batch, episode_number
from .sample import Sample

Number = TypeVar("Number", int, float, bool)


def pack(
    samples: Sequence[Sample],
    names: Sequence[tuple[int, int]],
    version: int,
    truncated: Sequence[bool],
    terms: Sequence[Mapping[str, float]] = (),
    shown: Sequence[list[int]] = (),
) -> Batch:
    """The batch of `samples`, row by row. `names`: group and index of each one's episode; `truncated`: whether there is
    a state after its last unit; `terms`: what its episode earned by each named term, noted as `term_NAME_B`; `shown`:
    the prompt of each after a demonstration (`demonstrated`). There are no values: who learns asks its own critic.
    """
    T = max([*(len(sample.tokens) + 1 for sample in samples), *map(len, shown)])

    def padded(rows: list[list[Number]]) -> Tensor:
        return torch.tensor([row + [type(row[0])(0)] * (T - len(row)) for row in rows])

    mask = padded([sample.chosen for sample in samples])
    said = padded([[t >= sample.first for t in range(len(sample.tokens))] for sample in samples])
    reward, end, cut = torch.zeros(mask.shape), torch.zeros_like(mask), torch.zeros_like(mask)
    for b, sample in enumerate(samples):
        for position, value in sample.reward.items():
            reward[b, position] = value
        cut[b, list(sample.cut)] = True
    last = torch.where(mask, torch.arange(T), -1).max(dim=1).values
    end[torch.arange(len(samples)), last] = True
    episode_B = torch.tensor([episode_number(*name) for name in names])
    inputs = {
        "tokens_B_T": padded([sample.tokens for sample in samples]),
        "first_B": torch.tensor([sample.first for sample in samples]),
        "length_B": torch.tensor([len(sample.tokens) for sample in samples]),
        "chosen_B_T": mask,
    }
    if shown:
        inputs |= {"shown_B_T": padded(list(shown)), "shown_first_B": torch.tensor([len(prompt) for prompt in shown])}
    return Batch(
        inputs=inputs,
        mask_B_T=mask,
        behavior_logp_B_T=padded([sample.logp for sample in samples]),
        reward_B_T=reward,
        turn_B_T=padded([sample.turn for sample in samples]),
        end_B_T=end,
        episode_B=episode_B,
        group_B=torch.tensor([group for group, _ in names]),
        version_B=torch.full_like(episode_B, version),
        bundle_B=episode_B,
        notes={
            "cut_B_T": cut,
            "observed_B_T": said & ~mask,
            "truncated_B": torch.tensor(truncated),
            **_by_name(terms),
        },
    )


def _by_name(terms: Sequence[Mapping[str, float]]) -> dict[str, Tensor]:
    """Each term of any row as a note [B]; 0 where a row has none of that name."""
    names = sorted({name for row in terms for name in row})
    return {f"term_{name}_B": torch.tensor([row.get(name, 0.0) for row in terms]) for name in names}
