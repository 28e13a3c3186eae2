"""What a running episode keeps of what its world reports."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from peripatos.agents.control.running_episodes import RunningEpisodes
from peripatos.envs.check_play import not_counted, play
from peripatos.envs.control.world_batch import ListOfWorlds


class Reports(gymnasium.Env[Any, Any]):
    """Says at each step what it was made to say."""

    observation_space, action_space = Box(-1, 1, (1,), np.float32), Discrete(2)

    def __init__(self, said: list[bool | None], key: str = "success") -> None:
        self.said, self.key = said, key

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        said, self.t = self.said[self.t], self.t + 1
        return np.zeros(1, np.float32), 1.0, self.t == len(self.said), False, {} if said is None else {self.key: said}


@pytest.mark.parametrize("key", ["success", "is_success"])
@pytest.mark.parametrize(
    ("said", "success", "early"),
    [
        ([False, True, False], False, 2),
        ([True, None, None], None, 1),
        ([None, True, True, None], None, 2),
        ([False, True, True], True, None),
        ([False, False, True], True, None),
        ([True, False, True], True, None),
        ([False, False, False], False, None),
        ([None, None], None, None),
    ],
)
def test_a_success_before_the_last_step_is_not_counted_and_said(
    key: str, said: list[bool | None], success: bool | None, early: int | None
) -> None:
    ids = np.arange(2)
    worlds, running = ListOfWorlds("w", 2, lambda: Reports(said, key)), RunningEpisodes(2, (), np.dtype(int))
    words = f"a success at step {early} of {len(said)}: whether an episode is a success is what its last step reports"
    for _ in range(2):  # one episode leaves nothing to the next
        worlds.reset(ids, [0, 1])
        running.begin(ids, np.zeros(2, int))
        result = None
        for _ in said:
            result = worlds.step(ids, np.zeros(2, int))
            running.add(ids, np.zeros(2, int), result)
        assert result is not None
        episode = running.close(1, 1, result, 0, 0, 0, "train")
        assert (episode.success, episode.left_out) == (success, words if early else None)
    remark = not_counted(play(Reports(said, key), 0)[2])
    assert remark == (f"it is not counted that it reports {words}" if early else "")
