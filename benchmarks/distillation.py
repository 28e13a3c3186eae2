"""How many samples a student needs who is taught, and one who is only rewarded? `python benchmarks/distillation.py
[--seeds 3] [--json]` prints a table.

A tiny language world: a word of four letters is to be written in a secret alphabet. By seed, from nothing:

    student   imitation of solutions that stand before the question, until it copies; then of half of them without,
              until one held-out word in three is right
    teacher   the same agent, imitating until it is nearly always right
    then, each from the student: on-policy distillation from the teacher, self-distillation, GRPO

Counted are the student's own episodes until, on 200 held-out words, it is right as often as 95 % of the teacher. What a
demonstration costs (one expert's episode for each word) is counted for self-distillation as well.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import peripatos
from peripatos.envs.conversation import ConversationEnv, Outcome
from peripatos.envs.vocabulary import Reply

LETTERS, ALPHABET, LENGTH = "abcdefghij", "dgajbicfhe", 4
GROUPS, GROUP_SIZE, UPDATES, SHARE = 16, 8, 60, 0.95
METHODS: dict[str, dict[str, Any]] = {
    "on_policy_distillation": {"optimizer": {"lr": 1e-3, "warmup": 5}},
    "self_distillation": {"optimizer": {"lr": 1e-3, "warmup": 5}},
    "grpo": {"optimizer": {"lr": 1e-3, "warmup": 5}},
}


class Cipher(ConversationEnv):
    """A word in, the same word in another alphabet out. One word in ten is held out."""

    weights = {"right": 1.0}  # noqa: RUF012 (a class's table)
    max_turns = 1
    has_success = True

    def __init__(self, secret: bool = True) -> None:
        """Not `secret`: the other alphabet is drawn anew for each word, so that nothing but what is shown tells it."""
        super().__init__()
        self.secret = secret

    def opening(self, rng: np.random.Generator, split: str) -> str:
        """A word whose letters say of which split it is."""
        alphabet = ALPHABET if self.secret else rng.permutation(list(LETTERS))
        self.key = dict(zip(LETTERS, alphabet, strict=True))
        while True:
            self.word = "".join(rng.choice(list(LETTERS), LENGTH))
            if (sum(map(LETTERS.index, self.word)) % 10 == 0) == (split != "train"):
                return self.word

    def oracle(self) -> str:
        """The word in the other alphabet."""
        return "".join(self.key[letter] for letter in self.word)

    def respond(self, reply: Reply) -> Outcome:
        """Right or wrong."""
        right = reply.text == self.oracle()
        return Outcome(terms={"right": float(right)}, terminated=True, success=right)


def scenario(
    seed: int, stages: list[dict[str, Any]], agent: dict[str, Any], shows: float = 0.0, secret: bool = True
) -> dict[str, Any]:
    """In the cipher's world, where so large a share of words is shown with its solution before."""
    wrapper = {"id": "peripatos.envs.conversation.shown:Shown", "options": {"share": shows}}
    return {
        "name": "cipher",
        "seed": seed,
        "world": {"id": "distillation:Cipher", "options": {"secret": secret}, "wrappers": [wrapper]},
        "agent": agent,
        "sampling": {"max_tokens": LENGTH + 2},
        "stages": stages,
        "evaluation": {"every": 2, "episodes": 200},
        "log": {"episodes": 0},
    }


def imitate(until: float, lr: float = 2e-3) -> dict[str, Any]:
    """A stage of imitation of the world's oracle."""
    return {
        "name": "imitate",
        "method": "sft",
        "demonstrations": {"agent": {"kind": "oracle"}},
        "collect": {"groups": 64},
        "optimizer": {"lr": lr, "warmup": 10},
        "budget": {"updates": 400},
        "stop": {"success_rate": until},
    }


def success(run: peripatos.Run) -> float:
    """On the test words, at the end of a run."""
    return [row["success_rate"] for row in run.evaluations if row["set"] == "test"][-1]


def contest(seed: int, folder: Path) -> dict[str, Any]:
    """One seed: the start, the teacher, and what each method needed; None where it did not come so far."""
    tiny = {"kind": "tiny_llama", "hidden": 64, "layers": 2}
    copies = peripatos.run(
        scenario(seed, [{**imitate(0.9), "budget": {"updates": 60}}], tiny, 1.0), out=folder / "copies"
    )
    knows = {"from": str(copies.path), "checkpoint": "last"}
    student = peripatos.run(scenario(seed, [imitate(0.3, 5e-4)], knows, 0.5), out=folder / "student")
    begun = {"from": str(student.path), "checkpoint": "last"}
    teacher = peripatos.run(scenario(seed, [imitate(0.99)], begun), out=folder / "teacher")
    goal = SHARE * success(teacher)
    row: dict[str, Any] = {"seed": seed, "student": success(student), "teacher": success(teacher)}
    for method, how in METHODS.items():
        collect = {"groups": GROUPS, "group_size": GROUP_SIZE}
        stage = {"name": "learn", "method": method, "collect": collect, **how}
        stage |= {"budget": {"updates": UPDATES}, "stop": {"success_rate": goal}}
        if method == "on_policy_distillation":
            stage["models"] = {"teacher": {"run": str(teacher.path), "checkpoint": "last"}}
        run = peripatos.run(scenario(seed, [stage], begun), out=folder / method)
        shown = GROUPS if method == "self_distillation" else 0
        updates = len(run.metrics)
        reached = run.evaluations[-1]["success_rate"] >= goal or updates < UPDATES
        print(f"seed {seed}, {method}: {updates} updates", file=sys.stderr, flush=True)
        row[method] = {"samples": updates * (GROUPS * GROUP_SIZE + shown) if reached else None, "after": success(run)}
    return row


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="a list of rows instead of the table")
    asked = parser.parse_args()
    rows = []
    if not asked.json:
        print("| seed | student | teacher | " + " | ".join(METHODS) + " |\n|" + "---|" * (3 + len(METHODS)))
    for seed in range(asked.seeds):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(row := contest(seed, Path(folder)))
        if not asked.json:
            cells = [f"{row[m]['samples'] or 'never'} ({100 * row[m]['after']:.0f} %)" for m in METHODS]
            first = [str(seed), *(f"{100 * row[who]:.0f} %" for who in ("student", "teacher"))]
            print(f"| {' | '.join([*first, *cells])} |", flush=True)
    if asked.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
