"""Aggregation against literal numbers, and the invariances that make gradient accumulation safe."""

import pytest
import torch

from peripatos.algorithms.aggregate import Shares, reduce, unit_shares

VALUE = torch.tensor([[1.0, 2.0, 3.0], [4.0, float("nan"), 99.0]])
MASK = torch.tensor([[True, True, True], [True, False, False]])
MODES = [("unit_mean", None), ("sequence_mean", None), ("sequence_sum", None), ("constant_length", 3)]


@pytest.mark.parametrize(
    ("mode", "length", "want"),
    [
        ("unit_mean", None, 2.5),
        ("sequence_mean", None, 3.0),
        ("sequence_sum", None, 5.0),
        ("constant_length", 3, 5 / 3),
    ],
)
def test_each_mode_by_hand(mode: str, length: int | None, want: float) -> None:
    assert float(reduce(VALUE, MASK, mode=mode, length=length)) == pytest.approx(want, abs=1e-6)


@pytest.mark.parametrize(("mode", "length"), MODES)
def test_padding_and_empty_rows_change_nothing(mode: str, length: int | None) -> None:
    value = torch.nn.functional.pad(VALUE, (0, 5, 0, 2), value=1e9)
    mask = torch.nn.functional.pad(MASK, (0, 5, 0, 2))
    assert float(reduce(value, mask, mode=mode, length=length)) == float(reduce(VALUE, MASK, mode=mode, length=length))


@pytest.mark.parametrize(("mode", "length"), MODES)
@pytest.mark.parametrize("seed", range(3))
def test_micro_batches_add_up_to_the_whole(mode: str, length: int | None, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    value = torch.randn(7, 11, generator=draw, dtype=torch.float64)
    mask = torch.rand(7, 11, generator=draw) < 0.5
    whole = reduce(value, mask, mode=mode, length=length)
    _, c = unit_shares(mask, mode=mode, length=length)
    parts = []
    for rows in torch.arange(7).split(2):
        a, _ = unit_shares(mask[rows], mode=mode, length=length)
        parts.append(reduce(value[rows], mask[rows], shares=Shares(a, c.sum())))
    assert float(sum(parts)) == pytest.approx(float(whole), rel=1e-6)


def test_several_episodes_packed_into_one_row_are_several_sequences() -> None:
    # the two sequences of VALUE in one row: [1, 2, 3 | 4]
    mask = torch.ones(1, 4, dtype=torch.bool)
    a, c = unit_shares(mask, mode="sequence_mean", end_B_T=torch.tensor([[False, False, True, True]]))
    assert float((torch.tensor([[1.0, 2.0, 3.0, 4.0]]) * a).sum() / c.sum()) == pytest.approx(3.0)


def test_the_gradient_at_masked_out_units_is_exactly_zero_even_if_they_are_nan() -> None:
    value = VALUE.clone().requires_grad_()
    reduce(value, MASK, mode="sequence_mean").backward()
    assert value.grad is not None
    assert value.grad.flatten().tolist() == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2, 0, 0])


def test_a_batch_without_units_reduces_to_zero() -> None:
    assert float(reduce(torch.ones(2, 2), torch.zeros(2, 2, dtype=torch.bool), mode="sequence_mean")) == 0.0


def test_length_belongs_to_constant_length_only() -> None:
    with pytest.raises(ValueError, match="constant_length"):
        reduce(VALUE, MASK, mode="unit_mean", length=3)
    with pytest.raises(ValueError, match="constant_length"):
        reduce(VALUE, MASK, mode="constant_length")
