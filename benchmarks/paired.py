"""What the last stage changed, task by task: `python benchmarks/paired.py RUN…` (one run, or a scenario's seeds).

A run evaluates the same held-out tasks before and after each stage. The difference of one task's two rewards has far
less noise than the two means, so its interval says most:  d̄ ± t · s/√n  over the n tasks. Runs count together as well,
with the seeds' means as n values. Needs episodes that were kept (`log.episodes` as large as `evaluation.episodes`).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from peripatos.scenarios.run.episode_statistics import mean_interval
from peripatos.scenarios.run.logs import read_jsonl


def rewards(run: Path, update: int) -> dict[int, float]:
    """The reward of each held-out task after `update`, by its seed."""
    rows, _ = read_jsonl(run / "episodes" / f"{update:06d}-test.jsonl")
    return {row["seed"]: row["reward"] for row in rows if row["reward"] is not None}


def differences(run: Path) -> tuple[list[float], list[float]]:
    """The rewards before the last stage, and what it added to each."""
    summary: dict[str, Any] = json.loads((run / "summary.json").read_text())
    if summary["status"] != "done":
        raise SystemExit(f"{run}: the run is not done, but {summary['status']}")
    updates = [stage["updates"] for stage in summary["stages"]]
    before, after = rewards(run, sum(updates[:-1])), rewards(run, sum(updates))
    asked = summary["stages"][-1]["evaluation"]["after"]["episodes"]
    tasks = sorted(before.keys() & after.keys())
    if len(tasks) < asked:
        raise SystemExit(f"{run}: only {len(tasks)} of {asked} episodes were kept; set log.episodes to {asked}")
    return [before[task] for task in tasks], [after[task] - before[task] for task in tasks]


def line(name: str, before: list[float], change: list[float]) -> str:
    """A row of the table."""
    start, mean = sum(before) / len(before), sum(change) / len(change)
    low, high = mean_interval(change)
    interval = "–" if low is None else f"[{low:+.3f}, {high:+.3f}]"
    return f"| {name} | {start:.3f} → {start + mean:.3f} | {mean:+.3f} | {interval} | {len(change)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    runs = parser.parse_args().runs
    print("| run | reward | change | 95 % interval | n |\n|---|---|---|---|---|")
    starts, means = [], []
    for run in runs:
        before, change = differences(run)
        starts.append(sum(before) / len(before))
        means.append(sum(change) / len(change))
        print(line(run.name, before, change))
    if len(runs) > 1:
        print(line("all, seed by seed", starts, means))


if __name__ == "__main__":
    main()
