"""LoRA against full training on `smollm2-grpo`.

    python benchmarks/lora.py [--seeds 0 1 2] [--side-by-side N] [--plot FILE]

Both train the same model on the same tasks with the same number of replies; what differs is which weights learn, and
the size of their steps, since matrices that begin at zero need larger ones (Schulman & Thinking Machines 2025
find a factor of ten). Every run is a command line in a process of its own; a run that is there and done is not
repeated. What is printed is read from the runs' own files.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from peripatos.scenarios.compare.intervals import interval

SCENARIO = "smollm2-grpo"
RANK, ALPHA = 16, 32
WINDOW = 5  # updates over which the curves are averaged


def settings(way: str, seed: int, asked: argparse.Namespace) -> list[str]:
    """What the command line sets. A seed is also the batch's: both ways see the same tasks."""
    sets = {"seed": seed, **dict(each.split("=", 1) for each in asked.set)}
    if way == "LoRA":
        sets |= {"agent.lora.rank": RANK, "agent.lora.alpha": ALPHA, "stages.0.optimizer.lr": asked.lr}
    return [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]


def run(way: str, seed: int, asked: argparse.Namespace) -> Path:
    """The folder of a run that has ended well."""
    name = f"{way}-{asked.lr}-{seed}" if way == "LoRA" else f"{way}-{seed}"
    folder, summary = asked.out / name, asked.out / name / "summary.json"
    if not summary.exists() or json.loads(summary.read_text())["status"] != "done":
        command = ["run", SCENARIO, *settings(way, seed, asked), "--out", str(folder), "--quiet"]
        ended = subprocess.run(
            [sys.executable, "-m", "peripatos", *command], capture_output=True, text=True, check=False
        )
        if ended.returncode:
            sys.exit(f"{way}, seed {seed}: {ended.stderr.strip()[-2000:]}")
    return folder


def shares(folder: Path) -> np.ndarray:
    """Share of right replies in each update."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return np.array([row["success/rate"] for row in rows])


def result(folder: Path) -> dict[str, Any]:
    """Held-out success before and after in per cent, wall time, size of the model in a checkpoint."""
    summary = json.loads((folder / "summary.json").read_text())
    ends = summary["stages"][0]["evaluation"]
    weights = sorted((folder / "checkpoints").glob("*/policy/*.safetensors"))[-1]
    return {
        "before": 100 * ends["before"]["success_rate"],
        "after": 100 * ends["after"]["success_rate"],
        "wall_s": round(summary["wall_s"]),
        "checkpoint_mib": round(weights.stat().st_size / 2**20, 1),
    }


def draw(curves: dict[str, list[np.ndarray]], path: Path) -> None:
    """One line a way: the mean over seeds, in a band from the lowest to the highest."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for way, of_seeds in curves.items():
        smooth = np.array([np.convolve(one, np.full(WINDOW, 1 / WINDOW), mode="valid") for one in of_seeds])
        updates = np.arange(WINDOW, WINDOW + smooth.shape[1])
        (line,) = axes.plot(updates, smooth.mean(axis=0), label=f"{way} ({len(of_seeds)} seeds)")
        axes.fill_between(updates, smooth.min(axis=0), smooth.max(axis=0), alpha=0.2, color=line.get_color())
    axes.set(
        xlabel="update (128 replies)", ylabel=f"share of right replies, {WINDOW} updates", title=SCENARIO, ylim=(0, 1)
    )
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Run what is missing, print a line for each run and each way, draw the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--ways", nargs="*", choices=["full", "LoRA"], default=["full", "LoRA"])
    parser.add_argument("--lr", type=float, default=1e-4, help="of LoRA; full training has the scenario's own")
    parser.add_argument("--set", nargs="*", default=[], help="further settings, for both")
    parser.add_argument("--side-by-side", type=int, default=1, help="runs at a time")
    parser.add_argument("--out", type=Path, default=Path("runs/lora"))
    parser.add_argument("--plot", type=Path)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    jobs = [(way, seed) for way in asked.ways for seed in asked.seeds]
    with ThreadPoolExecutor(asked.side_by_side) as pool:
        folders = dict(zip(jobs, pool.map(lambda job: run(*job, asked), jobs), strict=True))
    for way in asked.ways:
        results = [result(folders[way, seed]) for seed in asked.seeds]
        for seed, found in zip(asked.seeds, results, strict=True):
            print(json.dumps({"way": way, "seed": seed, **found}), flush=True)
        after = [found["after"] for found in results]
        bounds = interval(after) if len(after) > 1 else None
        print(json.dumps({"way": way, "mean": round(float(np.mean(after)), 1), "interval": bounds}), flush=True)
    if asked.plot is not None:
        draw({way: [shares(folders[way, seed]) for seed in asked.seeds] for way in asked.ways}, asked.plot)


if __name__ == "__main__":
    main()
