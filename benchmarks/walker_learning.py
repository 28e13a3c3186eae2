"""How long until it walks: our PPO and its peers from nothing to the same goal.

    pip install -c constraints.txt -e '.[bench]'
    python benchmarks/walker_learning.py [--seeds 5] [--peer-seeds 1] [--peers NAME…] [--set KEY=VALUE…]

Walking means that 64 held-out episodes of the deterministic policy have a mean return of at least 250 and a mean
distance of at least 6.5 m, and that none falls in its 10 s. Every contestant is looked at whenever it has made another
40,960 steps, in the first 16 of the 64 episodes, and in all where these reach the goal; the clock counts everything:
start of the process, training and evaluations. Runs take turns, one process at a time. Ours is `peripatos run
walker-ppo` as a user types it. All use one torch thread, which is faster for networks of this size. A run that has not
walked after --most steps is reported as that.

A second table says where our time goes: what simulates, decides and updates by the run's own clocks (side by side where
they overlap), and the core-seconds of everything, start of the process, evaluations and files included. These over the
number of cores are the floor: nothing that packs the same work better can be faster.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

OURS = "peripatos"
NAMES = ("stable-baselines3, its own worlds", "stable-baselines3, our worlds", "rsl-rl, our worlds")
EVERY, FIRST, EPISODES = 40_960, 16, 64
GOAL = {"return": 250.0, "distance": 6.5, "upright": 1.0}


def ours(seed: int, sets: list[str]) -> dict[str, Any]:
    """`peripatos run walker-ppo`, with some settings changed, to its own end, and what its summary says."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "peripatos", "run", "walker-ppo", "--seed", str(seed), "--out", str(out)]
        command += [word for one in sets for word in ("--set", one)]
        before = core_seconds()
        subprocess.run(command, check=True, capture_output=True)
        spent = {"cores": core_seconds() - before}
        summary = json.loads((out / "summary.json").read_text())
        rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        for name in ("simulate", "infer", "update"):
            spent[name] = sum(row[f"time/{name}"] for row in rows)
    after = summary["stages"][-1]["evaluation"]["after"]
    seen = {
        "return": after["return_mean"],
        "distance": after["world/distance_mean"],
        "upright": after["turns_mean"] / 400,
    }
    return {"steps": summary["env_steps"], **seen, "spent": spent}


def core_seconds() -> float:
    """Of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def profile(runs: list[dict[str, Any]]) -> str:
    """Where our time goes: medians over seeds."""
    middle = {name: statistics.median(run["spent"][name] for run in runs) for name in runs[0]["spent"]}
    cores, wall = os.cpu_count() or 1, statistics.median(run["seconds"] for run in runs)
    cells = [f"{middle[name]:.1f} s" for name in ("simulate", "infer", "update", "cores")]
    return f"| {' | '.join(cells)} | {middle['cores'] / cores:.1f} s | {wall:.1f} s |"


def peer(name: str, seed: int, most: int) -> dict[str, Any]:
    """Train in a process of its own until it walks."""
    command = [sys.executable, __file__, "--one", name, "--seeds", str(seed), "--most", str(most)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(ran.stdout.splitlines()[-1])


def train_peer(name: str, seed: int, most: int) -> dict[str, Any]:
    """The body of that process."""
    import torch
    from walker_peers import PEERS

    torch.set_num_threads(1)
    seen: dict[str, Any] = {"steps": 0}
    for steps, act in PEERS[name](seed, EVERY):
        seen = {"steps": steps, **look(act, FIRST)}
        if walks(seen) or steps >= most:
            seen |= look(act, EPISODES)
        print(json.dumps(seen), file=sys.stderr, flush=True)
        if walks(seen) or steps >= most:
            break
    return seen


def look(act: Any, episodes: int) -> dict[str, float]:
    """Mean return and distance of the first so many episodes, and the share that stayed upright for all 400 steps."""
    import numpy as np

    from peripatos.envs.control.mujoco_batch import MujocoBatch
    from peripatos.envs.worlds.robots.walker import WalkerTask

    worlds, live = MujocoBatch(WalkerTask(), episodes, max_episode_steps=400), np.arange(episodes)
    observation = worlds.reset(live, range(10**6, 10**6 + episodes))
    total, distance, upright = np.zeros(episodes), np.zeros(episodes), np.zeros(episodes, bool)
    while len(live):
        result = worlds.step(live, np.clip(act(observation), -1, 1))
        total[live] += result.reward
        distance[live], upright[live] = result.metrics["distance"], result.truncated
        going = ~(result.terminated | result.truncated)
        live, observation = live[going], result.observation[going]
    return {"return": float(total.mean()), "distance": float(distance.mean()), "upright": float(upright.mean())}


def walks(seen: dict[str, Any]) -> bool:
    return all(seen[name] >= goal for name, goal in GOAL.items())


def line(name: str, runs: list[dict[str, Any]], reference: float | None) -> str:
    """One row: what all its seeds reached, and how long that took."""
    walked = [run for run in runs if walks(run)]
    middle = {key: statistics.median(run[key] for run in runs) for key in ("seconds", "steps", "return", "distance")}
    ratio = "1" if reference is None else f"{middle['seconds'] / reference:.1f}"
    if len(walked) < len(runs):
        ratio = f"> {ratio}"
    seconds = f"{middle['seconds']:.0f} s ({min(r['seconds'] for r in runs):.0f}–{max(r['seconds'] for r in runs):.0f})"
    reached = f"{middle['return']:.0f}, {middle['distance']:.1f} m"
    steps = f"{middle['steps'] / 1e6:.2f} M"
    return f"| {name} | {len(walked)} of {len(runs)} | {seconds} | {ratio} | {steps} | {reached} |"


def main() -> None:
    """Run everything in turn and print the table, growing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="runs of ours")
    parser.add_argument("--peer-seeds", type=int, default=1, help="runs of each peer")
    parser.add_argument("--peers", nargs="*", default=NAMES, choices=NAMES)
    parser.add_argument("--set", nargs="*", default=[], help="settings of ours that are tried")
    parser.add_argument("--most", type=int, default=2_000_000, help="steps after which a peer is stopped")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(train_peer(asked.one, asked.seeds, asked.most)))
        return
    runs: dict[str, list[dict[str, Any]]] = {}
    for seed in range(max(asked.seeds, asked.peer_seeds)):
        for name in (OURS, *asked.peers):
            if seed < (asked.seeds if name == OURS else asked.peer_seeds):
                begun = time.perf_counter()
                seen = ours(seed, asked.set) if name == OURS else peer(name, seed, asked.most)
                runs.setdefault(name, []).append({**seen, "seconds": time.perf_counter() - begun, "seed": seed})
                print(f"{name}, seed {seed}: {json.dumps(runs[name][-1])}", file=sys.stderr, flush=True)
    print("| PPO | walks | wall: median (range) | / ours | steps | return, distance at the end |")
    print("|---|---|---|---|---|---|")
    reference = statistics.median(run["seconds"] for run in runs[OURS])
    for name, done in runs.items():
        print(line(name, done, None if name == OURS else reference))
    print(f"\n| simulate | infer | update | core-seconds of everything | / {os.cpu_count()} cores: the floor | wall |")
    print("|---|---|---|---|---|---|")
    print(profile(runs[OURS]))


if __name__ == "__main__":
    main()
