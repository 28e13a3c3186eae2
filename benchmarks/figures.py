"""The scenarios of benchmarks/README.md, run again: `python benchmarks/figures.py [SCENARIO…] [--seeds 3]`.

Every row is a scenario run from its beginning by the command line, once for each seed, in a process of its own, one
after another. What is printed is read from the run's summary.json; nothing is computed here but minimum and median.
Runs are kept under runs/figures, and a run that is there and done is not repeated.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

SEEDS = {
    "quickstart": 3,
    "walker-ppo": 5,
    "walker-hard-ppo": 3,
    "walker-grpo": 3,
    "cartpole-ppo": 3,
    "pendulum-ppo": 3,
    "tool-maths-grpo": 3,
    "smollm2-grpo": 3,
    "store-smollm2-sft-grpo": 3,
}


def run(scenario: str, seed: int, folder: Path) -> dict[str, Any]:
    """The summary of one run, made now unless it is there."""
    out = folder / f"{scenario}-{seed}"
    summary = out / "summary.json"
    if not summary.exists() or json.loads(summary.read_text())["status"] != "done":
        command = [sys.executable, "-m", "peripatos", "run", scenario, "--set", f"seed={seed}", "--out", str(out)]
        print(f"$ peripatos run {scenario} --set seed={seed}", file=sys.stderr, flush=True)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return json.loads(summary.read_text())


def number(evaluation: dict[str, Any]) -> str:
    """An evaluation as the README writes it."""
    if evaluation.get("success_rate") is not None:
        return f"{100 * evaluation['success_rate']:.1f} %"
    return f"{evaluation['return_mean']:.1f}"


def row(scenario: str, summaries: list[dict[str, Any]]) -> str:
    """One line of the table: each stage's before → after for each seed, wall time, steps."""
    stages = []
    for index, stage in enumerate(summaries[0]["stages"]):
        ends = [s["stages"][index]["evaluation"] for s in summaries]
        stages.append(f"{stage['name']}: " + "; ".join(f"{number(e['before'])} → {number(e['after'])}" for e in ends))
    wall = statistics.median(s["wall_s"] for s in summaries)
    steps = statistics.median(s["env_steps"] for s in summaries)
    return f"| `peripatos run {scenario}` | {'<br>'.join(stages)} | {wall:.0f} s | {steps:,.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", default=list(SEEDS))
    parser.add_argument("--seeds", type=int, help="instead of each scenario's own number")
    parser.add_argument("--out", type=Path, default=Path("runs/figures"))
    asked = parser.parse_args()
    lines = ["| command | before → after, seed by seed | wall (median) | world steps (median) |", "|---|---|---|---|"]
    for scenario in asked.scenarios:
        seeds = range(asked.seeds or SEEDS.get(scenario, 3))
        lines.append(row(scenario, [run(scenario, seed, asked.out) for seed in seeds]))
        print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
