"""How close batched worlds come to the physics alone, and how far the usual vector worlds are.

    python benchmarks/walker_speed.py [--repeats 7] [--seconds 0.5]

Every contestant steps the walker with the same random torques, five substeps a step. Windows of a fraction of a second
take turns in one process, so that a busy machine slows all of them alike; figures are medians over windows, ratios
are medians of ratios within a turn. "physics" is the pool stepping the same episodes with nothing around it.
Episodes of random torques are short (about 60 steps), which is the hard case for whatever a reset costs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

import peripatos.envs  # noqa: F401  (registers the walker)
from peripatos.envs.control.mujoco_vector import MujocoVectorEnv

SIZES = (64, 512)
PEERS = 8  # worlds of Sync and Async; more make Async slower on few cores
AMPLITUDE = 1.0
TRACE = 400  # steps that "physics" repeats


def stepper(env: VectorEnv) -> Callable[[], int]:
    """One call steps every world of a vector environment once, and says how many."""
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    actions = [rng.uniform(-AMPLITUDE, AMPLITUDE, (env.num_envs, 6)).astype(np.float32) for _ in range(64)]
    turn = iter(range(10**9))

    def step() -> int:
        env.step(actions[next(turn) % len(actions)])
        return env.num_envs

    return step


def physics(n: int) -> Callable[[], int]:
    """The pool alone, stepping the very episodes that the batched world has played before: the same torques, and
    where an episode began, the state that it began from. Without those the robots would lie on the floor."""
    env = gym.make_vec("peripatos/Walker-v0", num_envs=n, vectorization_mode="vector_entry_point").unwrapped
    assert isinstance(env, MujocoVectorEnv)
    env.reset(seed=0)
    rng, batch = np.random.default_rng(0), env.worlds._batch
    first, trace = batch.state.copy(), []
    for _ in range(TRACE):
        action = rng.uniform(-AMPLITUDE, AMPLITUDE, (n, 6)).astype(np.float32)
        infos = env.step(action)[4]
        begun = np.flatnonzero(infos.get("_final_obs", np.zeros(n, bool)))
        trace.append((action, begun, batch.state[begun].copy()))
    turn = iter(range(10**9))

    def step() -> int:
        number = next(turn) % TRACE
        if number == 0:
            batch.state[:] = first
        action, begun, state = trace[number]
        env.worlds._ctrl[:] = action
        batch.step(None, 5)
        if len(begun):
            batch.state[begun] = state
        return n

    return step


def rate(step: Callable[[], int], seconds: float) -> float:
    """Steps of worlds per second in one window."""
    steps, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        steps += step()
    return steps / spent


def main() -> None:
    """Run the windows and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5)
    arguments = parser.parse_args()

    def make() -> gym.Env:
        return gym.make("peripatos/Walker-v0")

    peers: dict[str, VectorEnv] = {f"SyncVectorEnv {PEERS}": SyncVectorEnv([make] * PEERS)}
    peers[f"AsyncVectorEnv {PEERS}"] = AsyncVectorEnv([make] * PEERS)
    contestants = {name: stepper(env) for name, env in peers.items()}
    for n in SIZES:
        env = gym.make_vec("peripatos/Walker-v0", num_envs=n, vectorization_mode="vector_entry_point")
        contestants |= {f"physics {n}": physics(n), f"batched world {n}": stepper(env)}
    for step in contestants.values():
        step()
    turns = [
        {name: rate(step, arguments.seconds) for name, step in contestants.items()} for _ in range(arguments.repeats)
    ]
    print(f"{'':24}{'steps/s':>10}{'/ physics':>11}{'/ Sync':>9}{'/ Async':>9}")
    for name in contestants:
        versus = [f"SyncVectorEnv {PEERS}", f"AsyncVectorEnv {PEERS}"]
        pool = f"physics {name.split()[-1]}"
        columns = [pool if pool in contestants else "", *versus]
        ratios = [statistics.median(turn[name] / turn[c] for turn in turns) if c else None for c in columns]
        cells = [f"{r:.2f}" if r is not None else "" for r in ratios]
        print(f"{name:24}{statistics.median(t[name] for t in turns):>10.0f}{cells[0]:>11}{cells[1]:>9}{cells[2]:>9}")
    for env in peers.values():
        env.close()


if __name__ == "__main__":
    main()
