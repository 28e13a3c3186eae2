"""RLHF on `rlhf-quick`: what the reward model says of the policy, and what is true, with the KL in the reward and
without.

    python benchmarks/rlhf.py [--seeds 0 1 2] [--updates N] [--out FOLDER] [--plot FILE] [--json]

For each seed a run of `reward-quick` first learns to tell right sums from wrong ones, which is measured on pairs that
were held out; then a policy learns from what it says, twice from one start: as the scenario has it, and with a β of
1e-9, which measures the KL and does not count. The true share of right sums is known here, and nobody who learns sees
it. Every run is a command line in a process of its own; a run that is there and done is not repeated.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

WAYS = {
    "with KL": {},
    "without KL": {"stages.please.overrides.weighting": "{beta: 1e-9}"},
}


def run(scenario: str, folder: Path, **sets: object) -> Path:
    """The folder of a run that has ended well."""
    summary = folder / "summary.json"
    if not summary.exists() or json.loads(summary.read_text())["status"] != "done":
        words = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
        command = [sys.executable, "-m", "peripatos", "run", scenario, *words, "--out", str(folder), "--quiet"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            sys.exit(f"{folder.name}: {ended.stderr.strip()[-2000:]}")
    return folder


def stage(folder: Path, name: str) -> dict[str, Any]:
    """What a run's summary says of one of its stages."""
    return next(one for one in json.loads((folder / "summary.json").read_text())["stages"] if one["name"] == name)


def curve(folder: Path) -> list[dict[str, float]]:
    """Of each update of the policy: what the model says of its replies, how many are right, how far it has gone."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    names = {"score": "world/reward_model", "right": "success/rate", "kl": "kl/reference"}
    return [{key: row[name] for key, name in names.items()} for row in rows if row["stage"] == "please"]


def measure(seed: int, asked: argparse.Namespace) -> dict[str, Any]:
    """The cells of one seed."""
    judge = run("reward-quick", asked.out / f"judge-{seed}", seed=seed)
    found: dict[str, Any] = {"seed": seed, "accuracy": stage(judge, "judge")["evaluation"]["after"]["success_rate"]}
    for way, more in WAYS.items():
        sets = {"seed": seed, "stages.please.models.reward.run": judge, "stages.please.budget.updates": asked.updates}
        folder = run("rlhf-quick", asked.out / f"{way.replace(' ', '-')}-{seed}", **sets, **more)
        ends = stage(folder, "please")["evaluation"]
        true = {when: ends[when]["success_rate"] for when in ("before", "after")}
        found[way] = {**true, "curve": curve(folder)}
    return found


def draw(cells: list[dict[str, Any]], path: Path) -> None:
    """Above what the model says, below what is true; a line for each seed and way."""
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots(2, sharex=True)
    for way, colour in zip(WAYS, ("tab:blue", "tab:orange"), strict=True):
        for number, cell in enumerate(cells):
            for ax, key in zip(axes, ("score", "right"), strict=True):
                values = [row[key] for row in cell[way]["curve"]]
                ax.plot(values, color=colour, alpha=0.8, label=way if number == 0 else None)
    axes[0].set(ylabel="score of the reward model", title="rlhf-quick")
    axes[1].set(ylabel="share of right sums", xlabel="update (256 replies)", ylim=(0, 1))
    axes[0].legend(loc="lower right")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Run what is missing, print a line for each seed, draw the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--updates", type=int, default=60, help="of the policy")
    parser.add_argument("--out", type=Path, default=Path("runs/rlhf"))
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", action="store_true", help="all cells with their curves, as one list")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    cells = []
    for seed in asked.seeds:
        cells.append(measure(seed, asked))
        if not asked.json:
            ways = [f"{way} {cells[-1][way]['before']:.3f} → {cells[-1][way]['after']:.3f}" for way in WAYS]
            print(f"seed {seed}: accuracy {cells[-1]['accuracy']:.3f}; right: {', '.join(ways)}", flush=True)
    if asked.json:
        print(json.dumps(cells))
    if asked.plot is not None:
        draw(cells, asked.plot)


if __name__ == "__main__":
    main()
