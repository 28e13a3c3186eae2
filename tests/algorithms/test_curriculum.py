"""The weights of tasks by hand and by quadrature, how often each is drawn, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta

from peripatos.algorithms.curriculum import chances, draw, effective_number, learnability


def test_weights_are_those_worked_out_by_hand() -> None:
    solved, tried = np.array([0.0, 0.0, 8.0, 4.0, 1.0]), np.array([0.0, 8.0, 8.0, 8.0, 2.0])
    by_hand = [Fraction(1, 8), Fraction(17, 360), Fraction(17, 360), Fraction(9, 40), Fraction(3, 16)]
    assert learnability(solved, tried, np.zeros(len(tried))) == pytest.approx([float(x) for x in by_hand], rel=1e-15)


def test_a_task_that_is_never_scored_is_worth_ever_less_and_one_scored_episode_in_four_a_quarter_and_more() -> None:
    nothing = np.zeros(4)
    by_hand = [1 / 8, 1 / 8 / 2, 1 / 8 / 9, 1 / 8 / 81]
    assert learnability(nothing, nothing, np.array([0, 1, 8, 80])) == pytest.approx(by_hand, rel=1e-15)
    assert learnability(np.array([1.0]), np.array([2.0]), np.array([6.0])) == pytest.approx([3 / 16 / 3], rel=1e-15)
    with pytest.raises(ValueError, match="no number of episodes"):
        learnability(nothing, nothing, nothing - 1)


@pytest.mark.parametrize("seed", range(3))
def test_weights_are_the_expectation_under_jeffreys_posterior(seed: int) -> None:
    chance = np.random.default_rng(seed)
    tried = chance.uniform(0, 40, 4)
    solved = tried * chance.uniform(0, 1, 4)
    for s, n, weight in zip(solved, tried, learnability(solved, tried, np.zeros(len(tried))), strict=True):
        density = partial(beta.pdf, a=0.5 + s, b=0.5 + n - s)
        expected = quad(lambda p, of=density: p * (1 - p) * of(p), 0, 1, points=[0.01, 0.99])[0]
        assert weight == pytest.approx(expected, rel=1e-6), f"seed {seed}"


def test_the_middle_is_drawn_most_and_nothing_is_left_out() -> None:
    tried, solved = np.full(5, 16.0), np.array([0.0, 2.0, 8.0, 14.0, 16.0])
    q = chances(learnability(solved, tried, np.zeros(len(tried))), uniform=0.2)
    assert q.sum() == pytest.approx(1, abs=1e-15)
    assert q[2] == q.max()
    assert q[1] == pytest.approx(q[3], rel=1e-15)
    assert q[0] == pytest.approx(q[4], rel=1e-15)
    assert (q > 0.2 / 5).all()
    assert chances(learnability(solved, tried, np.zeros(len(tried))), uniform=1.0) == pytest.approx(
        [0.2] * 5, rel=1e-15
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_task_is_drawn_the_floor_or_the_ceiling_of_its_share_and_its_share_on_average(seed: int) -> None:
    chance = np.random.default_rng(seed)
    tasks, count, draws = int(chance.integers(2, 12)), int(chance.integers(1, 20)), 4000
    q = chance.dirichlet(np.full(tasks, 0.5))
    seen = np.stack([np.bincount(draw(q, count, chance), minlength=tasks) for _ in range(draws)])
    assert (seen.sum(axis=1) == count).all()
    assert (seen >= np.floor(count * q - 1e-9)).all(), f"seed {seed}"
    assert (seen <= np.ceil(count * q + 1e-9)).all(), f"seed {seed}"
    assert seen.mean(axis=0) == pytest.approx(count * q, abs=5 * 0.5 / np.sqrt(draws)), f"seed {seed}"


def test_no_task_is_twice_in_a_draw_of_shares_below_one_place_and_all_are_in_one_of_all() -> None:
    chance = np.random.default_rng(0)
    assert sorted(draw(np.full(7, 1 / 7), 7, chance)) == list(range(7))
    for _ in range(200):
        drawn = draw(chances(chance.uniform(0.5, 1, 100), uniform=0.0), 40, chance)
        assert len(set(drawn.tolist())) == 40


def test_any_two_tasks_may_be_drawn_together() -> None:
    """Without the random order, neighbours on the line would never be."""
    chance = np.random.default_rng(0)
    pairs = {tuple(sorted(draw(np.full(6, 1 / 6), 2, chance).tolist())) for _ in range(500)}
    assert len(pairs) == 15


def test_the_effective_number_is_that_of_equal_shares_and_one_where_one_is_everything() -> None:
    assert effective_number(np.full(8, 1 / 8)) == pytest.approx(8)
    assert effective_number(np.array([0.0, 1.0, 0.0])) == 1
    assert effective_number(np.array([0.5, 0.25, 0.25])) == pytest.approx(8 / 3)


@pytest.mark.parametrize(
    ("solved", "tried", "said"),
    [([1.0], [1.0, 2.0], "solved_M"), ([[1.0]], [[1.0]], "solved_M"), ([2.0], [1.0], "more"), ([-1.0], [1.0], "fewer")],
)
def test_counts_that_cannot_be_are_refused(solved: list, tried: list, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        learnability(np.array(solved), np.array(tried), np.zeros(np.shape(tried)))
