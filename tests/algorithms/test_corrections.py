"""Corrections for a sampler that is not the trainer, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from peripatos.algorithms.corrections import Correction, CorrectionKind, CorrectionLevel
from peripatos.algorithms.levels import Levels
from peripatos.algorithms.weighting import Weighting, policy_weight

RATIOS = torch.tensor([[4.0, 0.25, 1.5, 9.0], [0.75, 0.75, 0.75, 1.0]], dtype=torch.float64)
MASK = torch.tensor([[True, True, True, False], [True, True, True, True]])


def corrected(
    level: CorrectionLevel, kind: CorrectionKind, end: Tensor | None = None, episode: Tensor | None = None
) -> tuple[list[list[float]], list[list[bool]]]:
    behavior = torch.full_like(RATIOS, -3.0)
    levels = Levels(MASK, end_B_T=end, episode_B=episode)
    got = Correction(2.0, level, kind)(behavior + RATIOS.log(), behavior, levels)
    return [[round(x, 12) for x in row] for row in got.trust_B_T.tolist()], got.beyond_B_T.tolist()


def test_a_units_ratio_is_cut_or_masked_by_hand() -> None:
    cut = [[True, False, False, False], [False] * 4]
    assert corrected("unit", "truncate") == ([[2.0, 0.25, 1.5, 1.0], [0.75, 0.75, 0.75, 1.0]], cut)
    assert corrected("unit", "mask") == ([[0.0, 0.25, 1.5, 1.0], [0.75, 0.75, 0.75, 1.0]], cut)
    outside = [[True, True, False, False], [False] * 4]
    assert corrected("unit", "band") == ([[0.0, 0.0, 1.5, 1.0], [0.75, 0.75, 0.75, 1.0]], outside)


def test_a_sequences_ratio_is_the_product_of_its_units_by_hand() -> None:
    # 4 · ¼ · 1.5 = 1.5 (the fourth is not there);  ¾ · ¾ · ¾ · 1 = 27/64
    assert corrected("sequence", "truncate") == ([[1.5, 1.5, 1.5, 1.0], [0.421875] * 4], [[False] * 4] * 2)
    trust, beyond = corrected("sequence", "band")
    assert trust == [[1.5, 1.5, 1.5, 1.0], [0.0] * 4]
    assert beyond == [[False] * 4, [True] * 4]


def test_an_end_parts_a_row_and_rows_of_one_episode_are_one_sequence() -> None:
    end = torch.tensor([[True, False, True, False], [False, False, False, True]])  # 4 | ¼ · 1.5
    assert corrected("sequence", "truncate", end)[0] == [[2.0, 0.375, 0.375, 1.0], [0.421875] * 4]
    together = torch.tensor([7, 7])  # 1.5 · 27/64
    assert corrected("sequence", "truncate", episode=together)[0] == [
        [0.6328125, 0.6328125, 0.6328125, 1.0],
        [0.6328125] * 4,
    ]


@pytest.mark.parametrize("kind", ["truncate", "mask", "band"])
@pytest.mark.parametrize("level", ["unit", "sequence"])
def test_a_unit_that_is_not_there_is_never_beyond_a_bound_below_1(level: CorrectionLevel, kind: CorrectionKind) -> None:
    got = Correction(0.5, level, kind)(RATIOS.log(), torch.zeros_like(RATIOS), Levels(MASK))
    assert (got.trust_B_T[~MASK].tolist(), got.beyond_B_T[~MASK].tolist()) == ([1.0], [False])


def test_a_ratio_that_no_number_holds_is_cut_and_never_spoils_a_weight() -> None:
    far = torch.tensor([[2000.0, 2000.0]])
    for kind, want in (("truncate", 6.0), ("mask", 0.0), ("band", 0.0)):
        for level in ("unit", "sequence"):
            rule = Weighting(correction=2.0, correction_kind=kind, correction_level=level)  # type: ignore[arg-type]
            mask, ends = torch.ones(1, 2, dtype=torch.bool), torch.tensor([[False, True]])
            got = policy_weight(
                far, torch.full((1, 2), 3.0), mask, rule,
                old_logp_B_T=far, behavior_logp_B_T=torch.zeros(1, 2), end_B_T=ends,
            )  # fmt: skip
            assert got.weight_B_T.tolist() == [[want, want]], (kind, level)
            assert got.corrected_B_T is not None
            assert bool(got.corrected_B_T.all())


def test_an_unknown_level_or_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="level must be 'unit' or 'sequence'"):
        corrected("turn", "mask")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kind must be 'truncate', 'mask' or 'band'"):
        corrected("unit", "clip")  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(3))
def test_the_exact_ratio_of_sequences_is_unbiased_on_every_sequence_of_two_choices(seed: int) -> None:
    """E_behavior[ρ f] = E_π[f], summed over all sequences of two binary choices."""
    rng = torch.Generator().manual_seed(seed)
    p, q = (torch.rand(3, generator=rng, dtype=torch.float64) * 0.8 + 0.1 for _ in range(2))  # P(1) at ·, 0, 1
    f = torch.rand(4, generator=rng, dtype=torch.float64)
    both = [(first, second) for first in (0, 1) for second in (0, 1)]

    def logp(of: Tensor) -> Tensor:
        chances = [[of[0] if a else 1 - of[0], of[1 + a] if b else 1 - of[1 + a]] for a, b in both]
        return torch.tensor(chances, dtype=torch.float64).log()

    mask = torch.ones(4, 2, dtype=torch.bool)
    got = Correction(math.inf, "sequence")(logp(p), logp(q), Levels(mask))
    estimate = (logp(q).sum(1).exp() * got.trust_B_T[:, 0] * f).sum()
    assert float(estimate) == pytest.approx(float((logp(p).sum(1).exp() * f).sum()), rel=1e-12), f"seed {seed}"
