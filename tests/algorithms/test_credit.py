"""Group statistics, granularity and baselines against arithmetic done by hand."""

from dataclasses import fields, replace
from itertools import permutations

import pytest
import torch
from algorithms_batches import random_batch

from peripatos.algorithms.credit import Credit, assign_credit, group_advantage, whiten
from peripatos.algorithms.flat_groups import flat_groups
from peripatos.algorithms.methods import METHODS
from peripatos.algorithms.returns import gae
from peripatos.algorithms.shapes import Granularity
from peripatos.envs.vocabulary import Batch


def test_grpo_advantage_by_hand_with_either_ddof() -> None:
    reward, group = torch.tensor([1.0, 0.0, 0.0, 1.0]), torch.tensor([0, 0, 0, 0])
    # mean ½; sum of squares 1; std √(1/3) with ddof 1, ½ with ddof 0
    one = group_advantage(reward, group, eps=0.0)
    torch.testing.assert_close(one, torch.tensor([0.5, -0.5, -0.5, 0.5]) * 3**0.5)
    zero = group_advantage(reward, group, ddof=0, eps=0.0)
    torch.testing.assert_close(zero, torch.tensor([1.0, -1.0, -1.0, 1.0]))


def test_leave_one_out_is_the_mean_of_the_others() -> None:
    reward = torch.tensor([1.0, 2.0, 6.0, 10.0, 0.0])
    group = torch.tensor([7, 7, 7, 3, 3])
    got = group_advantage(reward, group, baseline="leave_one_out", scale="none")
    torch.testing.assert_close(got, torch.tensor([1 - 4.0, 2 - 3.5, 6 - 1.5, 10.0, -10.0]))


def test_maxrl_divides_by_the_mean() -> None:
    reward, group = torch.tensor([1.0, 0.0, 0.0, 0.0]), torch.zeros(4, dtype=torch.long)
    got = group_advantage(reward, group, scale="mean", eps=0.0)
    torch.testing.assert_close(got, torch.tensor([3.0, -1.0, -1.0, -1.0]))


@pytest.mark.parametrize("baseline", ["mean", "leave_one_out"])
@pytest.mark.parametrize("scale", ["std", "mean", "none"])
def test_equal_rewards_and_lone_episodes_have_advantage_exactly_zero(baseline: str, scale: str) -> None:
    reward = torch.tensor([0.1] * 7 + [5.0])  # 0.1 has no exact mean in binary
    group = torch.tensor([0] * 7 + [1])
    assert torch.equal(group_advantage(reward, group, baseline=baseline, scale=scale), torch.zeros(8))


def test_rows_of_one_episode_count_once_in_its_groups_statistics() -> None:
    # episode 0 was split into three rows; the group's rewards are {1, 0}
    reward = torch.tensor([1.0, 1.0, 1.0, 0.0])
    episode, group = torch.tensor([0, 0, 0, 1]), torch.zeros(4, dtype=torch.long)
    got = group_advantage(reward, group, scale="none", episode_B=episode)
    torch.testing.assert_close(got, torch.tensor([0.5, 0.5, 0.5, -0.5]))
    loo = group_advantage(reward, group, baseline="leave_one_out", scale="none", episode_B=episode)
    torch.testing.assert_close(loo, torch.tensor([1.0, 1.0, 1.0, -1.0]))


def test_an_unscored_reward_is_refused_and_not_taken_for_zero() -> None:
    with pytest.raises(ValueError, match="unscored"):
        group_advantage(torch.tensor([1.0, float("nan")]), torch.tensor([0, 0]))


def two_rows() -> Batch:
    """Rewards (1, 0, 2 | ·) and (0, 4): the first episode lasts three units, the second two; one group."""
    batch = random_batch(0, rows=2, length=3, groups=1)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    end = torch.tensor([[False, False, True], [False, True, False]])
    reward = torch.tensor([[1.0, 0.0, 2.0], [0.0, 4.0, 0.0]], dtype=torch.float64)
    zeros = torch.zeros_like(reward)
    turn = torch.tensor([[0, 0, 1], [0, 1, 1]])
    return replace(
        batch, mask_B_T=mask, end_B_T=end, reward_B_T=reward, turn_B_T=turn, bootstrap_B_T=zeros, value_B_T=zeros
    )


def test_trajectory_credit_gives_every_unit_the_same_number() -> None:
    got = assign_credit(two_rows(), Credit("group_mean")).advantage_B_T
    torch.testing.assert_close(got, torch.tensor([[-0.5, -0.5, -0.5], [0.5, 0.5, 0.0]], dtype=torch.float64))


def test_unit_credit_is_aligned_in_time_and_the_dead_earn_nothing() -> None:
    # returns to go: (3, 2, 2) and (4, 4, dead = 0); means 3.5, 3, 1
    got = assign_credit(two_rows(), Credit("group_mean", "unit")).advantage_B_T
    torch.testing.assert_close(got, torch.tensor([[-0.5, -1.0, 1.0], [0.5, 1.0, 0.0]], dtype=torch.float64))


def test_turn_credit_discounts_once_a_turn() -> None:
    # turns of row 0: rewards (1, 2); of row 1: (0, 4); γ = ½ → returns (2, 2) and (2, 4)
    got = assign_credit(two_rows(), Credit(None, "turn", gamma=0.5)).advantage_B_T
    torch.testing.assert_close(got, torch.tensor([[2.0, 2.0, 2.0], [2.0, 4.0, 0.0]], dtype=torch.float64))


def test_critic_credit_per_turn_is_gae_over_turns() -> None:
    value = torch.tensor([[0.5, 9.0, 1.5], [0.25, 2.0, 9.0]], dtype=torch.float64)
    batch = replace(two_rows(), value_B_T=value)
    credited = assign_credit(batch, Credit("critic", "turn", gamma=0.9, lam=0.8))
    ones = torch.ones(2, 2, dtype=torch.bool)
    ends = torch.tensor([[False, True], [False, True]])
    turns = gae(
        torch.tensor([[1.0, 2.0], [0.0, 4.0]], dtype=torch.float64),
        torch.tensor([[0.5, 1.5], [0.25, 2.0]], dtype=torch.float64),
        ones,
        ends,
        torch.zeros(2, 2, dtype=torch.float64),
        gamma=0.9,
        lam=0.8,
    )
    want = torch.stack([turns[0][[0, 0, 1]], turns[1][[0, 1, 1]] * torch.tensor([1.0, 1.0, 0.0])])
    torch.testing.assert_close(credited.advantage_B_T, want)
    assert credited.target_mask_B_T.tolist() == [[True, False, True], [True, True, False]]


def test_an_episode_in_two_rows_is_scored_as_one() -> None:
    batch = replace(two_rows(), episode_B=torch.tensor([5, 5]))
    got = assign_credit(batch, Credit()).advantage_B_T
    assert got[batch.mask_B_T].tolist() == [7.0] * 5


@pytest.mark.parametrize("granularity", ["unit", "turn", "trajectory"])
@pytest.mark.parametrize("baseline", [None, "group_mean", "leave_one_out", "critic"])
def test_an_episode_that_was_split_into_rows_has_the_credit_of_the_whole(baseline: str, granularity: str) -> None:
    """Two episodes of four units, turns (0, 0, 1, 1): whole, and with the first one split behind its first turn."""
    whole = random_batch(1, rows=2, length=4, groups=1)
    end = torch.tensor([[False, False, False, True]] * 2)
    mask, turn = torch.ones_like(end), torch.tensor([[0, 0, 1, 1]] * 2)
    whole = replace(whole, mask_B_T=mask, end_B_T=end, turn_B_T=turn, episode_B=torch.tensor([3, 8]))
    names = [f.name for f in fields(whole) if f.name.endswith("_B_T")]

    def split(x: torch.Tensor) -> torch.Tensor:
        filler = torch.full_like(x[0, :2], 1)
        return torch.stack([torch.cat([x[0, :2], filler]), x[1], torch.cat([filler, x[0, 2:]])])

    parts = {name: split(getattr(whole, name)) for name in names}
    parts["mask_B_T"][0, 2:] = parts["mask_B_T"][2, :2] = False
    parts["end_B_T"][0, 1] = True  # the row's end, which is not its episode's
    numbers = {"episode_B": torch.tensor([3, 8, 3]), "group_B": whole.group_B[[0, 1, 0]]}
    rows = replace(whole, **parts, **numbers)
    credit = Credit(baseline, granularity, scale="std", gamma=0.9, lam=0.8)
    want, got = assign_credit(whole, credit), assign_credit(rows, credit)
    for name in ("advantage_B_T", "target_B_T", "target_mask_B_T"):
        x = getattr(got, name)
        joined = torch.stack([torch.cat([x[0, :2], x[2, 2:]]), x[1]])
        assert torch.equal(joined, getattr(want, name)), name


def test_rejection_sampling_keeps_what_beats_its_group_and_sft_everything() -> None:
    kept = assign_credit(two_rows(), Credit("group_mean", transform="positive")).advantage_B_T
    assert kept.tolist() == [[0, 0, 0], [1, 1, 0]]
    every = assign_credit(two_rows(), Credit(transform="one")).advantage_B_T
    assert every.tolist() == [[1, 1, 1], [1, 1, 0]]


def test_rows_with_several_episodes_need_a_critic() -> None:
    batch = replace(two_rows(), end_B_T=torch.tensor([[True, False, True], [False, True, False]]))
    with pytest.raises(ValueError, match="several episodes"):
        assign_credit(batch, Credit("batch_mean"))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("granularity", ["unit", "turn", "trajectory"])
@pytest.mark.parametrize("baseline", [None, "batch_mean", "group_mean", "leave_one_out", "critic"])
def test_observation_tokens_cannot_change_the_advantage(baseline: str, granularity: str, seed: int) -> None:
    batch = random_batch(seed)
    credit = Credit(baseline, granularity, scale="std", gamma=0.9, lam=0.8)
    junk = torch.full_like(batch.reward_B_T, 1e6)
    spoiled = replace(
        batch,
        reward_B_T=torch.where(batch.mask_B_T, batch.reward_B_T, junk),
        value_B_T=torch.where(batch.mask_B_T, batch.value_B_T, junk),
        bootstrap_B_T=torch.where(batch.mask_B_T, batch.bootstrap_B_T, junk),
        turn_B_T=torch.where(batch.mask_B_T, batch.turn_B_T, 77),
        end_B_T=batch.end_B_T | ~batch.mask_B_T,
    )
    want, got = assign_credit(batch, credit), assign_credit(spoiled, credit)
    assert torch.equal(want.advantage_B_T, got.advantage_B_T)
    assert torch.equal(want.target_B_T * want.target_mask_B_T, got.target_B_T * got.target_mask_B_T)


@pytest.mark.parametrize("value", [1.1, 0.1, 0.3, -7.3, 1e6, 1e-6])
@pytest.mark.parametrize("count", [1, 2, 1000, 5000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_whitening_makes_no_signal_of_a_constant(value: float, count: int, dtype: torch.dtype) -> None:
    constant = torch.full((1, count), value, dtype=dtype)
    assert not whiten(constant, torch.ones(1, count, dtype=torch.bool)).any()


def test_whitening_makes_no_signal_of_two_ways_to_round_one_sum() -> None:
    sums = torch.tensor([[0.1 + 0.2 + 1.0, 1.0 + 0.2 + 0.1], [1.0 + 0.3, 1.3]], dtype=torch.float64)
    assert not whiten(sums, torch.ones(2, 2, dtype=torch.bool)).any()
    single = torch.tensor([[1.1, 1.1000001]])
    assert not whiten(single, torch.ones(1, 2, dtype=torch.bool)).any()


def test_whitening_agrees_with_arithmetic_by_hand() -> None:
    """1, 2, 3, 6 have the mean 3 and, with ddof 1, the variance 14/3."""
    mask = torch.tensor([[True, True, False], [True, True, False]])
    got = whiten(torch.tensor([[1.0, 2.0, 9.0], [3.0, 6.0, 9.0]]), mask)
    deviation = (14 / 3) ** 0.5
    want = torch.tensor([[-2.0, -1.0, 0.0], [0.0, 3.0, 0.0]]) / deviation
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize("baseline", [None, "batch_mean", "group_mean", "leave_one_out"])
@pytest.mark.parametrize("granularity", ["unit", "turn", "trajectory"])
def test_a_method_without_a_critic_reads_no_bootstrap(baseline, granularity) -> None:
    batch = random_batch(0)
    other = replace(batch, bootstrap_B_T=batch.bootstrap_B_T + 5.0, value_B_T=batch.value_B_T - 3.0)
    credit = Credit(baseline=baseline, granularity=granularity, gamma=0.9)
    mine, theirs = (assign_credit(given, credit).advantage_B_T for given in (batch, other))
    assert torch.equal(mine, theirs)


def test_dividing_by_the_mean_never_turns_the_better_into_the_worse() -> None:
    """(−1, 0): the mean is −½; (−1, 1): it is 0; (0, 2): (±1) / (1 + ε)."""
    reward = torch.tensor([-1.0, 0.0, -1.0, 1.0, 0.0, 2.0], dtype=torch.float64)
    group = torch.tensor([0, 0, 1, 1, 2, 2])
    got = group_advantage(reward, group, scale="mean", eps=0.0)
    assert got.tolist() == [0.0, 0.0, 0.0, 0.0, -1.0, 1.0]


@pytest.mark.parametrize(
    ("counts", "published"),
    [
        ((1, 127, 896), (8.41, 2.56, -0.37)),
        ((896, 127, 1), (0.38, -2.63, -4.14)),
        ((384, 512, 128), (1.24, -0.56, -1.46)),  # published as 1.43, −0.45, −1.38, which its own formula does not give
    ],
)
def test_the_published_example_of_normalised_rewards(counts: tuple[int, ...], published: tuple[float, ...]) -> None:
    """1,024 answers that earned 1, −1 or −2, by their population's deviation."""
    reward = torch.tensor([1.0, -1.0, -2.0], dtype=torch.float64).repeat_interleave(torch.tensor(counts))
    got = group_advantage(reward, torch.zeros(1024, dtype=torch.long), ddof=0, eps=0.0)
    first = [0, counts[0], counts[0] + counts[1]]
    assert [round(float(got[i]), 2) for i in first] == list(published)


@pytest.mark.parametrize("wrong", [{"eps": -1.0}, {"eps": float("inf")}, {"ddof": 5}, {"ddof": -3}])
def test_a_group_is_not_divided_by_constants_that_turn_it_round(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        group_advantage(torch.tensor([1.0, 2.0]), torch.tensor([0, 0]), **wrong)  # pyright: ignore[reportArgumentType]


def test_rewards_of_whole_numbers_are_no_tensor_of_rewards() -> None:
    with pytest.raises(ValueError, match="must be float"):
        group_advantage(torch.tensor([1, 2]), torch.tensor([0, 0]))


def test_whitened_over_steps_every_episode_counts_once_however_long_it_is() -> None:
    """Returns 0, 1 and 5 of episodes with 1, 2 and 3 units, one in two rows: mean 2, deviation √7 over episodes."""
    batch = random_batch(0, rows=4, length=3)
    mask = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 1, 0], [1, 0, 0]], dtype=torch.bool)
    reward = torch.tensor([[0, 0, 0], [0, 1, 0], [0, 2, 0], [3, 0, 0]], dtype=torch.float64)
    episode = torch.tensor([0, 1, 2, 2])
    batch = replace(
        batch,
        mask_B_T=mask,
        reward_B_T=reward,
        episode_B=episode,
        bundle_B=episode,
        turn_B_T=torch.zeros_like(episode[:, None].expand(4, 3)),
        end_B_T=mask & ~torch.roll(mask, -1, 1),
    )
    got = assign_credit(batch, Credit(whiten="steps")).advantage_B_T
    want = (torch.tensor([0.0, 1.0, 5.0, 5.0], dtype=torch.float64) - 2) / (7**0.5 + 1e-8)
    torch.testing.assert_close(got, torch.where(mask, want[:, None], 0.0))


@pytest.mark.parametrize(
    "rewards", [(0.5, 0.1, 0.1), (333.3, 333.3, 333.4), (0.1, 0.3, 0.9), (0.7, 1e-8, 0.2), (0.7, 0.2, 0.3)]
)
@pytest.mark.parametrize("granularity", ["trajectory", "turn"])
def test_the_same_rewards_in_any_order_are_the_same_return_to_every_method(
    rewards: tuple[float, ...], granularity: Granularity
) -> None:
    """In fp32, whose sums depend on the order: the group is flat, no method prefers any of it, none makes a pair."""
    orders = torch.tensor(list(permutations(rewards)), dtype=torch.float32)
    count, units = orders.shape
    position = torch.arange(units).expand(count, units)
    batch = replace(
        random_batch(0, rows=count, groups=1, length=units),
        mask_B_T=torch.ones(count, units, dtype=torch.bool),
        turn_B_T=position.clamp(min=1),  # the first two units are one turn
        end_B_T=position == units - 1,
        reward_B_T=orders,
        notes={"energy_B_T": torch.ones(count, units)},
    )
    assert flat_groups(batch).all()
    for name, row in METHODS.items():
        if row.needs_critic or row.credit.transform in ("one", "verdict") or row.credit.baseline is None:
            continue
        credit = replace(row.credit, granularity=granularity, gamma=1.0, whiten=None)
        assert not assign_credit(batch, credit).advantage_B_T[:, 0].any(), name


def test_what_is_too_little_to_change_a_return_makes_no_difference_and_a_flat_group() -> None:
    batch = random_batch(0, rows=2, groups=1, length=4)
    first_B_T = batch.mask_B_T & (batch.mask_B_T.cumsum(dim=1) == 1)
    reward_B_T = first_B_T.float() + batch.end_B_T * torch.tensor([[0.0], [1e-9]])
    assert not torch.equal(*reward_B_T.double().sum(dim=1)), "it is there"
    batch = replace(batch, reward_B_T=reward_B_T)
    assert flat_groups(batch).all()
    assert not assign_credit(batch, METHODS["grpo"].credit).advantage_B_T.any()
