"""Does it help to keep to tasks that are solved now and then? `python benchmarks/curriculum.py [--seeds 0 1 2]
[--json]` prints a table.

A data set of sums and products, of which most teach nothing: of 400 training tasks

    170   4825*0     ▶ 0        too easy: always right
    60    4825+1111  ▶ 5936     in the middle
    170   4825*37    ▶ 178525   impossible for who is asked: never right

By seed, a tiny Llama from nothing imitates tasks of the first two kinds until of held-out sums 30 % are right. From
there GRPO learns from equal numbers of episodes, those of refills included: of tasks in turn or of those that the
curriculum draws, of all groups or of those that a gate takes, with or without refill. Held out are 200 other sums. In
brackets: the share of groups in which all earned the same.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import peripatos

EPISODES, GROUPS, GROUP_SIZE = 25_600, 16, 8
LR = 2e-4  # with 1e-3, on another seed (10), all that was known was lost, with tasks in turn and with a curriculum
DIGITS = range(9)  # to which 1 can be added
HOW: dict[str, dict[str, Any]] = {
    "in turn": {},
    "curriculum": {"curriculum": {}},
    "gate": {"gate": [0.1, 0.9]},
    "curriculum, gate": {"curriculum": {}, "gate": [0.1, 0.9]},
    "gate, refill": {"gate": [0.1, 0.9], "refill": 2},
    "all three": {"curriculum": {}, "gate": [0.1, 0.9], "refill": 2},
}


def tasks(seed: int) -> list[dict[str, str]]:
    """Rows of a data set."""
    chance = random.Random(seed)
    words = chance.sample(["".join(map(str, word)) for word in itertools.product(DIGITS, repeat=4)], 1160)
    sums = [(f"{word}+1111", "".join(str(int(digit) + 1) for digit in word)) for word in words[:660]]
    easy = [(f"{word}*0", "0") for word in words[660:]]
    hard = [(f"{word}*{n}", str(int(word) * n)) for word in words[660:830] for n in [chance.randint(11, 99)]]
    rows = [("train", sums[:60]), ("test", sums[60:260]), ("validation", sums[260:360]), ("warm", sums[360:])]
    rows += [("train", easy[:170]), ("warm", easy[170:470]), ("test", easy[470:]), ("train", hard)]
    return [{"prompt": f"{q}=", "answer": a, "split": split, "id": q} for split, each in rows for q, a in each]


def scenario(seed: int, rows: list[dict[str, str]], folder: Path, agent: dict[str, Any], stage: dict[str, Any]) -> Any:
    """One stage on `rows`."""
    name = folder / f"{stage['name']}.jsonl"
    name.write_text("\n".join(map(json.dumps, rows)))
    return {
        "name": "sums",
        "seed": seed,
        "world": {"id": "peripatos/Tasks-v0", "options": {"tasks": str(name), "grader": "exact"}},
        "agent": agent,
        "sampling": {"max_tokens": 7},
        "stages": [stage],
        "evaluation": {"every": 5 if stage["method"] == "sft" else None, "episodes": "all"},
        "log": {"episodes": 400},
    }


def start(seed: int, rows: list[dict[str, str]], folder: Path) -> peripatos.Run:
    """The agent that is right about 30 % of the sums."""
    warm = [{**row, "split": "train"} for row in rows if row["split"] == "warm"]
    stage = {
        "name": "imitate",
        "method": "sft",
        "demonstrations": {"agent": {"kind": "oracle"}},
        "collect": {"groups": 64},
        "optimizer": {"lr": 2e-3, "warmup": 10},
        "budget": {"updates": 400},
        "stop": {"success_rate": 0.3},
    }
    others = [row for row in rows if row["split"] in ("test", "validation")]
    tiny = {"kind": "tiny_llama", "hidden": 64, "layers": 2}
    return peripatos.run(scenario(seed, [*warm, *others], folder, tiny, stage), out=folder / "start")


def learn(seed: int, rows: list[dict[str, str]], folder: Path, begun: peripatos.Run, how: str) -> dict[str, Any]:
    """What one way of choosing tasks comes to."""
    stage = {
        "name": "learn",
        "method": "grpo",
        "collect": {"groups": GROUPS, "group_size": GROUP_SIZE, **HOW[how]},
        "optimizer": {"lr": LR},
        "budget": {"env_steps": EPISODES},
    }
    mine = [row for row in rows if row["split"] != "warm"]
    agent = {"from": str(begun.path), "checkpoint": "last"}
    run = peripatos.run(scenario(seed, mine, folder, agent, stage), out=folder / how.replace(", ", "-"))
    met = [row["groups/flat"] for row in run.metrics]
    found = {"before": successes(run, 0), "after": successes(run, -1), "flat": sum(met) / len(met)}
    print(f"seed {seed}, {how}: {found}", file=sys.stderr, flush=True)
    return found


def successes(run: peripatos.Run, which: int) -> dict[str, float]:
    """The share of right answers in a test of a run, by kind."""
    path = sorted((run.path / "episodes").glob("*-test.jsonl"))[which]
    told = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    kinds = {"sums": "+", "zeros": "*"}
    return {
        kind: sum(one["success"] for one in told if sign in one["task"]) / sum(sign in one["task"] for one in told)
        for kind, sign in kinds.items()
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=list(HOW), default=list(HOW))
    parser.add_argument("--json", action="store_true", help="a list of rows instead of the table")
    asked = parser.parse_args()
    table = []
    if not asked.json:
        print("| seed | before | " + " | ".join(asked.only) + " |\n|" + "---|" * (2 + len(asked.only)))
    for seed in asked.seeds:
        with tempfile.TemporaryDirectory() as name:
            rows, folder = tasks(seed), Path(name)
            begun = start(seed, rows, folder)
            found = {how: learn(seed, rows, folder, begun, how) for how in asked.only}
        table.append({"seed": seed, **found})
        if not asked.json:
            cells = [f"{100 * one['after']['sums']:.0f} % ({100 * one['flat']:.0f} % flat)" for one in found.values()]
            before = 100 * next(iter(found.values()))["before"]["sums"]
            print(f"| {seed} | {before:.0f} % | {' | '.join(cells)} |", flush=True)
    if asked.json:
        print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
