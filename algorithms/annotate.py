"""What a batch lacks when it comes to the learner, read without gradient and in pieces that fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ..agents.protocols import Critic, Energetic, Hearing, Policy, Scorer
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


@torch.no_grad()
def with_energy(batch: Batch, policy: Policy, micro_batch: int | None) -> Batch:
    """The batch with a note of the energy of every unit, `energy_B_T`, for `optimal_baseline`.

    `ValueError` for a policy that cannot say.
    """
    if not isinstance(policy, Energetic):
        raise ValueError("the optimal baseline needs a policy that gives the energy of what was chosen")

    def read(inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        return (energy_B_T := policy.energy(inputs)), energy_B_T

    energy_B_T, _ = _in_passes(batch, micro_batch, policy, read)
    return replace(batch, notes={**batch.notes, "energy_B_T": torch.where(batch.mask_B_T, energy_B_T, 0.0)})


def with_observed(batch: Batch, policy: Policy) -> Batch:
    """The batch as it is read where the world's words are learned from too: scores of it have their log-probabilities.

    `ValueError` where nobody noted which they are (`observed_B_T`), or for a policy that cannot say.
    """
    if "observed_B_T" not in batch.notes:
        raise ValueError("a method that learns what the world says needs a batch that notes observed_B_T")
    if not isinstance(policy, Hearing):
        raise ValueError("a method that learns what the world says needs a policy that gives its words probabilities")
    return replace(batch, inputs=policy.hearing(batch.inputs, batch.notes["observed_B_T"]))


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
