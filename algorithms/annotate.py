"""What a batch lacks when it comes to the learner, read without gradient and in pieces that fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ..agents.protocols import Critic, Scorer
from ..envs.vocabulary import Batch
from .passes import passes


@torch.no_grad()
def read_scores(reader: Scorer, batch: Batch, micro_batch: int | None) -> tuple[Tensor, Tensor]:
    """Log-probability and entropy of every unit under `reader`, [B, T] each; at most `micro_batch` positions in
    one forward pass."""
    return _in_passes(batch, micro_batch, reader, lambda inputs: reader.score(inputs)[:2])


@torch.no_grad()
def with_values(batch: Batch, critic: Critic, micro_batch: int | None) -> Batch:
    """The batch with what `critic` says of its states; zero at units that nobody chose.

    bootstrap = 0 if terminated,   V(s') if the episode was truncated or goes on in another row

    `ValueError` where nobody noted which rows have a state after their last unit (`truncated_B`).
    """
    truncated_B = batch.notes.get("truncated_B")
    if truncated_B is None:
        raise ValueError(
            "a batch without values has to note truncated_B, for a critic to say what comes after its rows"
        )
    value_B_T, successor_B_T = _in_passes(batch, micro_batch, critic, critic.value)
    bootstrap_B_T = torch.where(batch.end_B_T & truncated_B[:, None], successor_B_T, 0.0)
    return replace(batch, value_B_T=torch.where(batch.mask_B_T, value_B_T, 0.0), bootstrap_B_T=bootstrap_B_T)


def _in_passes(
    batch: Batch, units: int | None, reader: object, read: Callable[[Mapping[str, Tensor]], tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """`read` pass by pass, in the batch's own order: [B, T] twice."""
    parts = passes(batch, units, reader)
    if len(parts) == 1:
        return read(batch.inputs)
    seen = [read(batch.rows(part).inputs) for part in parts]
    back_B = torch.argsort(torch.cat(parts))
    first, second = (torch.cat(column)[back_B] for column in zip(*seen, strict=True))
    return first, second
