"""RLHF where the truth is known (`reward-quick`, `rlhf-quick`): what a reward model says of a policy, and what is true,
with the KL in the reward and without.

    python benchmarks/rlhf.py [--seeds 0 1 2] [--out FOLDER] [--plot FILE] [--json]

The world asks for a digit and pays a ninth of it; anything else is worth nothing. A reward model learns from rankings
of three digits, and is measured on prompts that were held out. Who acts imitates all digits alike, and then learns from
what the model says alone, three times from one start: with the scenario's β, with InstructGPT's, and with one of 1e-9,
which measures the KL and does not count. What was never ranked (two digits, a letter) the model judges all the same.
Every run is a command line in a process of its own; a run that is there and done is not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

BETAS = {"β = 0.2": 0.2, "β = 0.02": 0.02, "without KL": 1e-9}


def run(folder: Path, scenario: str, name: str, **sets: object) -> Path:
    """The folder of a run that has ended well."""
    out = folder / name
    summary = out / "summary.json"
    if not summary.exists() or json.loads(summary.read_text())["status"] != "done":
        words = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
        command = [sys.executable, "-m", "peripatos", "run", scenario, *words, "--out", name, "--quiet"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
        if ended.returncode:
            sys.exit(f"{name}: {ended.stderr.strip()[-2000:]}")
    return out


def curve(out: Path) -> list[dict[str, float]]:
    """Of each update of the policy: what the model says of its replies, what they are worth, how far it has gone."""
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    names = {"score": "world/reward_model", "true": "world/reward", "kl": "kl/reference"}
    return [{key: row[name] for key, name in names.items()} for row in rows if row["stage"] == "please"]


def measure(seed: int, folder: Path) -> dict[str, Any]:
    """The cells of one seed."""
    judge = run(folder, "reward-quick", f"judge-{seed}", seed=seed)
    after = json.loads((judge / "summary.json").read_text())["stages"][0]["evaluation"]["after"]
    cell: dict[str, Any] = {"seed": seed, "accuracy": after["success_rate"]}
    for way, beta in BETAS.items():
        sets = {"seed": seed, "stages.please.models.reward.run": judge.name}
        name = f"beta-{beta:g}-{seed}"
        cell[way] = curve(run(folder, "rlhf-quick", name, **sets, **{"stages.please.overrides.weighting.beta": beta}))
    return cell


def told(cell: dict[str, Any]) -> str:
    """`seed 0: accuracy 1.000; β = 0.2: true 0.50 → 0.92, score 0.02 → 3.08, KL 0.29; …`"""
    parts = []
    for way in BETAS:
        first, last = cell[way][0], cell[way][-1]
        true, score = (f"{first[key]:.2f} → {last[key]:.2f}" for key in ("true", "score"))
        parts.append(f"{way}: true {true}, score {score}, KL {last['kl']:.2f}")
    return f"seed {cell['seed']}: accuracy {cell['accuracy']:.3f}; {'; '.join(parts)}"


def draw(cells: list[dict[str, Any]], path: Path) -> None:
    """Above what the model says, below what is true; a line for each seed and way."""
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots(2, sharex=True)
    for way, colour in zip(BETAS, ("tab:blue", "tab:green", "tab:orange"), strict=True):
        for number, cell in enumerate(cells):
            for ax, key in zip(axes, ("score", "true"), strict=True):
                ax.plot([row[key] for row in cell[way]], color=colour, label=way if number == 0 else None)
    axes[0].set(ylabel="score of the reward model", title="rlhf_ppo")
    axes[1].set(ylabel="true reward", xlabel="update (128 replies)", ylim=(0, 1))
    axes[0].legend(loc="lower right")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Run what is missing, print a line for each seed, draw the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/rlhf"))
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", action="store_true", help="all cells with their curves, as one list")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    cells = []
    for seed in asked.seeds:
        cells.append(measure(seed, asked.out))
        if not asked.json:
            print(told(cells[-1]), flush=True)
    if asked.json:
        print(json.dumps(cells))
    if asked.plot is not None:
        draw(cells, asked.plot)


if __name__ == "__main__":
    main()
