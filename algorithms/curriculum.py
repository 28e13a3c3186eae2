"""Which tasks come next: mostly those that are solved now and then.

    w_i = E[p_i(1 − p_i)] · (n_i + 1)/(n_i + x_i + 1)
    E[p_i(1 − p_i)] = (s_i + ½)(n_i − s_i + ½) / ((n_i + 1)(n_i + 2)),    p_i ∼ Beta(½ + s_i, ½ + n_i − s_i)
    q_i = u/M + (1 − u)·w_i / Σ_j w_j

Of n_i scored episodes of task i, s_i were successes, and x_i more had no score. p(1 − p), the learnability of a task
(Rutherford et al. 2024, arXiv:2408.15099; of language models Foster et al. 2025, arXiv:2502.12272), is the variance of
what an episode earns: where all succeed, or none does, a group has nothing to compare. Its expectation under Jeffreys'
prior lets a task that nobody has tried (0.125) come before one that has failed eight times of eight (0.047), and behind
one that succeeds half of the time (0.225). An episode that nobody scores (a prompt that is too long, a judge that says
nothing) teaches nothing, so a task is worth less by the share of those, with one scored episode before the first. The
share u of uniform draws leaves no task out for good.

What the policy once did says little of what it does now, so counts fade by 2^(−1/h) with each update, h their half-life
(as in discounted Thompson sampling, Raj & Kalyani 2017, arXiv:1707.09727): an old verdict becomes a task untried.

NumPy, and no tensors: its sums are the same whatever the number of threads.
"""

from __future__ import annotations

import numpy as np


def learnability(solved_M: np.ndarray, tried_M: np.ndarray, unscored_M: np.ndarray) -> np.ndarray:
    """w [M]: what an episode of each task is worth as far as it is known, in (0, ¼). ValueError unless all are [M], and
    0 ≤ solved ≤ tried and 0 ≤ unscored."""
    if solved_M.ndim != 1 or solved_M.shape != tried_M.shape:
        raise ValueError(f"solved_M and tried_M have the shapes {solved_M.shape} and {tried_M.shape}, not one [M]")
    if not ((solved_M >= 0) & (solved_M <= tried_M)).all():
        raise ValueError("solved_M has more successes than tried_M has episodes, or fewer than none")
    if unscored_M.shape != tried_M.shape or not (unscored_M >= 0).all():
        raise ValueError("unscored_M is no number of episodes of each task")
    # w = E[p(1 − p)] · (n + 1)/(n + x + 1)
    expected_M = (solved_M + 0.5) * (tried_M - solved_M + 0.5) / ((tried_M + 1) * (tried_M + 2))
    return expected_M * (tried_M + 1) / (tried_M + unscored_M + 1)


def chances(weight_M: np.ndarray, *, uniform: float) -> np.ndarray:
    """q [M], which sums to 1: in proportion to the weights, of which at least one is positive, and a share `uniform` of
    it alike for all."""
    return uniform / len(weight_M) + (1 - uniform) * weight_M / weight_M.sum()


def draw(chance_M: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` tasks by their numbers [count]: task i ⌊count·q_i⌋ or ⌈count·q_i⌉ times, and count·q_i times on average.

    One number of chance decides, and points in equal steps from it fall on the tasks' shares of a line, in a random
    order (systematic sampling: Madow & Madow 1944). So no task is twice in a draw until its share is worth more than
    one place.
    """
    order = rng.permutation(len(chance_M))
    end_M = np.cumsum(chance_M[order]) * count
    place = np.searchsorted(end_M, rng.random() + np.arange(count), side="right")
    return order[np.minimum(place, len(order) - 1)]  # sums of shares may end a last digit before their whole


def effective_number(chance_M: np.ndarray) -> float:
    """1 / Σ q²: of how many tasks, drawn alike, a draw would be as varied; from 1 to M."""
    return float(1 / np.square(chance_M).sum())
