"""The shipped settings of ten worlds beside stable-baselines3 with its zoo's, at equal steps.

    pip install -c constraints.txt -e '.[bench,bodies]'
    python benchmarks/tuned.py [WORLD…] [--seeds 3] [--json] [--picture docs/tuned.png]

A cell is one learner in one world with one seed: a process of its own with one thread, one after another, the two
learners in turn. Its result is kept under --out, and a cell that is there is not run again. Both learn for the same
number of steps (ours is the scenario as shipped, with this budget, no goal that ends it, and no evaluations on the
way), and then play the same 50 held-out episodes greedily, from seeds that depend on the run's. Speed is steps a second
of the process's own time (all its threads), from the end of the first update to that of the last.

Returns of different worlds are compared as shares of the way from chance to the goal:

    d = (ours − theirs) / (goal − chance)

where chance is what random actions get and the goal is Gymnasium's own `reward_threshold`, if it has one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, geometric_mean
from typing import Any

import gymnasium as gym
import numpy as np

import peripatos
from peripatos.envs.seeding import derive_seed
from peripatos.scenarios.compare import interval
from peripatos.scenarios.config.loading import load_scenario
from peripatos.scenarios.run.listeners import Silence

EPISODES = 50
OURS, THEIRS, CHANCE = "peripatos", "stable-baselines3", "chance"
BINS = 25  # of a curve


@dataclass(frozen=True)
class Row:
    """A world of the table: how long both learn, and the goal where Gymnasium has none."""

    steps: int
    goal: float | None = None


ROWS = {  # steps are whole collections of both
    "cartpole": Row(51_200),
    "acrobot": Row(49_152),
    "mountaincar-continuous": Row(20_480),
    "pendulum": Row(98_304, goal=-150.0),
    "lunarlander": Row(163_840),
    "frozenlake": Row(40_960),
    "taxi": Row(81_920),
    "minigrid-empty": Row(20_480, goal=0.95),
    "halfcheetah": Row(102_400),
    "hopper": Row(102_400),
}


class Clock(Silence):
    """Notes each update of a run: how many steps there were, what this process has worked, and how episodes ended."""

    def __init__(self) -> None:
        self.marks: list[tuple[int, float]] = []
        self.ended: list[tuple[int, float]] = []

    def row(self, row: Mapping[str, Any]) -> None:
        self.marks.append((row["env_steps"], time.process_time()))
        if "reward/mean" in row:
            self.ended += [(row["env_steps"], row["reward/mean"])] * int(row["episodes/finished"])


def make(name: str) -> gym.Env[Any, Any]:
    """The scenario's world, as Gymnasium makes it."""
    world = load_scenario(f"{name}-ppo").world
    return gym.make(world.id, **world.options)


def held_out(seed: int) -> list[int]:
    """What the worlds are reset with when the agent of a run plays its held-out episodes."""
    return [derive_seed(seed, "task", "test", group) for group in range(EPISODES)]


def ours(name: str, seed: int, steps: int) -> dict[str, Any]:
    """The shipped scenario."""
    stage, clock = load_scenario(f"{name}-ppo").stages[0].name, Clock()
    asked = {f"stages.{stage}.budget": {"env_steps": steps}, f"stages.{stage}.stop": {}, "evaluation": {"episodes": 1}}
    with tempfile.TemporaryDirectory() as folder:
        run = peripatos.run(f"{name}-ppo", asked, seed=seed, out=Path(folder) / "run", listeners=[clock])
        with run.agent("last") as agent:
            returns = [episode.reward for episode in agent.play(EPISODES, seed=seed)]
        return {"steps": run.summary["env_steps"], "returns": returns, "ended": clock.ended, "marks": clock.marks}


def theirs(name: str, seed: int, steps: int) -> dict[str, Any]:
    """The zoo's settings, in the same world."""
    import torch
    from gymnasium.envs.registration import load_env_creator
    from tuned_peer import ZOO, train

    torch.set_num_threads(1)
    wrapper = ZOO[name].wrapper
    wrap = load_env_creator(wrapper) if wrapper else lambda world: world
    return train(ZOO[name], lambda: wrap(make(name)), seed, steps, held_out(seed))


def chance(name: str) -> dict[str, Any]:
    """Random actions."""
    from tuned_peer import play

    space = make(name).action_space
    space.seed(0)
    return {"returns": play(lambda: make(name), held_out(0), lambda seen: np.stack([space.sample() for _ in seen]))}


def cell(name: str, who: str, seed: int) -> dict[str, Any]:
    """The body of a cell's process: returns of the held-out episodes, steps and seconds, and a curve of training."""
    if who == CHANCE:
        return {"return": fmean(chance(name)["returns"])}
    steps = ROWS[name].steps
    found = {OURS: ours, THEIRS: theirs}[who](name, seed, steps)
    (first, begun), (last, over) = found["marks"][1 if who == THEIRS else 0], found["marks"][-1]
    curve = []
    for part, ended in itertools.groupby(found["ended"], lambda one: min(BINS - 1, (one[0] - 1) * BINS // steps)):
        curve.append([(part + 1) * steps // BINS, fmean(total for _, total in ended)])
    speed = (last - first) / (over - begun)
    return {"steps": found["steps"], "return": fmean(found["returns"]), "steps_per_second": speed, "curve": curve}


def measured(folder: Path, name: str, who: str, seed: int) -> dict[str, Any]:
    """A cell's result: from its file, or by running it now."""
    file = folder / f"{name}-{who}-{seed}.json"
    if not file.exists():
        command = [sys.executable, __file__, "--cell", name, who, str(seed)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
        said = json.loads(ran.stdout.splitlines()[-1])
        print(name, who, seed, {key: said[key] for key in said if key != "curve"}, file=sys.stderr, flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(said) + "\n")
    return json.loads(file.read_text())


def compare(folder: Path, name: str, seeds: int) -> dict[str, Any]:
    """A row of the table."""
    row, told = ROWS[name], load_scenario(f"{name}-ppo").world
    goal = gym.spec(told.id).reward_threshold if row.goal is None else row.goal
    assert goal is not None, "where Gymnasium has no goal, the row says one"
    cells: dict[str, list[dict[str, Any]]] = {OURS: [], THEIRS: []}
    for seed in range(seeds):
        for who, done in cells.items():
            done.append(measured(folder, name, who, seed))
    low = measured(folder, name, CHANCE, 0)["return"]
    pairs = list(zip(cells[OURS], cells[THEIRS], strict=True))
    return {
        "world": told.id,
        "scenario": f"{name}-ppo",
        "chance": low,
        "goal": goal,
        "cells": cells,
        "share": fmean((mine["return"] - other["return"]) / (goal - low) for mine, other in pairs),
        "speed": geometric_mean([mine["steps_per_second"] / other["steps_per_second"] for mine, other in pairs]),
    }


def returns(cells: list[dict[str, Any]]) -> str:
    """The seeds' returns, and the interval of their mean where there is one."""
    values = [one["return"] for one in cells]
    digits = 2 if max(map(abs, values)) < 2 else 0
    low, high = interval(values)
    width = f" [{low:.{digits}f}, {high:.{digits}f}]" if math.isfinite(high - low) and len(values) > 1 else ""
    return ", ".join(f"{round(value, digits) + 0.0:.{digits}f}" for value in values) + width  # + 0: no −0


def table(rows: list[dict[str, Any]]) -> str:
    """All rows, and what they say together."""
    lines = [
        "| `peripatos run …` | steps | chance → goal | ours | stable-baselines3 | difference | steps/s |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        mine, other = row["cells"][OURS], row["cells"][THEIRS]
        speed = fmean(one["steps_per_second"] for one in mine)
        columns = (
            f"`{row['scenario']}`",
            f"{mine[0]['steps']:,}",
            f"{row['chance']:.4g} → {row['goal']:.4g}",
            returns(mine),
            returns(other),
            f"{row['share']:+.2f}",
            f"{speed:,.0f}, {row['speed']:.1f} ×",
        )
        lines.append(f"| {' | '.join(columns)} |")
    low, high = interval([row["share"] for row in rows])
    mean, speed = fmean(row["share"] for row in rows), geometric_mean([row["speed"] for row in rows])
    lines.append(
        f"\nMean difference over {len(rows)} worlds: {mean:+.2f} [{low:+.2f}, {high:+.2f}]; speed {speed:.1f} ×"
    )
    return "\n".join(lines)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Returns of training episodes by steps: a line for each seed, dotted the goal."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    columns = min(5, len(rows))
    figure, axes = plt.subplots(
        math.ceil(len(rows) / columns), columns, figsize=(3 * columns, 5), squeeze=False, layout="constrained"
    )
    for place in axes.flat[len(rows) :]:
        place.axis("off")
    for row, place in zip(rows, axes.flat, strict=False):
        for who, color in ((THEIRS, "tab:orange"), (OURS, "tab:blue")):
            for number, one in enumerate(row["cells"][who]):
                steps, mean = zip(*one["curve"], strict=True)
                place.plot(np.asarray(steps) / 1000, mean, color=color, lw=1.2, label=None if number else who)
        place.axhline(row["goal"], color="0.6", lw=0.8, ls=":")
        place.set_title(row["scenario"], fontsize=9)
        place.tick_params(labelsize=7)
    figure.supxlabel("thousands of steps", fontsize=9)
    figure.supylabel("return of training episodes", fontsize=9)
    axes.flat[0].legend(fontsize=7, loc="lower right")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("worlds", nargs="*", default=list(ROWS), metavar="WORLD", help=", ".join(ROWS))
    parser.add_argument("--seeds", type=int, default=3, help="of each world")
    parser.add_argument("--out", type=Path, default=Path("runs/tuned"))
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cell", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.cell:
        name, who, seed = asked.cell
        print(json.dumps(cell(name, who, int(seed))))
        return
    if unknown := [name for name in asked.worlds if name not in ROWS]:
        parser.error(f"{', '.join(unknown)}: worlds are {', '.join(ROWS)}")
    rows = [compare(asked.out, name, asked.seeds) for name in asked.worlds]
    if asked.picture:
        draw(rows, asked.picture)
    print(json.dumps(rows, indent=1) if asked.json else table(rows))


if __name__ == "__main__":
    main()
