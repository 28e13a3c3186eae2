"""What a reward model says becomes a term of the reward; and the reward of each unit less its KL, by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from peripatos.algorithms.credit import Credit, assign_credit
from peripatos.algorithms.judged_rewards import TERM, WORLD, JudgedRewards, z_scores
from peripatos.algorithms.penalty import penalized_rewards
from peripatos.algorithms.rewards import Rewards
from peripatos.envs.vocabulary import Batch, Collection, Episode, episode_number


@pytest.mark.parametrize(
    ("counts", "scaled"),
    [
        ((1, 127, 896), (8.41, 2.56, -0.37)),
        ((896, 127, 1), (0.38, -2.63, -4.14)),
        ((384, 512, 128), (1.24, -0.56, -1.46)),  # published as 1.43, −0.45, −1.38, which its formula does not give
    ],
)
def test_z_scores_are_those_of_the_published_example(counts: Sequence[int], scaled: Sequence[float]) -> None:
    scores = [score for score, count in zip((1.0, -1.0, -2.0), counts, strict=True) for _ in range(count)]
    found = dict(zip(scores, z_scores(scores), strict=True))
    assert [round(found[score], 2) for score in (1.0, -1.0, -2.0)] == list(scaled)


def test_equal_scores_are_worth_nothing() -> None:
    assert z_scores([0.7, 0.7, 0.7]) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("scores", [[0.1, 0.1 + 1e-8, 0.1], [-30.0, -30.0 + 3e-6], [0.0, -0.0], [1e-30, 1e-30]])
def test_scores_that_differ_by_their_rounding_alone_are_equal(scores: list[float]) -> None:
    assert z_scores(scores) == [0.0] * len(scores)


def test_scores_that_differ_by_more_are_told_apart_however_small_they_are() -> None:
    assert z_scores([1e-9, 3e-9]) == pytest.approx([-1.0, 1.0])


NUMBERS = [episode_number(g, i) for g, i in ((0, 0), (0, 1), (1, 0))]


def collection() -> Collection:
    """Three episodes: (0, 0) of two rows, (0, 1), (1, 0); they earned 1, 0 and 0.5. A fourth one failed."""
    earned = {NUMBERS[0]: 1.0, NUMBERS[1]: 0.0, NUMBERS[2]: 0.5}
    episodes = [
        Episode(0, 0, 7, 0, "train", 1.0, {"right": 1.0}, turns=2, turn_rewards=(1.0, 0.0)),
        Episode(0, 1, 7, 0, "train", 0.0, {"right": 0.0}, turns=1, turn_rewards=(0.0,)),
        Episode(1, 0, 8, 0, "train", 0.5, {"right": 0.5}, turns=1, turn_rewards=(0.5,)),
        Episode(1, 1, 8, 0, "train", None, failure="broke"),
    ]
    rows = [NUMBERS[0], *NUMBERS]
    mask = torch.tensor([[0, 1, 1, 0, 0], [0, 0, 0, 1, 1], [0, 1, 0, 0, 0], [0, 1, 1, 1, 0]], dtype=torch.bool)
    reward = torch.zeros(4, 5)
    reward[0, 2], reward[3, 3] = 1.0, 0.5
    number = torch.tensor(rows)
    batch = Batch(
        inputs={},
        mask_B_T=mask,
        behavior_logp_B_T=torch.zeros(4, 5),
        reward_B_T=reward,
        turn_B_T=torch.zeros(4, 5, dtype=torch.long),
        end_B_T=torch.zeros_like(mask),
        episode_B=number,
        group_B=number >> 20,
        version_B=torch.zeros(4, dtype=torch.long),
        bundle_B=number,
        notes={"term_right_B": torch.tensor([earned[n] for n in rows])},
    )
    return Collection(batch, tuple(episodes), env_steps=4, action_units=8)


def saying(*scores: float | None):
    """A judge of three episodes."""

    def judge(episodes: Sequence[Episode]) -> list[float | None]:
        assert [episode.number for episode in episodes] == NUMBERS  # nobody asks about what failed
        return list(scores)

    return judge


def test_what_the_start_says_is_worth_nothing_on_average_and_stays_the_zero() -> None:
    judged = JudgedRewards(saying(3.0, 1.0, 5.0), Rewards(model=2.0, world=0.5))
    paid = judged(collection())
    assert [episode.reward for episode in paid.episodes] == [0.5 + 0.0, 0.0 - 4.0, 0.25 + 4.0, None]
    assert paid.episodes[1].reward_terms == {"right": 0.0, TERM: -4.0}
    assert paid.episodes[0].turn_rewards == (0.5, 0.0)
    assert paid.episodes[2].metrics == {TERM: 5.0, WORLD: 0.5}
    assert paid.batch is not None
    expected = torch.zeros(4, 5)
    expected[0, 2], expected[1, 4], expected[2, 1], expected[3, 3] = 0.5, 0.0, -4.0, 0.25 + 4.0
    assert torch.equal(paid.batch.reward_B_T, expected)  # at the last unit of the episode's last row
    assert torch.equal(paid.batch.notes[f"term_{TERM}_B"], torch.tensor([0.0, 0.0, -4.0, 4.0]))
    assert torch.equal(paid.batch.notes["term_right_B"], torch.tensor([0.5, 0.5, 0.0, 0.25]))
    later = JudgedRewards(saying(4.0, 4.0, 4.0), Rewards(model=2.0, world=0.0))
    later.load_state(judged.state())
    assert [episode.reward for episode in later(collection()).episodes] == [2.0, 2.0, 2.0, None]  # 2·(4 − 3)


def test_terms_sum_to_the_reward_of_episodes_and_rows_alike() -> None:
    paid = JudgedRewards(saying(3.0, 1.0, -9.0), Rewards(model=0.3, model_scale="batch", model_clip=1.0))(collection())
    assert paid.batch is not None
    for episode in paid.episodes[:3]:
        assert episode.reward == pytest.approx(sum(episode.reward_terms.values()))
        assert episode.reward == pytest.approx(sum(episode.turn_rewards))
        rows = paid.batch.episode_B == episode.number
        assert float(paid.batch.reward_B_T[rows].sum()) == pytest.approx(episode.reward)
    assert paid.episodes[2].reward_terms[TERM] == pytest.approx(-0.3)  # cut at one deviation
    mean, deviation = -5 / 3, math.sqrt((9 + 1 + 81) / 3 - (5 / 3) ** 2)
    assert paid.episodes[1].reward_terms[TERM] == pytest.approx(0.3 * (1.0 - mean) / deviation)


class Process:
    """A judge of the turns of three episodes, of which the first has two."""

    def __call__(self, episodes: Sequence[Episode]) -> list[float | None]:
        return [score[-1] for score in self.turns(episodes)]

    def turns(self, episodes: Sequence[Episode]) -> list[list[float]]:
        return [[3.0, 5.0], [1.0], [6.0]]


def test_a_turn_earns_by_how_much_it_has_changed_what_the_model_says_and_that_sums_to_the_same() -> None:
    """Zero is the mean of 5, 1 and 6."""
    whole = collection()
    assert whole.batch is not None
    turn = torch.zeros(4, 5, dtype=torch.long)
    turn[1] = 1  # the second row of the first episode
    whole = replace(whole, batch=replace(whole.batch, turn_B_T=turn))
    paid = JudgedRewards(Process(), Rewards(model=2.0, model_at="turn", model_clip=1.5))(whole)
    at_end = JudgedRewards(Process(), Rewards(model=2.0, model_clip=1.5))(whole)
    assert paid.episodes[0].turn_rewards == (1.0 - 2.0, 0.0 + 4.0)  # 3 − 4 = −1, 5 − 4 = 1
    assert at_end.episodes[0].turn_rewards == (1.0, 2.0)
    assert [e.reward for e in paid.episodes] == [e.reward for e in at_end.episodes] == [3.0, -3.0, 3.5, None]
    assert [e.reward_terms for e in paid.episodes] == [e.reward_terms for e in at_end.episodes]
    assert paid.batch is not None
    expected = torch.zeros(4, 5)
    expected[0, 2], expected[1, 4], expected[2, 1], expected[3, 3] = 1.0 - 2.0, 4.0, -3.0, 0.5 + 3.0
    assert torch.equal(paid.batch.reward_B_T, expected)
    earlier = assign_credit(paid.batch, Credit(granularity="turn")).advantage_B_T
    assert earlier[0, 1:3].tolist() == [3.0, 3.0]  # what follows a turn is its merit as well
    assert earlier[1, 3:].tolist() == [4.0, 4.0]


def test_an_episode_without_a_score_has_no_reward_and_no_rows() -> None:
    paid = JudgedRewards(saying(3.0, None, 5.0), Rewards(model=1.0))(collection())
    assert paid.episodes[1].reward is None
    assert "gave no score" in str(paid.episodes[1].unscored)
    assert paid.batch is not None
    assert paid.batch.episode_B.tolist() == [NUMBERS[0], NUMBERS[0], NUMBERS[2]]
    nothing = JudgedRewards(saying(None, None, None), Rewards(model=1.0))
    assert nothing(collection()).batch is None
    assert nothing.state() == {}  # zero is where the first scores are
    assert [e.reward for e in nothing(replace(collection(), batch=None)).episodes] == [None] * 4


def test_each_unit_pays_for_leaving_the_reference_and_observations_do_not() -> None:
    """r_t = −β (log π − log π_ref), and what the episode earned at its last unit: by hand."""
    batch = replace(collection().batch, mask_B_T=torch.tensor([[0, 1, 1, 1, 0]] * 4, dtype=torch.bool))
    logp = torch.tensor([9.0, -0.5, -1.0, -0.2, 9.0]).expand(4, 5)
    reference = torch.tensor([1.0, -1.5, -0.5, -0.2, 1.0]).expand(4, 5)
    paid = penalized_rewards(batch, logp, reference, beta=0.1).reward_B_T
    torch.testing.assert_close(paid[0], torch.tensor([0.0, -0.1, 1.0 + 0.05, 0.0, 0.0]))
    torch.testing.assert_close(paid[3], torch.tensor([0.0, -0.1, 0.05, 0.5, 0.0]))
