"""What the control actor brings back: truncation, failures, groups, order, and exact resumption."""

from dataclasses import fields
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from peripatos.agents.control.control_actor import ControlActor
from peripatos.agents.control.mlp import ActorCritic
from peripatos.envs.seeding import derive_seed
from peripatos.envs.world_source import WorldSource


class Counting(gym.Env[np.ndarray, np.ndarray]):
    """Observes how far it is; ends after `length` steps in the way that was asked for, or raises."""

    observation_space = Box(-np.inf, np.inf, (1,), np.float32)
    action_space = Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, length: int = 5, how: str = "truncated") -> None:
        self.length, self.how = length, how

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.count, self.broken = 0, self.how == "sometimes" and (seed or 0) % 2 == 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.count += 1
        over = self.count == self.length
        if self.broken and over:
            raise RuntimeError("the knee broke")
        terms = {"time": 1.0, "effort": -(float(action[0]) ** 2)}
        info = {"reward_terms": terms, "success": over, "metrics": {"far": 2.0 * self.count}}
        both = self.how == "both" and over
        terminated = both or (over and self.how == "terminated")
        truncated = both or (over and self.how in ("truncated", "sometimes"))
        return np.array([self.count], np.float32), sum(terms.values()), terminated, truncated, info


_COUNTING = f"{__name__}:Counting"
_WALKER, _BOX1 = "peripatos/Walker-v0", Box(-1.0, 1.0, (1,), np.float32)


def _critic(size=1, space=_BOX1, seed=0):
    policy = ActorCritic(size, space, hidden=(8,), seed=seed)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)))
    return policy


def _equal(a, b):
    same = all(torch.equal(a.inputs[name], b.inputs[name]) for name in a.inputs)
    tensors = [f.name for f in fields(a) if f.name not in ("inputs", "notes")]
    return same and all(torch.equal(getattr(a, name), getattr(b, name)) for name in tensors)


def _v(policy, *states):
    return policy.value(np.array(states, np.float32)[:, None])


def test_truncation_bootstraps_with_the_value_of_the_final_observation_and_not_of_the_reset_one():
    policy = _critic()
    actor = ControlActor(policy, WorldSource(_COUNTING, {"length": 5}), mode="segments", horizon=8)
    batch = actor.collect(range(2), 1, seed=0, version=0).batch
    assert batch is not None
    assert batch.end_B_T[0].tolist() == [False] * 4 + [True] + [False] * 2 + [True]
    assert batch.inputs["observation_B_T_D"][0, :, 0].tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert batch.turn_B_T[0].tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    final, cut = _v(policy, 5, 3)
    assert batch.bootstrap_B_T[0].numpy() == pytest.approx([0, 0, 0, 0, final, 0, 0, cut], rel=1e-5)
    assert abs(final - _v(policy, 0)[0]) > 1e-3
    assert batch.value_B_T[0].numpy() == pytest.approx(_v(policy, 0, 1, 2, 3, 4, 0, 1, 2), rel=1e-5)
    following = actor.collect(range(2), 1, seed=0, version=1).batch
    assert following is not None
    assert following.inputs["observation_B_T_D"][0, :, 0].tolist() == [3, 4, 0, 1, 2, 3, 4, 0]


@pytest.mark.parametrize("how", ["terminated", "both"])
def test_termination_does_not_bootstrap_even_where_the_step_is_truncated_as_well(how):
    actor = ControlActor(_critic(), WorldSource(_COUNTING, {"length": 5, "how": how}), mode="segments", horizon=5)
    collection = actor.collect([0], 1, seed=0, version=0)
    assert collection.batch is not None
    assert collection.batch.bootstrap_B_T.tolist() == [[0.0] * 5]
    assert collection.episodes[0].terminated
    assert not collection.episodes[0].truncated


@pytest.mark.parametrize("mode", ["segments", "episodes"])
def test_an_episode_is_recorded_with_its_terms_success_metrics_and_actions(mode):
    actor = ControlActor(_critic(), WorldSource(_COUNTING, {"length": 3}), mode=mode, horizon=3)
    collection = actor.collect([4], 1, seed=7, version=2)
    (episode,), batch = collection.episodes, collection.batch
    assert batch is not None
    assert (episode.group, episode.index, episode.version, episode.split, episode.turns) == (4, 0, 2, "train", 3)
    assert episode.actions is not None
    assert np.array_equal(episode.actions, batch.inputs["action_B_T_A"][0].numpy())
    clipped = np.clip(episode.actions, -1, 1)
    assert episode.reward_terms["effort"] == pytest.approx(-float((clipped**2).sum()), rel=1e-5)
    assert sum(episode.reward_terms.values()) == pytest.approx(episode.reward)
    assert float(batch.reward_B_T.sum()) == pytest.approx(episode.reward, rel=1e-5)
    assert episode.success is True
    assert episode.metrics == {"far": 6.0}
    assert batch.version_B.tolist() == [2]
    assert set(collection.seconds) == {"simulate", "infer"}


def test_the_log_probability_is_that_of_the_unclipped_action():
    policy = _critic()
    with torch.no_grad():
        policy.log_std.fill_(1.0)
    actor = ControlActor(policy, WorldSource(_COUNTING), mode="episodes")
    batch = actor.collect(range(8), 1, seed=0, version=0).batch
    assert batch is not None
    assert batch.inputs["action_B_T_A"].abs().max() > 1.5
    logp, _, _ = policy.score(batch.inputs)
    torch.testing.assert_close(logp, batch.behavior_logp_B_T, rtol=1e-5, atol=1e-5)


def test_a_failed_episode_of_a_segment_is_masked_out_and_the_row_goes_on():
    seed = next(
        s for s in range(50) if derive_seed(s, "episode", 0, 0, 0) % 2 and not derive_seed(s, "episode", 0, 0, 1) % 2
    )
    actor = ControlActor(
        _critic(), WorldSource(_COUNTING, {"length": 3, "how": "sometimes"}), mode="segments", horizon=7
    )
    collection = actor.collect([0], 1, seed=seed, version=0)
    assert collection.batch is not None
    assert collection.batch.mask_B_T.tolist() == [[True] * 3 + [False] * 3 + [True]]
    good, failed = collection.episodes
    assert good.failure is None
    assert failed.reward is None
    assert "the knee broke" in (failed.failure or "")
    assert not failed.terminated
    assert not failed.truncated
    assert (collection.env_steps, collection.action_units) == (6, 7)


def test_failed_episodes_leave_the_batch_and_stay_in_the_record():
    actor = ControlActor(_critic(), WorldSource(_COUNTING, {"length": 4, "how": "sometimes"}), mode="episodes")
    collection = actor.collect(range(10), 1, seed=0, version=0)
    odd = [group for group in range(10) if derive_seed(0, "task", "train", group) % 2]
    assert 0 < len(odd) < 10
    assert collection.batch is not None
    assert collection.batch.group_B.tolist() == odd
    assert [episode.group for episode in collection.episodes if episode.reward is not None] == odd
    broken = next(group for group in range(10) if group not in odd)
    assert actor.collect([broken], 2, seed=0, version=0).batch is None


def test_members_of_a_group_start_alike_act_differently_and_rows_are_ragged():
    policy = ActorCritic(4, Discrete(2), critic=False, hidden=(8,))
    actor = ControlActor(policy, WorldSource("CartPole-v1"), mode="episodes")
    collection = actor.collect([3, 8], 4, seed=1, version=0)
    batch = collection.batch
    assert batch is not None
    first = batch.inputs["observation_B_T_D"][:, 0]
    assert torch.equal(first[:4], first[:1].expand(4, 4))
    assert not torch.equal(first[0], first[4])
    assert batch.group_B.tolist() == [3] * 4 + [8] * 4
    lengths = batch.mask_B_T.sum(1).tolist()
    assert lengths == [episode.turns for episode in collection.episodes]
    assert len(set(lengths)) > 1
    assert batch.mask_B_T.shape[1] == max(lengths)
    for row, length in enumerate(lengths):
        assert batch.end_B_T[row].nonzero()[:, 0].tolist() == [length - 1]
        assert batch.reward_B_T[row].sum() == collection.episodes[row].reward
    assert collection.env_steps == sum(lengths)


def test_an_episode_depends_on_no_other_world_that_is_played_beside_it():
    policy = ActorCritic(31, Box(-1.0, 1.0, (6,), np.float32), hidden=(8,))
    actor = ControlActor(policy, WorldSource(_WALKER, {"max_episode_steps": 40}), mode="episodes")
    many = actor.collect([5, 6, 7], 3, seed=2, version=1)
    alone = actor.collect([6], 3, seed=2, version=1)
    assert many.batch is not None
    assert alone.batch is not None
    actions = [episode.actions for episode in many.episodes[3:6]]
    for mine, theirs in zip(alone.episodes, actions, strict=True):
        assert mine.actions is not None
        assert theirs is not None
        np.testing.assert_allclose(mine.actions, theirs, rtol=0, atol=1e-4)  # matrix products differ by a rounding
        assert np.array_equal(mine.actions[0], theirs[0]) or np.abs(mine.actions[0] - theirs[0]).max() < 1e-6


@pytest.mark.parametrize(
    ("world", "size", "space", "options"),
    [
        ("CartPole-v1", 4, Discrete(2), {}),
        ("Pendulum-v1", 3, Box(-2.0, 2.0, (1,), np.float32), {}),
        (_WALKER, 31, Box(-1.0, 1.0, (6,), np.float32), {"pushes": 0.3, "randomization": 0.2}),
    ],
)
def test_a_collection_resumed_from_its_state_is_bit_identical(world, size, space, options):
    policy = _critic(size, space)
    through = ControlActor(policy, WorldSource(world, options), mode="segments", horizon=30)
    assert through.state() == {}
    for version in range(3):
        through.collect(range(5), 1, seed=4, version=version)
    state = {name: tensor.clone() for name, tensor in through.state().items()}
    resumed = ControlActor(policy, WorldSource(world, options), mode="segments", horizon=30)
    resumed.load_state(state)
    for version in range(3, 6):
        one, two = (actor.collect(range(5), 1, seed=4, version=version) for actor in (through, resumed))
        assert one.batch is not None
        assert two.batch is not None
        assert _equal(one.batch, two.batch)
        assert [(e.seed, e.reward, e.reward_terms) for e in one.episodes] == [
            (e.seed, e.reward, e.reward_terms) for e in two.episodes
        ]
    states = through.state(), resumed.state()  # what a checkpoint holds: nothing of episodes that are over
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(x, states[1][name]) for name, x in states[0].items())


class Chancy(Counting):
    """Sees something else each time, though its seed and the actions are the same."""

    made = 0

    def __init__(self, how: str = "sees") -> None:
        super().__init__(length=20)
        self.chance = how
        Chancy.made += 1
        self.mine = Chancy.made

    def step(self, action):
        seen, *rest = super().step(action)
        if self.chance == "fails" and self.mine > 3 and self.count == 2:
            raise RuntimeError("now and then")
        return seen + (self.mine if self.chance == "sees" else 0), *rest


@pytest.mark.parametrize("how", ["sees", "fails"])
def test_episodes_that_a_world_does_not_give_again_begin_anew_with_the_next_task(how):
    Chancy.made, policy, source = 0, _critic(), WorldSource(f"{__name__}:Chancy", {"how": how})
    through = ControlActor(policy, source, mode="segments", horizon=7)
    through.collect(range(3), 1, seed=4, version=0)
    resumed = ControlActor(policy, source, mode="segments", horizon=7)
    assert resumed.load_state(through.state()) == 3
    resumed.collect(range(3), 1, seed=4, version=1)
    assert all(one != other for one, other in zip(resumed.state()["seed"], through.state()["seed"], strict=True))


def test_an_episode_is_replayed_from_its_seed_and_actions():
    policy = ActorCritic(31, Box(-1.0, 1.0, (6,), np.float32), hidden=(8,))
    actor = ControlActor(policy, WorldSource(_WALKER), mode="segments", horizon=120)
    episode = actor.collect(range(4), 1, seed=0, version=0).episodes[0]
    assert episode.actions is not None
    world, total = gym.make(_WALKER), 0.0
    world.reset(seed=episode.seed)
    for action in episode.actions:
        _, reward, *_ = world.step(action)
        total += float(reward)
    assert total == episode.reward


def test_evaluation_is_greedy_repeatable_held_out_and_leaves_training_alone():
    policy = _critic(4, Discrete(2))
    one = ControlActor(policy, WorldSource("CartPole-v1"), mode="segments", horizon=16)
    two = ControlActor(policy, WorldSource("CartPole-v1"), mode="segments", horizon=16)
    one.collect(range(3), 1, seed=0, version=0)
    two.collect(range(3), 1, seed=0, version=0)
    first = one.evaluate(5, seed=9, version=0)
    again = one.evaluate(5, seed=9, version=0)
    assert [e.reward for e in first] == [e.reward for e in again]
    assert [e.group for e in first] == list(range(5))
    assert {e.split for e in first} == {"test"}
    assert {e.seed for e in first}.isdisjoint(derive_seed(9, "task", "train", g) for g in range(5))
    a, b = (actor.collect(range(3), 1, seed=0, version=1).batch for actor in (one, two))
    assert a is not None
    assert b is not None
    assert _equal(a, b)


def test_a_batch_is_never_written_again_by_a_later_collection():
    policy = _critic(4, Discrete(2))
    actor = ControlActor(policy, WorldSource("CartPole-v1"), mode="segments", horizon=16)
    batch = actor.collect(range(3), 1, seed=0, version=0).batch
    assert batch is not None
    copy = batch.rows(torch.arange(3))
    actor.collect(range(3), 1, seed=0, version=1)
    assert _equal(batch, copy)


def test_horizon_truncates_whole_episodes_and_segments_need_a_critic():
    policy = ActorCritic(3, Box(-2.0, 2.0, (1,), np.float32), critic=False, hidden=(8,))
    actor = ControlActor(policy, WorldSource("Pendulum-v1"), mode="episodes", horizon=10)
    collection = actor.collect([0], 1, seed=0, version=0)
    assert collection.episodes[0].turns == 10
    assert collection.episodes[0].truncated
    with pytest.raises(ValueError, match="critic"):
        ControlActor(policy, WorldSource("Pendulum-v1"), mode="segments", horizon=10)
    with pytest.raises(ValueError, match="horizon is None"):
        ControlActor(_critic(), WorldSource(_COUNTING), mode="segments")


def test_asking_for_another_number_of_rows_than_are_running_is_refused():
    actor = ControlActor(_critic(), WorldSource(_COUNTING), mode="segments", horizon=2)
    actor.collect(range(3), 1, seed=0, version=0)
    with pytest.raises(ValueError, match="2 rows were asked for, but 3 episodes are running"):
        actor.collect(range(2), 1, seed=0, version=1)


@pytest.mark.parametrize(
    ("world", "observation", "action"),
    [
        ("peripatos/Walker-v0", 31, Box(-1, 1, (6,))),
        ("Pendulum-v1", 3, Box(-2, 2, (1,))),
        ("CartPole-v1", 4, Discrete(2)),
    ],
)
def test_an_evaluated_episode_does_not_depend_on_how_many_others_there_are(
    world: str, observation: int, action: Box | Discrete
) -> None:
    policy = ActorCritic(observation, action, hidden=[64, 64], seed=3)
    policy.actor[-1].weight.data *= 100  # an agent that does something
    one, few, many = (
        [e.reward for e in ControlActor(policy, WorldSource(world), mode="episodes").evaluate(n, seed=0, version=0)]
        for n in (1, 5, 64)
    )
    assert one == many[:1]
    assert few == many[:5]
