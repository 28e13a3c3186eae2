"""Spaces in which there is nothing to see, or nothing to decide."""

import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Text, Tuple

from peripatos.envs.control.learnable import unlearnable

TWO = Box(-1, 1, (2,))


@pytest.mark.parametrize(
    ("seen", "done", "words"),
    [
        (TWO, Discrete(1), "Discrete(1): one action, so that nothing can be learned"),
        (TWO, Discrete(1, start=5), "one action"),
        (TWO, MultiDiscrete([1, 1]), "one action"),
        (TWO, Tuple((Discrete(1), Box(3, 3, (1,)))), "one action"),
        (TWO, Box(2, 2, (2,)), "whose bounds are equal: one action"),
        (TWO, Box(-1, 1, (0,)), "action_space has the shape (0,), which holds no number"),
        (TWO, Box(-1, 1, (3, 0)), "action_space has the shape (3, 0), which holds no number"),
        (TWO, Dict({}), "action_space is Dict(), which holds no number"),
        (Box(-1, 1, (0,)), Discrete(2), "observation_space has the shape (0,), which holds no number"),
        (Tuple([]), Discrete(2), "observation_space is Tuple(), which holds no number"),
        (Dict({"text": Text(3)}), Discrete(2), "which holds no number"),
    ],
)
def test_why_nothing_can_be_learned_is_said(seen: Space, done: Space, words: str) -> None:
    assert words in (unlearnable(seen, done) or "")


@pytest.mark.parametrize("done", [Discrete(2), MultiDiscrete([1, 2]), MultiBinary(1), TWO, Tuple((Discrete(1), TWO))])
def test_where_something_can_be_decided_something_can_be_learned(done: Space) -> None:
    assert unlearnable(TWO, done) is None
    assert unlearnable(Discrete(1), done) is None  # a bandit sees nothing that differs
