"""What a checkpoint leaves in the process that wrote it."""

from __future__ import annotations

import gc
import itertools
import statistics
from pathlib import Path

import gymnasium as gym
import torch

from peripatos.agents.control.mlp import ActorCritic
from peripatos.scenarios.run.checkpoint import read_actor_state, write_checkpoint


def test_actor_states_of_ever_other_sizes_leave_nothing_behind_and_come_back(tmp_path: Path) -> None:
    policy = ActorCritic(3, gym.spaces.Discrete(2), hidden=(4,))
    objects = []
    for update in range(12):
        rows = 50 * update + 1
        state = {
            "obs": torch.arange(rows * 3.0).reshape(rows, 3),
            "step": torch.arange(rows),
            "flag": torch.tensor(True),
        }
        folder = write_checkpoint(
            tmp_path, update=update, policy=policy, learner=None, actor_state=state, progress={"update": update}
        )
        read = read_actor_state(folder)
        assert all(
            torch.equal(read[name], tensor) and read[name].dtype == tensor.dtype for name, tensor in state.items()
        )
        del read, state
        gc.collect()
        objects.append(len(gc.get_objects()))
    grown = [after - before for before, after in itertools.pairwise(objects[4:])]
    assert statistics.median(grown) <= 0  # types of C arrays were 28 a write; once another thread may make some
