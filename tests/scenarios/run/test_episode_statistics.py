"""Means and intervals against figures worked out by hand or found in textbooks."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.spaces import Discrete

from peripatos.agents.control.control_actor import ControlActor
from peripatos.agents.control.mlp import ActorCritic
from peripatos.envs.errors import UserError
from peripatos.envs.vocabulary import Episode
from peripatos.envs.world_source import WorldSource
from peripatos.scenarios.run.episode_statistics import (
    describe_collection,
    mean_interval,
    rank,
    reached,
    score,
    share_interval,
    spell_evaluation,
    summarize,
    task_error,
    told_in,
    wilson,
)


def episode(reward: float | None, success: bool | None = None, **more: object) -> Episode:
    return Episode(group=0, index=0, seed=0, version=0, split="test", reward=reward, success=success, **more)


def test_wilson_interval_of_eight_in_ten() -> None:
    # centre (0.8 + z²/20)/(1 + z²/10), z = 1.959964: 0.716741; half-width 0.226543
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_wilson_interval_of_no_success_reaches_above_zero() -> None:
    low, high = wilson(0, 10)
    assert low == pytest.approx(0.0, abs=1e-12)
    assert high == pytest.approx(0.2775, abs=1e-4)  # z²/(10 + z²)


def test_mean_interval_of_three_values() -> None:
    # mean 2, s = 1, t(0.975, 2) = 4.302653: half-width 4.302653/√3
    assert mean_interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 2.48414, 2 + 2.48414), abs=1e-4)
    assert mean_interval([1.0]) == (None, None)


def test_a_return_never_stands_among_success_rates() -> None:
    solved, silent = {"success_rate": 0.1, "return_mean": 1.0}, {"return_mean": 9.0}
    assert (score(silent), score(silent, [""]), score({"return_mean": None}, [""])) == (9.0, 0.0, None)
    assert rank(solved, [""]) == [0.1, 1.0] > rank(silent, [""]) == [0.0, 9.0]
    assert rank(solved) == [0.1, 1.0] > rank(silent) == [0.0, 9.0] > rank({"return_mean": 8.0}) == [0.0, 8.0]
    # six of ten by one world and none by the other are no better than six and one
    alone = {"a/success_rate": 0.6, "success_rate": 0.6, "return_mean": 0.0}
    both = {**alone, "b/success_rate": 0.1, "success_rate": 0.35}
    assert told_in(both) == {"a", "b"}
    assert (score(alone, told_in(both)), score(both, told_in(both))) == (0.3, 0.35)


def drawn(right: list[list[bool]], **more: object) -> list[Episode]:
    """An episode for each of the draws of each task, which earns 1 where it is right."""
    return [
        Episode(group, index, seed=group, version=0, split="test", reward=float(one), success=one, **more)
        for group, draws in enumerate(right)
        for index, one in enumerate(draws)
    ]


def test_the_error_of_a_mean_counts_tasks_and_not_draws() -> None:
    # mean 1/2 of (1, 1), (0, 0), (1, 0): residuals by task 1, −1, 0; √(3/2 · 2)/6
    assert task_error([1, 1, 0, 0, 1, 0], [0, 0, 1, 1, 2, 2]) == pytest.approx(3**0.5 / 6)
    assert task_error([1.0, 2.0, 3.0], range(3)) == pytest.approx(1 / 3**0.5)  # s/√n


def test_more_draws_of_a_task_that_decides_alone_tell_nothing_more() -> None:
    right = [True] * 7 + [False] * 3
    once, often = (summarize(drawn([[one] * k for one in right])) for k in (1, 16))
    for name in ("success_low", "success_high", "return_low", "return_high"):
        assert often[name] == pytest.approx(once[name])
    assert (often["success_low"], often["success_high"]) == pytest.approx((0.3968, 0.8922), abs=1e-4)  # 7 of 10
    assert (often["episodes"], often["tasks"], once.get("tasks")) == (160, 10, None)
    assert spell_evaluation(often).endswith(", 10 tasks × 16")
    assert spell_evaluation(summarize(drawn([[True], [True, False]]))).endswith(", 3 episodes of 2 tasks")


def test_never_right_is_said_of_tasks() -> None:
    assert share_interval([0.0] * 160, [n // 16 for n in range(160)]) == pytest.approx(wilson(0, 10))
    assert share_interval([0.0, 1.0] * 8, [0] * 16) == pytest.approx(wilson(0.5, 1))  # one task


@pytest.mark.parametrize("uneven", [True, False], ids=["easy or hard tasks", "all alike"])
@pytest.mark.parametrize(("n", "k"), [(10, 1), (10, 16), (20, 4), (50, 1), (50, 16)])
def test_ninety_five_percent_are_that(n: int, k: int, uneven: bool) -> None:
    """Coverage of the truth 1/2: p ~ Beta(½, ½) by the task, or 1/2 of all. Of counted draws it is 47 % at 50 × 16."""
    rng, covered, repeats = np.random.default_rng(n * k), [0, 0], 300
    tasks = np.repeat(np.arange(n), k).tolist()
    for _ in range(repeats):
        p = rng.beta(0.5, 0.5, n) if uneven else np.full(n, 0.5)
        right = (rng.random((n, k)) < p[:, None]).astype(float).ravel().tolist()
        for which, interval in enumerate((share_interval, mean_interval)):
            low, high = interval(right, tasks)
            covered[which] += low <= 0.5 + 1e-12 and high >= 0.5 - 1e-12
    assert min(covered) >= 0.92 * repeats


def test_more_episodes_than_a_list_has_tasks_are_no_more_tasks() -> None:
    once, thrice = [[True], [True], [False], [True]], [[one] for one in [True, True, False, True] * 3]
    result = summarize(drawn(thrice), {"": 4})
    assert result["success_high"] == pytest.approx(summarize(drawn(once))["success_high"])
    assert result["tasks"] == 4
    assert "tasks" not in summarize(drawn(thrice), {"": None})  # made by chance
    # of two worlds, group g is group g // 2 of world g % 2
    second = [e for e in drawn([[True]] * 8, world="b") if e.group % 2]
    assert summarize(second, {"a": None, "b": 2})["tasks"] == 2


def test_failed_episodes_are_counted_and_left_out_of_every_mean() -> None:
    result = summarize([episode(1.0, True), episode(0.0, False), episode(None)])
    assert (result["episodes"], result["failed"]) == (3, 1)
    assert result["return_mean"] == 0.5
    assert result["success_rate"] == 0.5


def test_a_world_without_success_is_scored_by_its_return() -> None:
    result = summarize([episode(3.0), episode(5.0)])
    assert "success_rate" not in result
    assert score(result) == 4.0
    assert score(summarize([episode(3.0, True), episode(5.0, False)])) == 0.5


def test_equal_success_is_ranked_by_the_return_and_success_comes_first() -> None:
    poor, rich, lucky = ({"success_rate": s, "return_mean": r} for s, r in ((0.0, 2.0), (0.0, 10.0), (0.1, -5.0)))
    ranks = [rank(result) for result in (poor, rich, lucky, {"return_mean": 3.0})]
    assert ranks == [[0.0, 2.0], [0.0, 10.0], [0.1, -5.0], [0.0, 3.0]]
    assert rank({"success_rate": None, "return_mean": None}) is None


def test_a_goal_is_reached_by_an_equal_value_and_not_by_an_unknown_one() -> None:
    goal = {"return_mean": 4.0}
    assert reached({"return_mean": 4.0}, goal) == "return_mean 4 ≥ 4"
    assert reached({"return_mean": 3.9}, goal) is None
    assert reached({"return_mean": None}, goal) is None
    assert reached({"return_mean": 9.0}, {}) is None


@pytest.mark.parametrize("goal", ["<= 10", "<=10", " ≤ 10.0", "<= 1e1"])
def test_a_cost_is_reached_from_above(goal: str) -> None:
    assert reached({"turns_mean": 10.0}, {"turns_mean": goal}) == "turns_mean 10 ≤ 10"
    assert reached({"turns_mean": 200.0}, {"turns_mean": goal}) is None
    assert reached({"turns_mean": None}, {"turns_mean": goal}) is None
    both = {"turns_mean": goal, "return_mean": ">= 2"}
    assert reached({"turns_mean": 3.0, "return_mean": 1.0}, both) is None
    assert reached({"turns_mean": 3.0, "return_mean": 2.0}, both) == "turns_mean 3 ≤ 10, return_mean 2 ≥ 2"
    assert reached({"fuel_mean": -11.0}, {"fuel_mean": "<= -10"}) == "fuel_mean -11 ≤ -10"


def test_a_stage_ends_only_when_one_evaluation_reaches_all_of_its_goals() -> None:
    goals = {"return_mean": 4.0, "distance_mean": 2.0}
    assert reached({"return_mean": 9.0, "distance_mean": 1.9}, goals) is None
    assert reached({"return_mean": 9.0, "distance_mean": 2.5}, goals) == "return_mean 9 ≥ 4, distance_mean 2.5 ≥ 2"


def test_a_goal_that_the_world_does_not_report_names_those_that_it_does() -> None:
    with pytest.raises(UserError, match=r"stop.distnce_mean: .* return_mean, distance_mean.* 'distance_mean'"):
        reached({"return_mean": 9.0, "distance_mean": 2.5, "episodes": 3}, {"distnce_mean": 1.0})


def test_reward_terms_are_averaged_over_scored_episodes_only() -> None:
    row = describe_collection(
        [episode(1.0, reward_terms={"a": 1.0}), episode(3.0, reward_terms={"a": 2.0}), episode(None)]
    )
    assert (row["reward/mean"], row["reward/std"], row["term/a"]) == (2.0, 1.0, 1.5)
    assert (row["episodes/finished"], row["episodes/failed"]) == (3.0, 1.0)
    assert "reward/mean" not in describe_collection([episode(None)])


def test_a_row_says_which_share_of_the_groups_teaches_nothing_and_of_the_calls_nobody_could_read() -> None:
    def member(group: int, reward: float | None, seed: int = 0, **message: str) -> Episode:
        said = ({"role": "assistant", "content": "", **message},)
        return Episode(group, 0, seed, 0, "train", reward, tokens=(1,), messages=said)

    good, bad = [member(0, 1.0), member(0, 1.0), member(1, 0.0)], [member(1, 1.0, parse_error="no JSON")]
    alone = [member(2, 1.0), member(3, 1.0, seed=1), member(3, 1.0, seed=2), member(4, None), member(4, 1.0)]
    row = describe_collection([*good, *bad, *alone])
    assert row["groups/flat"] == 0.5
    assert row["episodes/malformed"] == pytest.approx(1 / 8)
    assert "groups/flat" not in describe_collection(alone)


def test_a_row_says_how_many_episodes_still_run_so_that_the_first_means_are_not_taken_for_all() -> None:
    policy = ActorCritic(4, Discrete(2), hidden=[4], critic=True)
    actor = ControlActor(policy, WorldSource("CartPole-v1"), mode="segments", horizon=8)
    collection = actor.collect(range(3), 1, seed=0, version=0)
    row = describe_collection(collection.episodes, running=collection.running)
    assert (row["episodes/finished"], row["episodes/running"]) == (len(collection.episodes), 3)
    whole = ControlActor(policy, WorldSource("CartPole-v1"), mode="episodes").collect(range(3), 1, seed=0, version=0)
    assert whole.running == 0
