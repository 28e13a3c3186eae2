"""Every kind of clip and trust region by hand, one ratio at a time."""

import math

import pytest
import torch

from peripatos.algorithms.clips import Cap, Clip, Geometric, Kernel, Silence, Soft
from peripatos.algorithms.levels import Levels
from peripatos.algorithms.trust import Gap, Stale

ROW = Levels(torch.ones(1, 1, dtype=torch.bool))


def cell(value: float) -> torch.Tensor:
    return torch.tensor([[value]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("clip", "ratio", "advantage", "factor", "silent"),
    [
        (Silence(0.2, 0.28), 1.25, 1.0, 1.25, False),  # DAPO's upper clip is farther
        (Silence(0.2, 0.2), 1.25, 1.0, 0.0, True),
        (Silence(0.2, 0.2), 5.0, -2.0, 5.0, False),
        (Silence(0.2, 0.2, dual=3.0), 5.0, -2.0, 0.0, True),
        (Silence(0.2, 0.2, dual=3.0), 2.9, -2.0, 2.9, False),
        (Silence(0.2, 0.2, dual=3.0), 5.0, 2.0, 0.0, True),
        (Cap(None, 4.0), 7.0, 1.0, 5.0, True),
        (Cap(None, 4.0), 0.1, -1.0, 0.1, False),
        (Cap(0.2, 0.2), 0.1, 1.0, 0.8, True),
        (Soft(1.0, 1.05), 1.0, 1.0, 1.0, False),
        # σ(2) = 0.880797, so 4 · 0.880797 · 0.119203 · 3;   σ(2.1) = 0.890903, so 4 · 0.890903 · 0.109097 · 3
        (Soft(1.0, 1.05), 3.0, 1.0, 1.259923, False),
        (Soft(1.0, 1.05), 3.0, -1.0, 1.166335, False),
        (Kernel(), 1.0, 1.0, 1.0, False),
        (Kernel(), 2.0, 1.0, 4 * math.exp(-3), False),  # e³ · 2² · e⁻⁶
        (Kernel(), 2.0, -1.0, 8 * math.exp(-2), False),  # e² · 2³ · e⁻⁴
        (Kernel(), 0.5, 0.0, 0.25 * math.exp(1.5), False),
    ],
)
def test_a_clip_by_hand(clip: Clip, ratio: float, advantage: float, factor: float, silent: bool) -> None:
    got = clip(cell(math.log(ratio)), cell(advantage), ROW)
    assert float(got.factor_B_T) == pytest.approx(factor, abs=1e-5)
    assert bool(got.silent_B_T) is silent


def test_the_dual_clips_objective_is_bounded_by_c_times_a_bad_advantage() -> None:
    got = Silence(0.2, 0.2, dual=3.0)(cell(math.log(5.0)), cell(-2.0), ROW)
    assert float(got.objective_B_T) == pytest.approx(-6.0)


def test_the_geometric_mean_is_of_clipped_ratios_and_clipped_units_are_silent() -> None:
    # A > 0: ρ = 2, ½, 4 (an observation between) with 1 + ε↑ = 2.5: s³ = 2 · ½ · 2.5
    mask = torch.tensor([[True, True, False, True]])
    log_ratio = torch.tensor([[2.0, 0.5, 1.0, 4.0]], dtype=torch.float64).log()
    got = Geometric(0.4, 1.5)(log_ratio, torch.ones(1, 4, dtype=torch.float64), Levels(mask))
    s = 2.5 ** (1 / 3)
    assert got.factor_B_T[mask].tolist() == pytest.approx([s, s, 0.0])


@pytest.mark.parametrize("clip", [Cap(None, 4.0), Soft(), Kernel()])
@pytest.mark.parametrize("advantage", [1.0, -1.0])
def test_what_fades_or_is_capped_stays_finite_where_no_number_holds_the_ratio(clip: Clip, advantage: float) -> None:
    for log_ratio in (2000.0, -2000.0):
        got = clip(cell(log_ratio), cell(advantage), ROW)
        assert bool(got.factor_B_T.isfinite().all()), log_ratio


@pytest.mark.parametrize(
    ("sides", "p", "q", "advantage", "kept"),
    [
        ("towards", 0.7, 0.5, 1.0, False),
        ("towards", 0.7, 0.5, -1.0, True),  # it goes back
        ("towards", 0.3, 0.5, -1.0, False),
        ("towards", 0.3, 0.5, 1.0, True),
        ("towards", 1e-3, 1e-5, 1.0, True),  # a ratio of 100
        ("both", 0.7, 0.5, -1.0, False),
        ("both", 0.6, 0.5, 1.0, True),
    ],
)
def test_a_gap_by_hand(sides: str, p: float, q: float, advantage: float, kept: bool) -> None:
    got = Gap(0.15, sides)(cell(math.log(p)), cell(math.log(q)), cell(advantage))  # type: ignore[arg-type]
    assert bool(got) is kept


def test_a_stale_sequence_is_dropped_where_it_is_bad_by_the_mean_over_all_its_rows() -> None:
    # log μ − log π: 1.0, (an observation), 0.2 | 0.6: a mean of 0.6 over both rows of the episode
    logp, behavior = torch.zeros(2, 3), torch.tensor([[1.0, 90.0, 0.2], [0.6, 90.0, 90.0]])
    mask = torch.tensor([[True, False, True], [True, False, False]])
    levels = Levels(mask, episode_B=torch.tensor([4, 4]))
    bad = torch.full((2, 3), -1.0)
    assert not Stale(0.5)(logp, behavior, bad, levels)[mask].any()
    assert Stale(0.7)(logp, behavior, bad, levels)[mask].all()
    assert Stale(0.5)(logp, behavior, -bad, levels)[mask].all()
