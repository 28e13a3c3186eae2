"""The world of the scenarios about learned rewards."""

from __future__ import annotations

import numpy as np
import pytest

from peripatos.envs.check import check_world
from peripatos.envs.worlds.maths.digits import Digits, ranked, ranked_turns


@pytest.mark.parametrize("turns", [1, 3])
def test_it_keeps_the_contract_and_asks_in_each_split_what_no_other_asks(turns: int) -> None:
    assert not [finding for finding in check_world(Digits(turns=turns)) if not finding.passed]


def test_what_is_ranked_is_what_is_trained_on() -> None:
    world, rng = Digits(), np.random.default_rng(0)
    asked = {world.opening(rng, "train") for _ in range(2000)}
    assert asked == {row["prompt"] for row in ranked()}
    assert asked == {answer[0]["content"] for row in ranked_turns() for answer in row["answers"]}
