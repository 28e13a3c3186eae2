"""How rows are cut into forward passes."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from algorithms_batches import random_batch
from torch import Tensor

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
    parts = [part.tolist() for part in passes(batch, units, None)]
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
    assert [len(part) for part in passes(batch, 24, None)] == [12, 11, 1]


def test_a_batch_that_fits_is_one_pass_in_its_own_order() -> None:
    batch = ragged(0)
    for units in (None, batch.mask_B_T.numel()):
        (rows,) = passes(batch, units, None)
        assert rows.tolist() == list(range(24))


def test_a_groups_rows_follow_each_other_so_that_what_they_share_is_read_once() -> None:
    batch = ragged(1)
    order = batch.group_B[torch.cat(passes(batch, 40, None))]
    assert int((order[1:] != order[:-1]).sum()) == len(order.unique()) - 1


class Reader:
    """Of rows that begin alike; as `LanguagePolicy` counts, in plain Python."""

    def positions(self, inputs: Mapping[str, Tensor]) -> Tensor:
        added, before = [], []
        for row in rows_of(inputs):
            same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(row, before, strict=False))
            added.append(len(row) - len(list(same)))
            before = row
        return torch.tensor(added)


def rows_of(inputs: Mapping[str, Tensor]) -> list[list[int]]:
    """Without padding."""
    return [row[:n] for row, n in zip(inputs["tokens_B_T"].tolist(), inputs["length_B"].tolist(), strict=True)]


def nodes(rows: Sequence[Sequence[int]]) -> int:
    """How many different beginnings there are: what a tree of them computes."""
    return len({tuple(row[: n + 1]) for row in rows for n in range(len(row))})


def of_prompts(seed: int) -> Batch:
    """Six groups of four rows: a prompt of nine tokens each, and replies of one to four; the rows in any order."""
    batch, draw = random_batch(seed, rows=24, groups=6), np.random.default_rng(seed)
    length = torch.from_numpy(draw.integers(10, 14, 24))
    prompts = torch.from_numpy(draw.integers(0, 50, (6, 9)))[torch.unique(batch.group_B, return_inverse=True)[1]]
    tokens = torch.cat([prompts, torch.from_numpy(draw.integers(0, 3, (24, 4)))], dim=1)
    batch = replace(
        batch, inputs={"tokens_B_T": tokens, "length_B": length}, mask_B_T=torch.ones(24, 14, dtype=torch.bool)
    )
    return batch.rows(torch.from_numpy(draw.permutation(24)))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("units", [1, 30, 60, 100])
def test_what_rows_begin_with_alike_counts_once_for_who_reads_it_once(seed: int, units: int) -> None:
    batch = of_prompts(seed)
    parts = [part.tolist() for part in passes(batch, units, Reader())]
    assert sorted(row for part in parts for row in part) == list(range(24))
    rows = rows_of(batch.inputs)
    for part in parts:
        assert len(part) == 1 or nodes([rows[row] for row in part]) <= units
    if units >= 60:
        assert len(parts) < len(passes(batch, units, None)) / 1.5


def test_a_batch_that_fits_only_because_beginnings_are_shared_is_one_pass_in_its_own_order() -> None:
    batch = of_prompts(0)
    (rows,) = passes(batch, 6 * 9 + 24 * 4, Reader())
    assert rows.tolist() == list(range(24))
