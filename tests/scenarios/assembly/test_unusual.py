"""Numbers that leave the reward next to nothing to do are said before the first step, with what is usual."""

from __future__ import annotations

import pytest

from peripatos.algorithms.methods import METHODS, method
from peripatos.scenarios.assembly.unusual import unusual
from peripatos.scenarios.config.schema import Stage


def said(name: str, **overrides: object) -> list[str]:
    return list(unusual(Stage(name="learn"), method(name, overrides)))


@pytest.mark.parametrize(
    ("name", "overrides", "words"),
    [
        ("ppo", {"update": {"entropy_coefficient": 1e6}}, "update.entropy_coefficient is 1e+06"),
        ("grpo", {"update": {"entropy_coefficient": 100}}, "update.entropy_coefficient is 100"),
        ("ppo", {"update": {"value_coefficient": 1e5}}, "update.value_coefficient is 100000"),
        ("grpo", {"update": {"imitation_coefficient": 1e30}}, "update.imitation_coefficient is 1e+30"),
        ("grpo", {"update": {"observation_coefficient": 100}}, "update.observation_coefficient is 100"),
        ("ppo", {"update": {"value_clip": 1e-30}}, "update.value_clip is 1e-30"),
        ("grpo", {"weighting": {"kl": "k1", "beta": 1e5}}, "weighting.beta is 100000"),
        ("rloo", {"weighting": {"kl": "k3", "beta": 50}}, "weighting.beta is 50"),
        ("ppo", {"rewards": {"clip": 1e-30}}, "rewards.clip is 1e-30"),
        ("ppo", {"credit": {"gamma": 0.0}}, "credit.gamma is 0,"),
        ("ppo", {"credit": {"gamma": 0.1}}, "credit.gamma is 0.1"),
        ("grpo", {"weighting": {"clip_low": 0.0}, "update": {"minibatches": 2}}, "weighting.clip_low is 0,"),
        ("grpo", {"weighting": {"clip_high": 0.0}, "update": {"epochs": 2}}, "weighting.clip_high is 0,"),
        ("grpo", {"credit": {"eps": 1e6}}, "credit.eps is 1e+06"),
        ("grpo", {"weighting": {"entropy_share": 1e-9}}, "weighting.entropy_share is 1e-09"),
    ],
)
def test_a_number_that_swallows_the_reward_is_said(name: str, overrides: dict[str, object], words: str) -> None:
    (sentence,) = said(name, **overrides)
    assert words in sentence
    assert "usual is" in sentence
    assert "(stages.learn.overrides." in sentence


@pytest.mark.parametrize("name", METHODS)
def test_nothing_is_said_of_the_methods_as_they_are(name: str) -> None:
    assert said(name) == []
