"""Which worlds by other people run as they are: two updates of PPO in each, an evaluation before and after.

    python benchmarks/every_world.py                 # Gymnasium's own ids, each in its latest version
    python benchmarks/every_world.py minigrid        # those that a module registers

A world whose packages are missing is told apart from one that fails. Nothing is learned in two updates; what is tried
is that spaces, wrappers, networks and batches fit together.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections import Counter
from pathlib import Path

import gymnasium

import peripatos
from peripatos.envs.errors import UserError

STEPS = 24  # of an episode, at most
_FOREIGN = ("phys2d/", "tabular/", "GymV")  # need JAX, or another gym


def latest(prefix: str) -> list[str]:
    """The ids that have been registered, each in its latest version."""
    newest: dict[str, int] = {}
    for spec in gymnasium.registry.values():
        name = f"{spec.namespace}/{spec.name}" if spec.namespace else spec.name
        newest[name] = max(newest.get(name, 0), spec.version or 0)
    return [f"{prefix}{name}-v{version}" for name, version in newest.items() if not name.startswith(_FOREIGN)]


def tried(world: str, folder: Path) -> str:
    """What comes of two updates: "runs", or why not."""
    scenario = {
        "name": "every-world",
        "world": {"id": world, "options": {"max_episode_steps": STEPS}},
        "agent": {"kind": "mlp", "hidden": [16]},
        "stages": [
            {"name": "try", "method": "ppo", "collect": {"groups": 2, "horizon": STEPS}, "budget": {"updates": 2}}
        ],
        "evaluation": {"episodes": 2},
    }
    try:
        run = peripatos.run(scenario, out=folder)
    except UserError as problem:
        return f"lacks a package: {problem}" if "not installed" in str(problem) else f"refused: {problem}"
    except Exception as problem:  # of a stranger's world: it is what we came to learn
        return f"fails: {type(problem).__name__}: {problem}"
    failed = run.summary["failed_episodes"]
    return f"fails: {failed} episodes" if failed else "runs"


def main(modules: list[str]) -> None:
    """Print a line for each world and a count of what came of them."""
    for module in modules:
        before = set(gymnasium.registry)
        importlib.import_module(module)
        for name in before:
            del gymnasium.registry[name]
    worlds = latest(f"{modules[-1]}:" if modules else "")
    worlds = [world for world in worlds if not world.startswith("peripatos/")]
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, world in enumerate(worlds):
            result = tried(world, Path(folder) / str(number))
            counts[result.partition(":")[0]] += 1
            print(f"{world}: {result}", flush=True)
    print(f"{len(worlds)} worlds: {dict(counts)}")


if __name__ == "__main__":
    main(sys.argv[1:])
