"""Ratios, clips and KL estimates against arithmetic done by hand."""

import math
from itertools import product

import pytest
import torch

from peripatos.algorithms.methods import METHODS, method
from peripatos.algorithms.weighting import Weighting, policy_weight
from peripatos.algorithms.weights import importance_ratio, kl_estimate, most_uncertain

EVERY = torch.ones(1, 1, dtype=torch.bool)


def cell(value: float) -> torch.Tensor:
    return torch.tensor([[value]], dtype=torch.float64)


@pytest.mark.parametrize(("kind", "near", "far"), [("k1", 0.5, -1.0), ("k2", 0.125, 0.5), ("k3", 0.106531, 0.718282)])
def test_kl_estimates_by_hand(kind: str, near: float, far: float) -> None:
    got = kl_estimate(torch.tensor([-1.0, -2.0]), torch.tensor([-1.5, -1.0]), kind=kind)
    torch.testing.assert_close(got, torch.tensor([near, far]), atol=1e-6, rtol=0)


def test_k3_stays_exact_for_nearly_equal_policies() -> None:
    d = torch.tensor([1e-6], dtype=torch.float64)
    assert float(kl_estimate(d, torch.zeros_like(d), kind="k3")) == pytest.approx(0.5e-12, rel=1e-3)


@pytest.mark.parametrize(
    ("ratio", "advantage", "objective", "silent"),
    [(2.0, 2.0, 2.4, True), (2.0, -2.0, -4.0, False), (0.5, 2.0, 1.0, False), (0.5, -2.0, -1.6, True)],
)
def test_the_four_corners_of_the_clip(ratio: float, advantage: float, objective: float, silent: bool) -> None:
    rule = Weighting(ratio="unit", clip_low=0.2, clip_high=0.2)
    got = policy_weight(cell(math.log(ratio)), cell(advantage), EVERY, rule, old_logp_B_T=cell(0.0))
    assert float(got.surrogate_B_T) == pytest.approx(objective)
    assert float(got.weight_B_T) == pytest.approx(0.0 if silent else ratio * advantage)
    assert bool(got.clipped_B_T) is silent


def test_ratios_at_each_level_by_hand() -> None:
    # differences .1, (observation), .3, .5 | turns 0, ·, 0, 1
    logp = torch.tensor([[0.1, 50.0, 0.3, 0.5]])
    mask = torch.tensor([[True, False, True, True]])
    turn = torch.tensor([[0, 9, 0, 1]])
    zero = torch.zeros(1, 4)
    unit = importance_ratio(logp, zero, mask)
    torch.testing.assert_close(unit, torch.tensor([[0.1, 0.0, 0.3, 0.5]]).exp())
    turns = importance_ratio(logp, zero, mask, level="turn", turn_B_T=turn)
    torch.testing.assert_close(turns, torch.tensor([[0.2, 0.0, 0.2, 0.5]]).exp())
    sequence = importance_ratio(logp, zero, mask, level="sequence")
    torch.testing.assert_close(sequence, torch.tensor([[0.3, 0.0, 0.3, 0.3]]).exp())
    end = torch.tensor([[False, True, True, True]])  # two episodes in the row; an end on an observation is none
    split = importance_ratio(logp, zero, mask, level="sequence", end_B_T=end)
    torch.testing.assert_close(split, torch.tensor([[0.2, 0.0, 0.2, 0.5]]).exp())


def test_truncated_importance_sampling_caps_the_correction() -> None:
    rule = Weighting(correction=2.0)
    got = policy_weight(
        cell(-1.0), cell(3.0), EVERY, rule, old_logp_B_T=cell(-1.0), behavior_logp_B_T=cell(-1.0 - math.log(5))
    )
    assert float(got.weight_B_T) == pytest.approx(6.0)  # π_old/π_behavior = 5, cut to 2


def test_entropy_selection_trains_only_the_most_uncertain_units() -> None:
    mask = torch.tensor([[True, True, True, True, False]])
    entropy = torch.tensor([[0.1, 0.9, 0.5, 0.2, 9.0]])
    one = torch.ones(1, 5)
    trained = most_uncertain(entropy, mask, 0.5)
    got = policy_weight(one, one, mask, Weighting(entropy_share=0.5), old_logp_B_T=one, trained_B_T=trained)
    assert got.weight_B_T.tolist() == [[0, 1, 1, 0, 0]]


def test_a_penalty_without_a_reference_is_refused() -> None:
    with pytest.raises(ValueError, match="reference_logp_B_T"):
        policy_weight(cell(0.0), cell(0.0), EVERY, Weighting(kl="k3", beta=0.1), old_logp_B_T=cell(0.0))


@pytest.mark.parametrize("kind", ["silence", "cap", "geometric", "soft", "kernel"])
@pytest.mark.parametrize("ratio", ["unit", "sequence", "product"])
def test_what_has_no_advantage_has_no_weight_however_far_its_ratio_has_gone(kind: str, ratio: str) -> None:
    if kind == "geometric" and ratio != "unit":
        return
    rule = Weighting(ratio=ratio, clip_kind=kind)  # pyright: ignore[reportArgumentType]
    far = torch.tensor([[100.0, 3.0]])  # e^100 is no number of fp32
    got = policy_weight(
        far, torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool), rule, old_logp_B_T=torch.zeros(1, 2)
    )
    assert torch.equal(got.weight_B_T, torch.zeros(1, 2))
    assert torch.equal(got.surrogate_B_T, torch.zeros(1, 2))


FAR = (-1e4, -120.0, -30.0, -0.5, 0.0)  # log-probabilities, in nats
CHANGED = {
    "k3": method("grpo", {"weighting": {"kl": "k3", "beta": 0.1}}),
    "k3 with a ratio": method("grpo", {"weighting": {"kl": "k3", "beta": 0.1, "kl_ratio": True}}),
    "k2 with a ratio": method("grpo", {"weighting": {"kl": "k2", "beta": 0.1, "kl_ratio": True}}),
    "k3 to the old policy": method("ppo_kl", {"weighting": {"kl": "k3"}}),
    "both sides of a gap": method("probability_gap", {"weighting": {"gap_sides": "both"}}),
    "nothing but a ratio": method("grpo", {"weighting": {"clip_low": None, "clip_high": None}}),
    "correction": method("grpo", {"weighting": {"correction": 2.0}}),
    "mask of sequences": method(
        "rloo", {"weighting": {"correction": 2.0, "correction_kind": "mask", "correction_level": "sequence"}}
    ),
    "band": method("reinforce", {"weighting": {"correction": 1.1, "correction_kind": "band"}}),
}


@pytest.mark.parametrize("name", [*METHODS, *CHANGED])
@pytest.mark.parametrize("number", [torch.float32, torch.float64])
def test_no_method_gives_a_weight_that_is_no_number_however_far_apart_the_policies_are(
    name: str, number: torch.dtype
) -> None:
    """A sequence of every four log-probabilities (π, before the update, sampler, reference), each unit with a usual
    one behind it; what a trust region leaves out has no weight but that of a penalty."""
    row = {**METHODS, **CHANGED}[name]
    columns = torch.tensor(list(product(FAR, repeat=4)), dtype=number).T
    logp, old, behavior, reference = (torch.stack([x, torch.full_like(x, -0.5)], dim=1) for x in columns)
    every = torch.ones_like(logp, dtype=torch.bool)
    for size in (100.0, 1e-3, 0.0, -1e-3, -100.0):
        A = torch.full_like(logp, size)
        if row.preference.kind is not None:
            side, pair = torch.ones_like(logp), torch.arange(len(logp)) // 2
            side[1::2] = -1
            A, _ = row.preference(logp, reference, side, every, pair)
        got = policy_weight(
            logp,
            A,
            every,
            row.weighting,
            old_logp_B_T=old,
            behavior_logp_B_T=behavior,
            reference_logp_B_T=reference,
            trained_B_T=every,
        )
        assert got.weight_B_T.isfinite().all()
        assert got.surrogate_B_T.isfinite().all()
        assert got.ratio_B_T.isfinite().all()
        if got.distrusted_B_T is not None and row.weighting.penalty is None:
            assert not got.weight_B_T[got.distrusted_B_T].any()


def test_a_ratio_counts_up_to_20_nats_and_below_as_it_is() -> None:
    rule = Weighting(ratio="unit")
    got = [
        float(policy_weight(cell(-0.5), cell(-1.0), EVERY, rule, old_logp_B_T=cell(-0.5 - d)).weight_B_T)
        for d in (-50.0, 19.5, 20.5, 1e4)
    ]
    assert got == pytest.approx([-math.exp(-50), -math.exp(19.5), -math.exp(20), -math.exp(20)])
    assert float(kl_estimate(cell(-1e4), cell(0.0), kind="k3")) == pytest.approx(math.exp(20) - 1 - 1e4)
