"""Which device is faster for control, and from which size of network: seconds of an update on each.

    python benchmarks/devices.py [--scenarios cartpole-ppo walker-ppo] [--hidden 64 1024 2048 4096] [--updates 4]

A shipped scenario is run for a few updates with two layers of each width, on each device in turn, in one process. The
first update warms up and is left out; what is printed is the mean of the others, and what of it was acting (infer),
the world (simulate) and learning (update).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import torch

import peripatos
from peripatos.scenarios.config.loading import find_scenario
from peripatos.scenarios.config.yaml_text import read_yaml

PARTS = ("time/infer", "time/simulate", "time/update")


def seconds(scenario: str, hidden: int, device: str, updates: int) -> dict[str, float]:
    """Mean seconds of an update, by part."""
    stage = read_yaml(find_scenario(scenario))[0]["stages"][0]
    collect = stage["collect"]
    steps = collect["groups"] * collect["horizon"]
    overrides = {
        "agent.hidden": [hidden, hidden],
        f"stages.{stage['name']}.budget.env_steps": steps * updates,
        "evaluation": {"every": 1_000_000, "episodes": 2},
    }
    with tempfile.TemporaryDirectory() as folder:
        run = peripatos.run(scenario, overrides, out=Path(folder) / "run", device=device)
        return {name: float(run.column(name)[1:].mean()) for name in PARTS}


def main() -> None:
    """Print a line for each scenario, width and device."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", nargs="*", default=["cartpole-ppo", "walker-ppo"])
    parser.add_argument("--hidden", nargs="*", type=int, default=[64, 128, 256, 512, 1024])
    parser.add_argument("--updates", type=int, default=4)
    parser.add_argument("--devices", nargs="*", default=["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])
    asked = parser.parse_args()
    for scenario in asked.scenarios:
        for hidden in asked.hidden:
            for device in asked.devices:
                seen = seconds(scenario, hidden, device, asked.updates)
                parts = {name.partition("/")[2]: round(value, 4) for name, value in seen.items()}
                known = {"scenario": scenario, "hidden": hidden, "device": device, "all": round(sum(seen.values()), 4)}
                print(json.dumps(known | parts), flush=True)


if __name__ == "__main__":
    main()
