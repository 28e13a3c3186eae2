"""A method that reads probabilities is refused wherever a part of an action is a real number, and only there."""

from __future__ import annotations

import re

import numpy as np
import pytest
import yaml
from gymnasium.spaces import Box, Dict, Discrete, Space, Tuple

from peripatos.algorithms.methods import METHODS, method
from peripatos.envs.errors import WrongKey
from peripatos.envs.world_source import WorldFacts, WorldSource
from peripatos.scenarios.assembly.method_fits import check_age, check_discount, check_world_fits
from peripatos.scenarios.config.schema import Budget, Collect, Stage

REAL = Box(-1, 1, (2,), np.float32)
WHOLE = Box(0, 3, (2,), np.int64)  # a softmax for each
MANY = Box(-(10**6), 10**6, (1,), np.int64)  # drawn as real numbers, and rounded
SPACES = [
    (REAL, True),
    (Dict(turn=Discrete(2), push=REAL), True),
    (Tuple((Discrete(2), Dict(push=REAL))), True),
    (MANY, True),
    (WHOLE, False),
    (Dict(turn=Discrete(2), push=WHOLE), False),
    (Discrete(2), False),
]


@pytest.mark.parametrize("name", ["dft", "dppo"])
@pytest.mark.parametrize(("space", "has_densities"), SPACES, ids=[str(space) for space, _ in SPACES])
def test_what_reads_probabilities_is_refused_where_some_action_has_a_density(
    name: str, space: Space, has_densities: bool
) -> None:
    stage = Stage(name="learn", method=name, collect=Collect(groups=1), budget=Budget(updates=1))
    facts = WorldFacts(kind="control", observation_space=REAL, action_space=space, longest_episode=9)
    if not has_densities:
        check_world_fits(stage, METHODS[name], facts)
        return
    with pytest.raises(WrongKey, match="densities"):
        check_world_fits(stage, METHODS[name], facts)


@pytest.mark.parametrize("space", [REAL, Dict(turn=Discrete(2), push=REAL), WHOLE, Discrete(2)], ids=str)
@pytest.mark.parametrize("name", METHODS)
def test_what_is_said_to_fit_a_world_of_bodies_does(name: str, space: Space) -> None:
    stage = Stage(name="learn", method=name, collect=Collect(groups=1), budget=Budget(updates=1))
    facts = WorldFacts(kind="control", observation_space=REAL, action_space=space, longest_episode=9)
    refused = ""
    try:
        check_world_fits(stage, METHODS[name], facts)
    except WrongKey as problem:
        refused = str(problem)
    advice = re.search(r"write overrides: (\{.*\})$", refused)
    if advice:
        check_world_fits(stage, method(name, yaml.safe_load(advice[1])), facts)


@pytest.mark.parametrize(
    ("space", "is_alike"),
    [(REAL, True), (MANY, True), (Dict(a=REAL, b=MANY), True), (WHOLE, False), (SPACES[1][0], False)],
    ids=str,
)
def test_a_share_of_the_most_uncertain_is_refused_where_all_actions_are_drawn_alike(
    space: Space, is_alike: bool
) -> None:
    written = {"weighting": {"entropy_share": 0.2}}
    stage = Stage(
        name="learn",
        method="reinforce_baseline",
        overrides=written,
        collect=Collect(groups=1),
        budget=Budget(updates=1),
    )
    facts = WorldFacts(kind="control", observation_space=REAL, action_space=space, longest_episode=9)
    row = method("reinforce_baseline", written)
    if not is_alike:
        check_world_fits(stage, row, facts)
        return
    with pytest.raises(WrongKey, match=r"so alike everywhere.*weighting: \{entropy_share: 1\}") as problem:
        check_world_fits(stage, row, facts)
    assert problem.value.path == ("overrides", "weighting", "entropy_share")


@pytest.mark.parametrize(
    ("credit", "worlds", "idle"),
    [
        ({"granularity": "turn", "gamma": 0.6}, ["Arithmetic"], "credit.gamma is 0.6"),
        ({"baseline": "critic", "scale": None, "granularity": "turn", "lam": 0.5}, ["Arithmetic"], "credit.lam is 0.5"),
        ({"granularity": "turn", "gamma": 0.6}, ["Arithmetic", "ToolMaths"], ""),
        ({"granularity": "turn", "gamma": 1.0}, ["Arithmetic"], ""),
        ({"granularity": "unit", "gamma": 0.6}, ["Arithmetic"], ""),
    ],
    ids=str,
)
def test_a_discount_is_refused_where_every_episode_is_one_step(credit: dict, worlds: list[str], idle: str) -> None:
    overrides = {"credit": credit}
    stage = Stage(name="learn", method="grpo", overrides=overrides, collect=Collect(groups=1), budget=Budget(updates=1))
    sources = [WorldSource(f"peripatos/{world}-v0", {}, []) for world in worlds]
    if not idle:
        check_discount(stage, method("grpo", overrides), sources)
        return
    with pytest.raises(WrongKey, match=f"{idle} and would have no effect: an episode is one turn here"):
        check_discount(stage, method("grpo", overrides), sources)


@pytest.mark.parametrize("name", METHODS)
def test_what_is_said_to_fit_older_weights_does(name: str) -> None:
    def read(overrides: dict[str, dict[str, object]], staleness: int) -> str:
        stage = Stage(
            name="learn",
            method=name,
            overrides=overrides,
            collect=Collect(groups=1, group_size=2, staleness=staleness),
            budget=Budget(updates=1),
        )
        try:
            check_age(stage, method(name, overrides))
        except WrongKey as problem:
            return str(problem)
        return ""

    said = read({}, 1)
    advice = re.search(r": give overrides: (\{.*\}), or leave", said)
    assert not advice or not read(yaml.safe_load(advice[1]), 1)
    assert not said or said.endswith("leave collect.staleness out")
    assert not read({}, 0)
