"""The walker's physics on an NVIDIA GPU by MuJoCo Warp, beside the pool of CPU threads that is in use.

    python benchmarks/walker_warp.py [--worlds 1024 4096 16384] [--steps 200]

Needs `mujoco-warp`, which is no dependency: see docs/warp.md for what is missing between this and a world. Every world
is stepped with random torques, five substeps a step as one captured graph. "with copies" brings the state to the host
after each step and observes it there, as the first version of a batch on the GPU would. Nothing is reset: robots that
fell go on lying.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import mujoco
import mujoco_warp as mjw
import numpy as np
import torch
import warp as wp

import peripatos.envs  # noqa: F401  (registers the walker)
from peripatos.envs.control.mujoco_task import State
from peripatos.envs.worlds.robots.walker import WalkerTask

CONTACTS, ROWS = 32, 96  # of one world


class WarpWalkers:
    """n walkers on the device, at the beginning of an episode each."""

    def __init__(self, n: int) -> None:
        self.task, self.n = WalkerTask(), n
        self.model = self.task.load_model()
        self.physics = mjw.put_model(self.model)
        self.data = mjw.make_data(self.model, nworld=n, nconmax=CONTACTS, njmax=ROWS)
        names = ("qpos", "qvel", "sensordata", "ctrl")
        self.qpos, self.qvel, self.sensors, self.control = (wp.to_torch(getattr(self.data, name)) for name in names)
        chance = np.random.default_rng(0).random((n, self.task.chance))
        position, velocity = self.task.sample_initial_state(self.model, chance)
        self.qpos[:] = torch.from_numpy(position).to(self.qpos)
        self.qvel[:] = torch.from_numpy(velocity).to(self.qvel)
        self._graph: Any = None

    def substeps(self, count: int) -> None:
        for _ in range(count):
            mjw.step(self.physics, self.data)

    def step(self) -> None:
        """One step of every world, as a captured graph where the device has them."""
        if self._graph is None and wp.get_device().is_cuda:
            self.substeps(self.task.frame_skip)  # compiles
            with wp.ScopedCapture() as capture:
                self.substeps(self.task.frame_skip)
            self._graph = capture.graph
        self.control.uniform_(-1.0, 1.0)
        if self._graph is None:
            self.substeps(self.task.frame_skip)
        else:
            wp.capture_launch(self._graph)

    def step_and_observe(self) -> None:
        self.step()
        self.task.observe(State(*(x.cpu().numpy() for x in (self.qpos, self.qvel, self.sensors))))


def rate(step: Callable[[], object], n: int, steps: int) -> float:
    """Steps of worlds a second."""
    step()
    wp.synchronize()
    begun = time.perf_counter()
    for _ in range(steps):
        step()
    wp.synchronize()
    return n * steps / (time.perf_counter() - begun)


def parity(n: int = 64) -> dict[str, float]:
    """How far one step of n worlds in the air is from MuJoCo's own in double precision (the ground decides by rounding
    whether there is a contact): the largest difference of a coordinate and of a velocity."""
    worlds = WarpWalkers(n)
    worlds.qpos[:, 2] += 0.5
    torque = torch.rand(n, worlds.control.shape[1], generator=torch.Generator().manual_seed(0)) - 0.5
    worlds.control[:] = torque.to(worlds.control)
    before = worlds.qpos.cpu().double().numpy(), worlds.qvel.cpu().double().numpy()
    worlds.substeps(worlds.task.frame_skip)
    wp.synchronize()
    data, furthest = mujoco.MjData(worlds.model), [0.0, 0.0]
    for world in range(n):
        mujoco.mj_resetData(worlds.model, data)
        data.qpos[:], data.qvel[:], data.ctrl[:] = before[0][world], before[1][world], torque[world].numpy()
        mujoco.mj_step(worlds.model, data, worlds.task.frame_skip)
        for place, (mine, theirs) in enumerate(((worlds.qpos, data.qpos), (worlds.qvel, data.qvel))):
            furthest[place] = max(furthest[place], float(np.abs(mine[world].cpu().numpy() - theirs).max()))
    return {"qpos": furthest[0], "qvel": furthest[1]}


def on_the_cpu(n: int, steps: int) -> float:
    """The batched world that is in use, resets included."""
    env = gym.make_vec("peripatos/Walker-v0", num_envs=n, vectorization_mode="vector_entry_point")
    env.reset(seed=0)
    action = np.random.default_rng(0).uniform(-1, 1, (n, 6)).astype(np.float32)
    seen = rate(lambda: env.step(action), n, steps)
    env.close()
    return seen


def main() -> None:
    """Print a line of JSON for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", nargs="*", type=int, default=[1024, 4096, 16384])
    parser.add_argument("--steps", type=int, default=200)
    asked = parser.parse_args()
    wp.config.quiet = True
    print(json.dumps({"device": str(wp.get_device()), "parity of one step": parity()}), flush=True)
    for n in asked.worlds:
        worlds = WarpWalkers(n)
        seen = {"worlds": n, "steps/s": round(rate(worlds.step, n, asked.steps))}
        seen["with copies"] = round(rate(worlds.step_and_observe, n, max(1, asked.steps // 4)))
        seen["finite"] = bool(torch.isfinite(worlds.qpos).all())
        seen["CPU pool"] = round(on_the_cpu(n, max(1, asked.steps * 512 // n // 4)))
        print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main()
