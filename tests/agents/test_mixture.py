"""Several worlds under one agent: whose groups are whose, and that nothing changes but their numbers."""

from __future__ import annotations

import pytest
import torch
from gymnasium.spaces import Box
from hypothesis import given
from hypothesis import strategies as st

from peripatos.agents.control.control_actor import ControlActor
from peripatos.agents.control.mlp import ActorCritic
from peripatos.agents.mixture import MixedActor, divided, mixed_groups
from peripatos.envs.seeding import derive_seed
from peripatos.envs.world_source import WorldSource


@given(st.integers(1, 200), st.lists(st.floats(0.01, 100), min_size=1, max_size=8))
def test_groups_are_divided_without_rest_and_in_proportion(groups: int, shares: list[float]) -> None:
    if len(shares) > groups:
        with pytest.raises(ValueError, match="worlds"):
            divided(groups, shares)
        return
    counts = divided(groups, shares)
    assert sum(counts) == groups
    assert min(counts) >= 1
    for count, share in zip(counts, shares, strict=True):
        exact = groups * share / sum(shares)
        if all(groups * other / sum(shares) >= 1 for other in shares):  # nobody is lifted to one
            assert abs(count - exact) < 1


def test_a_fair_share_by_hand() -> None:
    assert divided(8, [3, 1]) == [6, 2]
    assert divided(10, [1, 1, 1]) == [4, 3, 3]
    assert divided(4, [1000, 1]) == [3, 1]


def test_one_world_keeps_its_numbers() -> None:
    assert mixed_groups([range(16, 24)]) == list(range(16, 24))


def pendulums() -> tuple[MixedActor, dict[str, ControlActor], ActorCritic]:
    policy = ActorCritic(3, Box(-2, 2, (1,)), hidden=[8], critic=False, seed=0)

    def actor(gravity: float) -> ControlActor:
        options = {"g": gravity, "max_episode_steps": 6}
        return ControlActor(policy, WorldSource("Pendulum-v1", options), mode="episodes")

    return MixedActor({"light": actor(1.0), "heavy": actor(10.0)}), {"light": actor(1.0), "heavy": actor(10.0)}, policy


def test_each_world_plays_its_own_groups_as_if_it_were_alone() -> None:
    mixed, alone, _ = pendulums()
    groups = mixed_groups([range(3, 5), range(1, 2)])
    assert groups == [3, 6, 8]
    seen = mixed.collect(groups, 2, seed=7, version=0)
    assert seen.batch is not None
    assert seen.batch.notes["world_B"].tolist() == [1, 1, 0, 0, 0, 0]  # in the order of groups: 3 is heavy's
    assert seen.batch.group_B.tolist() == [3, 3, 6, 6, 8, 8]
    assert {(e.world, e.group) for e in seen.episodes} == {("light", 6), ("light", 8), ("heavy", 3)}
    assert {e.number for e in seen.episodes} == set(seen.batch.episode_B.tolist())
    for world, own in (("light", [3, 4]), ("heavy", [1])):
        by_itself = alone[world].collect(own, 2, seed=derive_seed(7, "world", world), version=0).batch
        assert by_itself is not None
        rows = seen.batch.rows(torch.nonzero(seen.batch.notes["world_B"] == list(alone).index(world))[:, 0])
        assert torch.equal(rows.reward_B_T, by_itself.reward_B_T)
        assert torch.equal(rows.behavior_logp_B_T, by_itself.behavior_logp_B_T)


def test_an_evaluation_has_as_many_tasks_of_each_world() -> None:
    mixed, _, _ = pendulums()
    episodes = mixed.evaluate(3, seed=0, version=0)
    assert [e.world for e in episodes] == ["light", "heavy"] * 3
    assert [e.group for e in episodes] == list(range(6))
