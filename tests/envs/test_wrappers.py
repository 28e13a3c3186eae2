"""Wrappers by name: every one of Gymnasium's that can be, what is refused, and what a mistake says."""

import pickle
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from gymnasium.wrappers import NormalizeObservation, NormalizeReward, TransformReward

from peripatos.envs.check import check_world
from peripatos.envs.control.world_batch import action_layout
from peripatos.envs.errors import UserError, WrongKey
from peripatos.envs.registry import make_world
from peripatos.envs.world_source import WorldSource

ROW, PHOTO, NAMED = f"{__name__}:Row", f"{__name__}:Photo", f"{__name__}:Named"


class Row(gymnasium.Env[Any, Any]):
    """Three numbers and the last action, which is real; step k is worth k."""

    observation_space: Any = Box(-1.0, 1.0, (3,), np.float32)
    action_space: Any = Box(-2.0, 2.0, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.t = 0
        return self._seen(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.t += 1
        return self._seen(), float(self.t), self.t == 9, False, {}

    def _seen(self):
        return np.full(3, self.t / 10, np.float32)


class Photo(Row):
    observation_space, action_space = Box(0, 255, (20, 30, 3), np.uint8), Discrete(2)

    def _seen(self):
        return np.full((20, 30, 3), 10 * self.t, np.uint8)


class Named(Row):
    observation_space = gymnasium.spaces.Dict({"a": Discrete(10), "b": Box(-1.0, 1.0, (3,), np.float32)})

    def _seen(self):
        return {"a": self.t, "b": super()._seen()}


def halved(reward: float) -> float:
    return reward / 2


class Doubled(gymnasium.RewardWrapper[Any, Any]):
    def __init__(self, env, by: float = 2.0):
        super().__init__(env)
        self.by = by

    def reward(self, reward):
        return self.by * reward


CASES = [
    (ROW, "ClipAction", {}),
    (ROW, "ClipReward", {"min_reward": 0, "max_reward": 0.5}),
    (ROW, "DelayObservation", {"delay": 2}),
    (ROW, "DiscretizeAction", {"bins": 3}),
    (ROW, "DiscretizeAction", {"bins": [3], "multidiscrete": True}),
    (ROW, "DiscretizeObservation", {"bins": [2, 3, 4]}),
    (ROW, "DiscretizeObservation", {"bins": 3, "multidiscrete": True}),
    (ROW, "DtypeObservation", {"dtype": "float64"}),
    (ROW, "FlattenObservation", {}),
    (ROW, "FrameStackObservation", {"stack_size": 4, "padding_type": "zero"}),
    (ROW, "MaxAndSkipObservation", {"skip": 2}),
    (ROW, "OrderEnforcing", {}),
    (ROW, "RecordEpisodeStatistics", {}),
    (ROW, "RepeatAction", {"num_repeats": 2}),
    (ROW, "RescaleAction", {"min_action": -1.0, "max_action": [1.0]}),
    (ROW, "RescaleAction", {"min_action": -1, "max_action": 1}),
    (ROW, "RescaleObservation", {"min_obs": [0, 0, 0], "max_obs": 5}),
    (ROW, "ReshapeObservation", {"shape": [3, 1]}),
    (ROW, "StickyAction", {"repeat_action_probability": 0.5, "repeat_action_duration": [1, 3]}),
    (ROW, "TimeAwareObservation", {"flatten": False}),
    (ROW, "TimeLimit", {"max_episode_steps": 4}),
    (ROW, "TransformReward", {"func": f"{__name__}:halved"}),
    (ROW, f"{__name__}:Doubled", {"by": 3.0}),
    (NAMED, "FilterObservation", {"filter_keys": ["a"]}),
    (PHOTO, "AddWhiteNoise", {"probability_of_noise_per_pixel": 0.1}),
    (PHOTO, "GrayscaleObservation", {}),
    (PHOTO, "GrayscaleObservation", {"keep_dim": True}),
    (PHOTO, "gymnasium.wrappers.FrameStackObservation", {"stack_size": 2}),
    (PHOTO, "ObstructView", {"obstructed_pixels_ratio": 0.1, "obstruction_width": 2}),
]


@pytest.mark.parametrize(("world", "id", "options"), CASES)
def test_every_wrapper_is_put_on_by_name_with_options_as_json_holds_them(world, id, options) -> None:
    pytest.importorskip("cv2") if id == "GrayscaleObservation" else None
    source = pickle.loads(pickle.dumps(WorldSource(world, {"max_episode_steps": 20}, [{"id": id, "options": options}])))
    worlds = source.make_batch(2)
    worlds.reset(np.arange(2), [1, 2])
    shape, kind = action_layout(worlds.action_space)
    for _ in range(3):
        result = worlds.step(np.arange(2), np.zeros((2, *shape), kind))
        assert not result.failure
    worlds.close()


def test_wrappers_are_put_on_from_the_inside_out() -> None:
    numbers = [{"id": f"{__name__}:Doubled"}, {"id": "ClipReward", "options": {"max_reward": 3.0}}]
    rewards = {}
    for order in (numbers, numbers[::-1]):
        world = WorldSource(ROW, {}, order).make()
        world.reset(seed=0)
        rewards[order[0]["id"]] = [world.step(np.zeros(1, np.float32))[1] for _ in range(4)]
        world.close()
    assert rewards == {f"{__name__}:Doubled": [2.0, 3.0, 3.0, 3.0], "ClipReward": [2.0, 4.0, 6.0, 6.0]}


def test_frames_of_a_picture_join_its_channels_and_a_limit_by_wrapper_is_the_longest_episode() -> None:
    source = WorldSource(PHOTO, {}, [{"id": "FrameStackObservation", "options": {"stack_size": 4}}])
    assert "a picture of 20 × 30 pixels in 12 channels" in source.facts.remarks[0]
    assert WorldSource(ROW, {}, [{"id": "TimeLimit", "options": {"max_episode_steps": 4}}]).facts.longest_episode == 4


@pytest.mark.parametrize(
    ("wrapper", "path", "says"),
    [
        ({"id": "FrameStackObservatio"}, "id", "Did you mean 'FrameStackObservation'"),
        ({"id": "vector.NormalizeObservation"}, "id", "unknown wrapper 'vector.NormalizeObservation'"),
        ({"id": "minigrid.wrappers.ImgObsWrapper"}, "id", "In another package it is minigrid.wrappers:ImgObsWrapper"),
        ({"id": "no_such_module:Wrapper"}, "id", "there is no module 'no_such_module'"),
        ({"id": f"{__name__}:ROW"}, "id", "is no class of wrappers"),
        ({"id": "FrameStackObservation"}, "options", r"needs 'stack_size'.*\(wrapper: \{id: …, options: \{stack_size"),
        ({"id": "FrameStackObservation", "options": {"stack": 4}}, "options", "Did you mean 'stack_size'"),
        ({"id": "FlattenObservation", "options": {"env": 4}}, "options", "unknown option 'env'"),
        (
            {"id": "ResizeObservation", "options": {"shape": [84, 84]}},
            "options",
            "cannot be wrapped in ResizeObservation",
        ),
        ({"id": "TransformReward", "options": {"func": f"{__name__}:halve"}}, "options", "Did you mean 'halved'"),
        ({"id": "RepeatAction", "options": {"num_repeats": -1}}, "options", "cannot be wrapped in RepeatAction"),
    ],
)
def test_a_mistake_is_one_sentence_at_its_key(wrapper, path, says) -> None:
    if path == "options":
        wrapper = {"options": {}, **wrapper}
    source = WorldSource(ROW, {}, [{"id": "ClipAction"}, wrapper])
    with pytest.raises(WrongKey, match=says) as problem:
        _ = source.facts
    assert problem.value.path[:2] == ("wrappers", 1)


def forgets(env):
    return gymnasium.make("Pendulum-v1")


def anew(env):
    return gymnasium.wrappers.ClipAction(Row())


class Holds(Row):
    """A world that keeps another and is no wrapper."""

    def __init__(self, env):
        self.env = env


@pytest.mark.parametrize(("function", "other"), [("forgets", "PendulumEnv"), ("anew", "Row"), ("Holds", "Holds")])
def test_what_makes_another_world_is_no_wrapper(function, other) -> None:
    with pytest.raises(
        WrongKey, match=f":{function}' wraps nothing: it was given the Row of .* another world, {other};"
    ):
        _ = WorldSource(ROW, {}, [{"id": f"{__name__}:{function}"}]).facts
    assert WorldSource(ROW, {}, [{"id": f"{__name__}:unchanged"}]).facts.longest_episode is None


def unchanged(env):
    return env


class Inherits(NormalizeObservation[Any, Any, Any]):
    pass


class InheritsReward(NormalizeReward[Any, Any]):
    pass


class RunningMeanStd:
    """As the libraries that Gymnasium's was copied from have it."""


class Copied(gymnasium.ObservationWrapper[Any, Any, Any]):
    def __init__(self, env):
        super().__init__(env)
        self.obs_rms = RunningMeanStd()

    def observation(self, observation):
        return observation


STATISTICS = {
    "NormalizeObservation": "an agent of kind mlp normalises what it sees",
    "gymnasium.wrappers.NormalizeObservation": "an agent of kind mlp normalises",
    "NormalizeReward": r"overrides: \{rewards: \{scale: return\}\}",
    f"{__name__}:Inherits": "is wrapped in Inherits.*an agent of kind mlp normalises",
    f"{__name__}:InheritsReward": "is wrapped in InheritsReward.*scale: return",
    f"{__name__}:Copied": "is wrapped in Copied, whose running statistics",
}


@pytest.mark.parametrize("id", STATISTICS)
def test_a_wrapper_with_running_statistics_is_refused_with_what_to_use(id) -> None:
    with pytest.raises(WrongKey, match=STATISTICS[id]):
        _ = WorldSource(ROW, {}, [{"id": id}, {"id": "ClipAction"}]).facts


def normalised(kind: str = "observation", deep: bool = False):
    world = {"observation": NormalizeObservation, "reward": NormalizeReward, "own": Inherits}[kind](Row())
    return TransformReward(world, halved) if deep else world


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("kind", ["observation", "reward", "own"])
def test_so_is_one_that_a_function_has_put_on_wherever_the_world_is_made(kind, deep) -> None:
    for make in (make_world, check_world):
        with pytest.raises(UserError, match="whose running statistics would be each world's own"):
            make(f"{__name__}:normalised", kind=kind, deep=deep)
