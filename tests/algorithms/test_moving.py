"""Coefficients that follow the policy, and groups that are left out."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from algorithms_batches import TabularPolicy, random_batch

from peripatos.algorithms.credit import assign_credit
from peripatos.algorithms.flat_groups import flat_groups
from peripatos.algorithms.learner import Learner
from peripatos.algorithms.methods import METHODS, method
from peripatos.algorithms.moving import MovingCoefficients
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.envs.vocabulary import Batch


def test_beta_doubles_far_above_its_target_and_halves_far_below() -> None:
    moving = MovingCoefficients(METHODS["ppo_kl"])  # β = 1, target 0.01
    seen = [moving.move(kl, None)["kl/beta"] for kl in (0.0151, 0.0149, 0.0067, 0.0066, 0.0, 1.0)]
    assert seen == [2.0, 2.0, 2.0, 1.0, 0.5, 1.0]
    assert moving.weighting.beta == 1.0
    assert moving.move(None, 0.3) == {}


def test_the_bonus_grows_below_its_target_and_counts_only_there() -> None:
    moving = MovingCoefficients(METHODS["skywork_or1"])  # c = 0, target 0.2, step 0.005
    seen = []
    for entropy in (0.1, 0.1, 0.3, 0.2, 0.9, 0.9, 0.9, 0.1):
        moving.move(None, entropy)
        seen.append((round(moving.entropy, 4), round(moving.bonus, 4)))
    assert seen == [
        (0.005, 0.005), (0.01, 0.01), (0.005, 0.0), (0.005, 0.005), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.005, 0.005),
    ]  # fmt: skip


def test_what_stays_is_never_moved() -> None:
    moving = MovingCoefficients(method("grpo", {"update": {"entropy_coefficient": 0.02}}))
    assert moving.move(0.5, 0.1) == {}
    assert moving.bonus == 0.02


@pytest.mark.parametrize("name", ["ppo_kl", "skywork_or1"])
def test_a_learner_whose_coefficients_move_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    settings = OptimizerSettings(lr=0.3)

    def learner(policy: TabularPolicy) -> Learner:
        row = method(name, {"update": {"entropy_target": 5.0}} if name == "skywork_or1" else {})
        return Learner(policy, row, settings, seed=0)

    def batch(version: int) -> Batch:
        return replace(random_batch(version), version_B=torch.full((8,), version))

    whole, first = learner(TabularPolicy(0)), learner(TabularPolicy(0))
    for version in range(4):
        whole.update(batch(version))
    for version in range(2):
        first.update(batch(version))
    assert first.moving.state() != MovingCoefficients(first.method).state(), "something has moved"
    first.save(tmp_path)
    first.policy.save(tmp_path)
    second = learner(TabularPolicy(9))
    second.policy.load(tmp_path)
    second.load(tmp_path)
    for version in range(2, 4):
        second.update(batch(version))
    assert torch.equal(second.policy.module().logits, whole.policy.module().logits)
    assert second.moving.state() == whole.moving.state()


def test_a_group_is_flat_only_where_all_its_episodes_earned_exactly_the_same() -> None:
    batch = random_batch(0, rows=8, groups=4)
    earned = torch.tensor([1.0, 1.0, 0.5, 0.5 + 1e-9, 0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    reward = torch.where(batch.end_B_T, earned[:, None], 0.0)
    noise = torch.where(batch.mask_B_T, 0.0, 7.0)  # an observation's reward is none
    batch = replace(batch, reward_B_T=reward + noise)
    assert flat_groups(batch).tolist() == [True, True, False, False, True, True, False, False]
    # an episode in two rows, whose rewards add up: 0 + 1 and 1 + 0 are equal, though no two rows are
    number = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    earned = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    reward = torch.where(batch.end_B_T, earned[:, None], 0.0)
    batch = replace(batch, reward_B_T=reward, episode_B=number, group_B=torch.tensor([5, 5, 5, 5, 9, 9, 9, 9]))
    assert flat_groups(batch).tolist() == [True] * 4 + [False] * 4


def test_an_episode_without_units_is_no_member_of_its_group_and_does_not_keep_it_from_being_flat() -> None:
    batch = random_batch(0, rows=8, groups=2)
    failed = torch.tensor([False, False, False, True] + [False] * 4)
    mask = batch.mask_B_T & ~failed[:, None]
    earned = torch.tensor([1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    reward = torch.where(batch.end_B_T, earned[:, None], 0.0)
    batch = replace(batch, mask_B_T=mask, end_B_T=batch.end_B_T & mask, reward_B_T=reward)
    assert flat_groups(batch).tolist() == [True] * 4 + [False] * 4
    acted = torch.nonzero(~failed)[:, 0]
    assert torch.equal(flat_groups(batch)[acted], flat_groups(batch.rows(acted)))
    # an episode of two rows of which one has units has acted, and where nobody has, the group is flat
    together = replace(batch, episode_B=torch.tensor([0, 1, 2, 2, 3, 4, 5, 6]))
    assert flat_groups(together).tolist() == [True] * 4 + [False] * 4
    assert flat_groups(replace(batch, mask_B_T=torch.zeros_like(mask))).all()
    row = method("grpo", {"update": {"flat_groups": "leave_out", "aggregation": "unit_mean"}})
    steps = [Learner(TabularPolicy(0), row, OptimizerSettings(), seed=0) for _ in range(2)]
    for learner, given in zip(steps, (batch, batch.rows(acted)), strict=True):
        learner.update(given)
    with_failed, without = (learner.gradient["logits"] for learner in steps)
    torch.testing.assert_close(with_failed, without)


def test_each_term_is_compared_in_its_group_by_itself() -> None:
    """Two answers: right but formless, wrong but well-formed, as the paper's first figure has it (three levels)."""
    batch = random_batch(0, rows=4, groups=1)
    right, form = torch.tensor([0.0, 1.0, 0.0, 1.0]).double(), torch.tensor([0.0, 0.0, 2.0, 2.0]).double()
    batch = replace(batch, notes={"term_right_B": right, "term_form_B": form})
    row = method("gdpo", {"credit": {"whiten": None, "eps": 0.0}})
    advantage = assign_credit(batch, row.credit).advantage_B_T[:, 0]
    step = 3**0.5 / 2  # ½ / √(4 · ¼ / 3)
    torch.testing.assert_close(advantage, torch.tensor([-2 * step, 0.0, 0.0, 2 * step]).double())


def test_without_named_terms_a_reward_is_its_only_one() -> None:
    batch = random_batch(3)
    plain = method("grpo", {"credit": {"whiten": "steps"}})
    torch.testing.assert_close(
        assign_credit(batch, METHODS["gdpo"].credit).advantage_B_T, assign_credit(batch, plain.credit).advantage_B_T
    )
