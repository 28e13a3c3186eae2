"""The scale of rewards: what runs on, what begins anew, and whose constants it has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from algorithms_batches import TabularPolicy, random_batch
from gymnasium.spaces import Box, Discrete

from peripatos.agents.control.control_actor import ControlActor
from peripatos.agents.control.mlp import ActorCritic
from peripatos.algorithms.learner import Learner
from peripatos.algorithms.methods import method
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.algorithms.rewards import ReturnScale, punish_overlong
from peripatos.envs.vocabulary import Batch
from peripatos.envs.world_source import WorldSource


class Ones(gym.Env):
    """Pays 1 at every step; an episode ends after `length` steps, or never."""

    observation_space, action_space = Box(-1.0, 1.0, (1,)), Discrete(2)

    def __init__(self, length: int | None = None, truncates: bool = False) -> None:
        self.length, self.truncates = length, truncates

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.t += 1
        over = self.t == self.length
        return np.zeros(1, np.float32), 1.0, over and not self.truncates, over and self.truncates, {}


def of(reward: list[list[float]], turn: list[list[int]], end: list[list[int]], mask: list[list[int]]) -> Batch:
    shape = (len(reward), len(reward[0]))
    batch = random_batch(0, rows=shape[0], length=max(shape[1], 4), groups=1)
    batch = replace(batch.rows(torch.arange(shape[0])), inputs={})
    columns = {
        name: getattr(batch, name)[:, : shape[1]] for name in ("behavior_logp_B_T", "bootstrap_B_T", "value_B_T")
    }
    return replace(
        batch,
        reward_B_T=torch.tensor(reward, dtype=torch.float64),
        turn_B_T=torch.tensor(turn),
        end_B_T=torch.tensor(end).bool(),
        mask_B_T=torch.tensor(mask).bool(),
        **columns,
    )


def test_rewards_are_divided_by_the_spread_of_the_running_return_by_hand() -> None:
    scale = ReturnScale(0.5, "unit", None)
    first = of([[1.0, 2.0, 4.0]], [[0, 1, 0]], [[0, 1, 1]], [[1, 1, 1]])  # the row is cut behind the third
    scaled = scale.scaled(first).reward_B_T
    returns = np.array([1.0, 2.0 + 0.5, 4.0])  # the end parts the third from the second
    assert scaled.numpy() == pytest.approx(np.array([[1.0, 2.0, 4.0]]) / returns.std())
    scale.scaled(of([[1.0]], [[1]], [[1]], [[1]]))
    assert scale.running_B.tolist() == [1.0 + 0.5 * 4.0]  # its episode goes on
    scale.scaled(of([[7.0]], [[0]], [[1]], [[1]]))
    assert scale.running_B.tolist() == [7.0]  # another one begins


def test_a_reward_at_what_is_masked_out_and_a_failed_episode_move_no_statistic() -> None:
    """The second episode failed: its units are masked out, its end too. The third begins anew all the same."""
    turn, end, mask = [[0, 1, 0, 1, 0, 1]], [[0, 1, 0, 1, 0, 1]], [[1, 1, 0, 0, 1, 1]]
    one, two = ReturnScale(0.9, "unit", None), ReturnScale(0.9, "unit", None)
    one.scaled(of([[1.0, 1.0, 5.0, 5.0, 2.0, 1.0]], turn, end, mask))
    two.scaled(of([[1.0, 1.0, -7e9, 3.0, 2.0, 1.0]], turn, end, mask))
    assert torch.equal(one.moments.std(), two.moments.std())
    assert one.running_B.tolist() == pytest.approx([1.0 + 0.9 * 2.0])


def test_a_step_is_what_the_method_says_it_is() -> None:
    """Three tokens in two turns: per turn, R is 3, then 4 + ½ · 3; per token 1, 2 + ½ · 1, 4 + ½ · 2½."""
    batch = of([[1.0, 2.0, 4.0]], [[0, 0, 1]], [[0, 0, 1]], [[1, 1, 1]])
    for granularity, returns in (("turn", [3.0, 5.5]), ("unit", [1.0, 2.5, 5.25]), ("trajectory", [7.0])):
        scale = ReturnScale(0.5, granularity, None)
        scale.scaled(batch)
        assert scale.moments.mean.item() == pytest.approx(np.mean(returns))


def segments(horizon: int, steps: int, **options: object) -> Iterator[Batch]:
    policy = ActorCritic(1, Discrete(2), hidden=[8])
    actor = ControlActor(policy, WorldSource(f"{__name__}:Ones", options), mode="segments", horizon=horizon)
    for version in range(steps // horizon):
        batch = actor.collect([0, 1], 1, seed=0, version=version).batch
        assert batch is not None
        yield batch
    actor.close()


@pytest.mark.parametrize("options", [{}, {"length": 50}, {"length": 50, "truncates": True}, {"length": 1}])
@pytest.mark.parametrize("horizon", [256, 64, 10])
def test_the_running_return_runs_on_where_a_segment_is_cut(horizon: int, options: dict[str, object]) -> None:
    """As Gymnasium's NormalizeReward keeps it: back to zero only where an episode ends."""
    scale, running, seen = ReturnScale(0.99, "unit", None), 0.0, []
    for batch in segments(horizon, 1280, **options):
        scale.scaled(batch)
    for t in range(1280 // horizon * horizon):
        running = 1.0 + 0.99 * (0.0 if t % (options.get("length") or 10**9) == 0 else running)
        seen.append(running)
    assert scale.moments.count == 2 * len(seen)
    assert scale.moments.mean.item() == pytest.approx(np.mean(seen))
    if np.std(seen):
        assert scale.moments.std().item() == pytest.approx(np.std(seen))


def test_rare_rewards_keep_their_sizes_without_a_clip() -> None:
    reward = [[0.0] * 1000 + [size] for size in (1.0, 3.0)]
    turn, end = [list(range(1001))] * 2, [[0] * 1000 + [1]] * 2
    batch = of(reward, turn, end, [[1] * 1001] * 2)
    for clip, ratio in ((None, 3.0), (10.0, 1.0)):
        scaled = ReturnScale(0.99, "unit", clip).scaled(batch).reward_B_T
        assert float(scaled[1, -1] / scaled[0, -1]) == pytest.approx(ratio)


def test_the_scale_has_the_discount_of_the_method_and_is_the_learners() -> None:
    row = method("ppo", {"credit": {"gamma": 0.9}, "rewards": {"clip": None}})
    learner = Learner(TabularPolicy(0), row, OptimizerSettings(), seed=0)
    assert learner.scales[0] is not None
    assert (learner.scales[0].gamma, learner.scales[0].clip) == (0.9, None)
    assert Learner(TabularPolicy(0), method("grpo"), OptimizerSettings(), seed=0).scales == (None,)


def test_a_continued_learner_has_the_same_scale(tmp_path) -> None:
    one = Learner(TabularPolicy(0), method("ppo"), OptimizerSettings(), seed=0)
    one.update(random_batch(0))
    one.save(tmp_path)
    two = Learner(TabularPolicy(0), method("ppo"), OptimizerSettings(), seed=0)
    two.load(tmp_path)
    assert one.scales[0] is not None
    assert two.scales[0] is not None
    for batch in (random_batch(1), random_batch(2)):
        assert torch.equal(one.scales[0].scaled(batch).reward_B_T, two.scales[0].scaled(batch).reward_B_T)


def test_a_reply_that_nears_its_limit_loses_reward_by_hand() -> None:
    """Limit 5, buffer 2: 3 units lose nothing, 4 lose ½, 5 lose 1; a turn each, observations between them."""
    mask = [[1, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1]]
    turn = [[0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]]
    batch = of([[0.0] * 14], turn, [[0] * 13 + [1]], mask)
    got = punish_overlong(batch, limit=5, buffer=2).reward_B_T
    assert got.tolist() == [[0.0] * 7 + [-0.5] + [0.0] * 5 + [-1.0]]
