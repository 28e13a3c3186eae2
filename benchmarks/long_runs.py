"""Whether anything grows in long runs: `python benchmarks/long_runs.py [control language tool] [--updates N]`.

Each run is a small scenario in a process of its own, on one core. After every update it is noted how much memory the
process holds, how many Python objects and tensors live, and how many descriptors, threads, children and temporary
files there are. The first fifth is warm-up. What is left is cut into eight blocks, and a line is fitted through their
means:

    slope ± standard error  of least squares through eight block means, for each 1,000 updates

A slope that is smaller than three errors is none.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

BLOCKS, WARM = 8, 0.2
SCENARIOS = {
    "control": """
name: control
world: {id: CartPole-v1}
agent: {kind: mlp, hidden: [16]}
stages:
  - name: learn
    method: ppo
    collect: {groups: 2, horizon: 16}
    overrides: {update: {epochs: 1, minibatches: 2}}
    budget: {updates: 5000}
evaluation: {every: 500, episodes: 2}
checkpoint: {every: 250}
""",
    "language": """
name: language
world: {id: peripatos/Arithmetic-v0, options: {operators: ["+"], digits: 1, prompt: bare}}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 4}
stages:
  - name: learn
    method: grpo
    collect: {groups: 2, group_size: 4}
    budget: {updates: 500}
evaluation: {every: 100, episodes: 4}
checkpoint: {every: 50}
""",
    "tool": """
name: tool
world: {id: peripatos/ToolMaths-v0, options: {operators: ["*"], digits: [2, 1]}}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 12}
stages:
  - name: learn
    method: grpo
    collect: {groups: 2, group_size: 4}
    budget: {updates: 500}
evaluation: {every: 100, episodes: 4}
checkpoint: {every: 50}
""",
}


class Probe:
    """A display that shows nothing, and looks at its own process after every update."""

    def __init__(self, every: int) -> None:
        self.rows: list[dict[str, float]] = []
        self._every, self._update = every, 0

    def say(self, text: str) -> None: ...

    def warn(self, text: str) -> None: ...

    def close(self) -> None: ...

    def move(self, stage: str, fraction: float, numbers: Mapping[str, float]) -> None:
        self._update += 1
        if self._update % self._every == 0:
            self.rows.append({"update": float(self._update), **look()})


def look() -> dict[str, float]:
    """What this process holds now."""
    import torch

    gc.collect()
    own = Path("/proc/self")
    objects = gc.get_objects()
    tensors = sum(issubclass(type(thing), torch.Tensor) for thing in objects)  # isinstance would ask lazy things
    pages = int((own / "statm").read_text().split()[1])
    tasks = list((own / "task").iterdir())
    return {
        "memory, KiB": pages * os.sysconf("SC_PAGE_SIZE") / 1024,
        "Python objects": float(len(objects)),
        "tensors": float(tensors),
        "descriptors": float(len(list((own / "fd").iterdir()))),
        "threads": float(len(tasks)),
        "children": float(sum(len((task / "children").read_text().split()) for task in tasks)),
        "temporary files": float(len(list(Path(tempfile.gettempdir()).rglob("*")))),
    }


def run(name: str, updates: int | None) -> list[dict[str, float]]:
    """Run a scenario to its end, here; what was seen on the way."""
    from peripatos.scenarios.config.loading import open_scenario
    from peripatos.scenarios.run.run_directory import RunDirectory
    from peripatos.scenarios.run.runner import Runner

    with tempfile.TemporaryDirectory(prefix=f"long-{name}-") as folder:
        path, temporary = Path(folder) / "scenario.yaml", Path(folder) / "temporary"
        path.write_text(SCENARIOS[name])
        temporary.mkdir()
        tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
        sets = [] if updates is None else [f"stages.learn.budget.updates={updates}"]
        scenario, _ = open_scenario(str(path), sets)
        budget = scenario.stages[0].budget
        assert budget is not None, "every scenario here has one"
        probe = Probe(max(1, int(budget.limits()["updates"]) // 80))
        Runner(RunDirectory.create(Path(folder) / "run", scenario, sys.argv), probe, device="cpu").go()
        return probe.rows


def slope(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Of a line through the means of eight blocks, and its standard error."""
    blocks = [np.array_split(column, BLOCKS) for column in (x, y)]
    means_x, means_y = (np.array([part.mean() for part in column]) for column in blocks)
    centered = means_x - means_x.mean()
    if np.ptp(means_y) == 0:
        return 0.0, 0.0
    steep = float(centered @ means_y / (centered @ centered))
    left = means_y - means_y.mean() - steep * centered
    return steep, math.sqrt(float(left @ left) / (BLOCKS - 2) / float(centered @ centered))


def table(name: str, rows: list[dict[str, float]]) -> list[str]:
    """A line for each thing that was counted: where it stood after the warm-up and at the end, and its slope."""
    kept = rows[int(WARM * len(rows)) :]
    x = np.array([row["update"] for row in kept]) / 1000
    lines = []
    for what in list(kept[0])[1:]:
        y = np.array([row[what] for row in kept])
        steep, error = slope(x, y)
        verdict = "none" if abs(steep) <= 3 * error else ("grows" if steep > 0 else "shrinks")
        lines.append(f"| {name} | {what} | {y[0]:,.0f} | {y[-1]:,.0f} | {steep:,.3g} ± {error:.2g} | {verdict} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", default=list(SCENARIOS), choices=[*SCENARIOS])
    parser.add_argument("--updates", type=int, help="instead of each scenario's own number")
    parser.add_argument(
        "--here", action="store_true", help="one scenario in this process; prints what was seen as JSON"
    )
    asked = parser.parse_args()
    if asked.here:
        print(json.dumps(run(asked.scenarios[0], asked.updates)))
        return
    print("| run | what | after warm-up | at the end | slope per 1,000 updates | growth |\n|---|---|---|---|---|---|")
    more = [] if asked.updates is None else ["--updates", str(asked.updates)]
    for name in asked.scenarios:
        command = [sys.executable, __file__, name, "--here", *more]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
        print("\n".join(table(name, json.loads(done.stdout))), flush=True)


if __name__ == "__main__":
    main()
