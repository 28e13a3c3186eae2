"""What a batch lacks when it comes to the learner, read without gradient and in pieces that fit into memory."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..agents.protocols import Critic, Policy
from ..envs.vocabulary import Batch


@torch.no_grad()
def read_scores(policy: Policy, batch: Batch, micro_batch: int | None) -> tuple[Tensor, Tensor]:
    """Log-probability and entropy of every unit under `policy`, [B, T] each; at most `micro_batch` units (with padding)
    in one forward pass."""
    read = [policy.score(batch.rows(part).inputs) for part in _parts(batch, micro_batch)]
    return torch.cat([seen.logp_B_T for seen in read]), torch.cat([seen.entropy_B_T for seen in read])


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
    read = [critic.value(batch.rows(part).inputs) for part in _parts(batch, micro_batch)]
    value_B_T, successor_B_T = (torch.cat(column) for column in zip(*read, strict=True))
    bootstrap_B_T = torch.where(batch.end_B_T & truncated_B[:, None], successor_B_T, 0.0)
    return replace(batch, value_B_T=torch.where(batch.mask_B_T, value_B_T, 0.0), bootstrap_B_T=bootstrap_B_T)


def _parts(batch: Batch, micro_batch: int | None) -> tuple[Tensor, ...]:
    """The numbers of the rows of each forward pass."""
    rows, length = batch.mask_B_T.shape
    size = rows if micro_batch is None else max(1, micro_batch // max(1, length))
    return torch.arange(rows, device=batch.mask_B_T.device).split(size)
