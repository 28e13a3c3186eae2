"""What the learner said of an episode's tokens, written to its record, where `show` reads it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace

import torch
from torch import Tensor

from ...algorithms.update import Units
from ...envs.vocabulary import Batch, Episode


def with_units(episodes: Sequence[Episode], batch: Batch, units: Units) -> list[Episode]:
    """`episodes` with the `units` of those that `batch` holds as rows of tokens: one for each sequence
    with a reply."""
    return [replace(episode, learned=_learned(episode, batch, units)) for episode in episodes]


def _learned(episode: Episode, batch: Batch, units: Units) -> tuple[dict[str, list[float | None]], ...]:
    rows = torch.nonzero(batch.episode_B == episode.number)[:, 0].tolist() if episode.tokens else []
    if not rows:
        return ()
    learned = []
    for seen in episode.sequences():
        row = rows.pop(0) if any(seen["mask"]) else None
        learned.append(
            {}
            if row is None
            else {
                field.name.removesuffix("_B_T"): _numbers(getattr(units, field.name)[row], len(seen["tokens"]))
                for field in fields(units)
            }
        )
    return tuple(learned)


def _numbers(row_T: Tensor, length: int) -> list[float | None]:
    """The first `length` numbers of a row; None for those that are not finite."""
    return [value if math.isfinite(value) else None for value in row_T[:length].tolist()]
