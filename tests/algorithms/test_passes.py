"""How rows are cut into forward passes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from algorithms_batches import random_batch

from peripatos.algorithms.passes import passes
from peripatos.envs.vocabulary import Batch


def ragged(seed: int) -> Batch:
    """24 rows of one to nine tokens in six groups, two rows to a bundle."""
    batch, draw = random_batch(seed, rows=24, groups=6), np.random.default_rng(seed)
    bundle = batch.group_B * 100 + torch.arange(24) // 12
    length = torch.from_numpy(draw.integers(1, batch.mask_B_T.shape[1] + 1, 24))
    order = torch.from_numpy(draw.permutation(24))
    return replace(batch, inputs={**batch.inputs, "length_B": length}, bundle_B=bundle).rows(order)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("units", [1, 20, 40, 90])
def test_every_row_is_read_once_within_the_budget_and_no_bundle_is_parted(seed: int, units: int) -> None:
    batch = ragged(seed)
    parts = [part.tolist() for part in passes(batch, units)]
    assert sorted(row for part in parts for row in part) == list(range(24))
    bundles = [set(batch.bundle_B[part].tolist()) for part in parts]
    assert sum(map(len, bundles)) == len(set.union(*bundles))
    for part, seen in zip(parts, bundles, strict=True):
        assert len(seen) == 1 or len(part) * int(batch.inputs["length_B"][part].max()) <= units


def test_short_rows_are_not_padded_to_the_longest_of_all() -> None:
    batch = random_batch(0, rows=24, groups=24)
    length = torch.full((24,), 2)
    length[5] = 9
    batch = replace(batch, inputs={**batch.inputs, "length_B": length}, bundle_B=torch.arange(24))
    assert [len(part) for part in passes(batch, 24)] == [12, 11, 1]


def test_a_batch_that_fits_is_one_pass_in_its_own_order() -> None:
    batch = ragged(0)
    for units in (None, batch.mask_B_T.numel()):
        (rows,) = passes(batch, units)
        assert rows.tolist() == list(range(24))


def test_a_groups_rows_follow_each_other_so_that_what_they_share_is_read_once() -> None:
    batch = ragged(1)
    order = batch.group_B[torch.cat(passes(batch, 40))]
    assert int((order[1:] != order[:-1]).sum()) == len(order.unique()) - 1
