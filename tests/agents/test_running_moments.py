"""Running statistics equal those of everything seen, however it was cut into batches."""

import numpy as np
import pytest
import torch

from peripatos.agents.running_moments import RunningMoments


@pytest.mark.parametrize("seed", [0, 1])
def test_merging_batches_equals_the_moments_of_the_whole(seed):
    rng = np.random.default_rng(seed)
    data = rng.normal(1000.0, 0.5, (1000, 3))  # a large mean, which naive sums of squares get wrong
    moments = RunningMoments(3)
    for part in np.split(data, [1, 7, 300, 300, 900]):
        moments.update(torch.from_numpy(part))
    assert moments.count.item() == 1000
    assert moments.mean.numpy() == pytest.approx(data.mean(0), rel=1e-12)
    assert moments.std().numpy() == pytest.approx(data.std(0), rel=1e-9)


def test_before_anything_was_seen_normalising_changes_nothing_but_the_clip():
    x = torch.tensor([[1.0, -20.0]])
    assert RunningMoments(2).normalize(x, clip=10.0).tolist() == [[1.0, -10.0]]


def test_an_entry_that_never_varies_is_only_centred():
    moments = RunningMoments(1)
    moments.update(torch.full((5, 1), 3.0))
    assert moments.normalize(torch.tensor([[4.0]]), clip=10.0).tolist() == [[1.0]]


@pytest.mark.parametrize("unit", [1e-15, 3e-7, 1.0, 1e9])
def test_the_unit_of_measurement_changes_nothing(unit):
    seen = torch.tensor([[-1.0], [1.0], [2.0]])
    moments, plain = RunningMoments(1), RunningMoments(1)
    moments.update(seen * unit)
    plain.update(seen)
    torch.testing.assert_close(moments.normalize(seen * unit, clip=10.0), plain.normalize(seen, clip=10.0))


@pytest.mark.parametrize("value", [0.1, 1e-9, 3e8])
def test_a_constant_in_any_unit_has_no_spread(value):
    moments = RunningMoments(1)
    for rows in (1, 7, 1000):
        moments.update(torch.full((rows, 1), value))
    assert moments.std().tolist() == [1.0]


def test_the_wrong_width_is_refused():
    with pytest.raises(ValueError, match=r"\[4, 2\]; expected \[M, 3\]"):
        RunningMoments(3).update(torch.zeros(4, 2))


@pytest.mark.parametrize("wild", [1e30, -1e12, float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("first", [True, False], ids=["in the first batch", "later"])
def test_one_number_out_of_all_bounds_is_left_out_and_counted(wild: float, first: bool) -> None:
    clean = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    dirty = clean.clone()
    dirty[7, 1] = wild
    moments, expected = RunningMoments(2), RunningMoments(2)
    if not first:
        moments.update(clean)
        expected.update(clean)
    moments.update(dirty)
    expected.update(torch.cat([dirty[:7], dirty[8:]]))
    assert moments.left_out == 1
    assert torch.equal(moments.mean, expected.mean)
    assert torch.equal(moments.m2, expected.m2)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e25])
def test_what_is_frequent_is_how_it_is(scale: float) -> None:
    rare_reward = torch.zeros(1000, 1)
    rare_reward[3] = scale
    often = torch.randn(1000, 1, generator=torch.Generator().manual_seed(1)) * scale
    moments = RunningMoments(1)
    for x in (rare_reward, often, torch.ones(1000, 1)):
        moments.update(x)
    assert moments.left_out == 0
