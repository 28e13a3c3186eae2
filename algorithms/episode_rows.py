"""Which rows of a batch make one episode, and how they are joined and split again.

An episode leaves several rows where a chat template rewrites its earlier turns. Whatever is said of an episode (its
return, its length, its ratio) is said of all of them together.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from ..envs.vocabulary import Batch


@dataclass(frozen=True)
class EpisodeRows:
    """How the rows of a batch lie in its episodes: row b is number `rank_B[b]` of episode `episode_B[b]`.

    Joined rows stand side by side, [E, R·T], padding and all: what is masked out is skipped in time.
    """

    episode_B: Tensor
    rank_B: Tensor
    shape: tuple[int, int, int]  # E episodes of at most R rows of T units

    def join(self, x_B_T: Tensor) -> Tensor:
        whole = x_B_T.new_zeros(self.shape)
        whole[self.episode_B, self.rank_B] = x_B_T
        return whole.flatten(1)

    def split(self, x_E_L: Tensor) -> Tensor:
        return x_E_L.unflatten(1, self.shape[1:])[self.episode_B, self.rank_B]

    def last_ends(self, mask_B_T: Tensor, end_B_T: Tensor) -> Tensor:
        """The ends that are one's own: not that of a row which goes on in another."""
        goes_on = torch.zeros(self.shape[:2], dtype=torch.bool, device=self.rank_B.device)
        later = self.rank_B > 0
        goes_on[self.episode_B[later], self.rank_B[later] - 1] = True
        column = torch.arange(self.shape[2], device=self.rank_B.device).expand_as(mask_B_T)
        last = torch.where(mask_B_T, column, -1).amax(dim=1, keepdim=True)
        return end_B_T & ~(goes_on[self.episode_B, self.rank_B][:, None] & (column == last))

    def join_batch(self, batch: Batch) -> Batch:
        """`batch` with a row for each episode, and of its notes the terms of rewards and the energies. Where a row goes
        on in another one, it does not end."""
        end = self.last_ends(batch.mask_B_T, batch.end_B_T)
        names = [f.name for f in fields(batch) if f.name.endswith("_B_T") and getattr(batch, f.name) is not None]
        joined = {name: self.join(end if name == "end_B_T" else getattr(batch, name)) for name in names}
        number = torch.arange(self.shape[0], device=self.rank_B.device)

        def per_episode(x_B: Tensor) -> Tensor:
            return x_B.new_zeros(self.shape[0]).scatter_(0, self.episode_B, x_B)

        group = per_episode(batch.group_B)
        terms = {name: per_episode(x) for name, x in batch.notes.items() if name.startswith("term_")}
        energy = {name: self.join(x) for name, x in batch.notes.items() if name == "energy_B_T"}
        return replace(
            batch, inputs={}, notes=terms | energy, episode_B=number, bundle_B=number, group_B=group, **joined
        )


def episode_rows(episode_B: Tensor, length: int) -> EpisodeRows:
    """The layout of rows of `length` units, of which those with equal `episode_B` [B] are one episode, in order."""
    _, episode = torch.unique(episode_B, return_inverse=True)
    size = torch.bincount(episode)
    order = torch.argsort(episode, stable=True)
    rank = torch.empty_like(episode)
    rank[order] = torch.arange(len(order), device=order.device) - (size.cumsum(0) - size)[episode[order]]
    longest = int(size.max()) if len(size) else 0
    return EpisodeRows(episode, rank, (len(size), longest, length))
