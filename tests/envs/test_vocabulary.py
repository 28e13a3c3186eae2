"""The batch: what is picked, joined and taken apart by the names of its tensors."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from algorithms_batches import random_batch

from peripatos.envs.vocabulary import EPISODES_IN_GROUP, Batch, Episode, episode_number


def with_notes(batch: Batch) -> Batch:
    rows, length = batch.mask_B_T.shape
    notes = {"teacher_top_B_T_K": torch.randn(rows, length, 3), "term_format_B": torch.arange(rows)}
    inputs = {**batch.inputs, "seen_B_T_D": torch.randn(rows, length, 2), "first_B": torch.arange(rows)}
    return replace(batch, inputs=inputs, notes=notes)


def equal(one: Batch, other: Batch) -> bool:
    names = [f.name for f in fields(Batch) if f.name not in ("inputs", "notes")]
    pairs = [(getattr(one, name), getattr(other, name)) for name in names]
    for given in ("inputs", "notes"):
        mine, theirs = getattr(one, given), getattr(other, given)
        assert mine.keys() == theirs.keys()
        pairs += [(mine[name], theirs[name]) for name in mine]
    return all(torch.equal(a, b) for a, b in pairs)


def cut(batch: Batch, rows: list[int]) -> Batch:
    """Those rows, and no column more than they need: what another process would have made of them."""
    part = batch.rows(torch.tensor(rows))
    length = int(torch.where(part.mask_B_T, torch.arange(part.mask_B_T.shape[1]), 0).max()) + 1
    return part._each(lambda name, tensor: tensor[:, :length] if "_B_T" in name else tensor)


@pytest.mark.parametrize(
    "halves", [([0, 1, 2, 3], [4, 5, 6, 7]), ([6, 7, 2, 3], [0, 1, 4, 5]), ([7], [1, 0], [2, 3, 4, 5, 6])]
)
def test_parts_joined_equal_the_whole_whoever_collected_them(halves: tuple[list[int], ...]) -> None:
    batch = with_notes(random_batch(0))
    batch = batch._each(lambda name, x: torch.where(pad(batch, x), x, torch.zeros_like(x)) if "_B_T" in name else x)
    joined = Batch.join([cut(batch, rows) for rows in halves])
    assert equal(joined, cut(batch, list(range(8))))


def pad(batch: Batch, like: torch.Tensor) -> torch.Tensor:
    """bool, as broad as `like`: up to the last chosen unit of each row, behind which there is only padding."""
    last = torch.where(batch.mask_B_T, torch.arange(batch.mask_B_T.shape[1]), -1).amax(dim=1, keepdim=True)
    kept = torch.arange(batch.mask_B_T.shape[1]) <= last
    return kept.view(*kept.shape, *[1] * (like.ndim - 2)).expand_as(like)


def test_rows_of_one_episode_keep_their_order_when_joined() -> None:
    batch = random_batch(0, rows=4)
    batch = replace(batch, episode_B=torch.tensor([5, 5, 2, 2]), group_B=torch.tensor([0, 1, 2, 3]))
    assert Batch.join([batch]).group_B.tolist() == [2, 3, 0, 1]


def test_what_cannot_be_joined_says_why() -> None:
    with pytest.raises(ValueError, match="no batches"):
        Batch.join([])
    with pytest.raises(ValueError, match="term_format_B"):
        Batch.join([random_batch(0), with_notes(random_batch(1))])


def test_units_apart_are_the_chosen_ones_in_their_order_each_with_what_its_row_has() -> None:
    batch = with_notes(random_batch(0))
    apart, mask = batch.units(), batch.mask_B_T
    assert apart.mask_B_T.shape == (int(mask.sum()), 1)
    assert apart.mask_B_T.all()
    assert torch.equal(apart.inputs["seen_B_T_D"][:, 0], batch.inputs["seen_B_T_D"][mask])
    assert torch.equal(apart.notes["term_format_B"], torch.nonzero(mask)[:, 0])
    assert torch.equal(apart.reward_B_T[:, 0], batch.reward_B_T[mask])
    assert len(apart.bundle_B.unique()) == len(apart.bundle_B)


def test_an_episode_has_one_number_in_its_group_and_among_all() -> None:
    assert episode_number(3, 5) == 3 * 2**20 + 5
    assert Episode(3, 5, 0, 0, "train", None).number == episode_number(3, 5)
    with pytest.raises(ValueError, match="at most 1048576"):
        episode_number(0, EPISODES_IN_GROUP)
