"""How many samples does a student need who is taught, and one who is only rewarded? `python benchmarks/distillation.py
[--seeds 0 1 2] [--json]` prints a table.

A tiny language world: a word of four letters is to be written in a secret alphabet. By seed, from nothing:

    copies    imitation of solutions that stand before the question, in an alphabet that is another for each word
    student   imitation in the secret alphabet, with half of the solutions before the question, until of held-out words
              that stand alone 30 % are right
    teacher   the same agent, imitating until it is nearly always right
    then, each from the student: distillation from the teacher, from itself (having been shown), and GRPO

Counted are the student's own episodes until, on 200 held-out words, it is right as often as 95 % of the teacher. What a
demonstration costs (one expert's episode for each word) is counted for self-distillation as well.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import peripatos
from peripatos.envs.conversation import ConversationEnv, Outcome
from peripatos.envs.vocabulary import Reply

LETTERS, ALPHABET, LENGTH = "abcdefghij", "dgajbicfhe", 4
SHARE, MOST, LOOK = 0.95, 5120, 64  # of the teacher; samples, and after how many a method is looked at


class How(NamedTuple):
    """The setting of a method, of those that docs/teachers.md lists: the best on two other seeds (10, 11), and of GRPO
    the best on these as well."""

    method: str
    lr: float
    groups: int
    group_size: int
    lora: bool = False  # then the agent that teaches itself is no second model in memory

    @property
    def teaches_itself(self) -> bool:
        """Whether an expert plays an episode of each group first."""
        return self.method in ("self_distillation", "opsd")


METHODS = {
    "on_policy_distillation": How("on_policy_distillation", 2e-3, 32, 1),
    "gkd": How("gkd", 2e-3, 16, 1),
    "self_distillation": How("self_distillation", 2e-3, 32, 1),
    "opsd": How("opsd", 2e-3, 16, 1),
    "opsd, LoRA": How("opsd", 1e-2, 16, 1, lora=True),
    "grpo": How("grpo", 1e-3, 16, 8),
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
    seed: int,
    stages: list[dict[str, Any]],
    agent: dict[str, Any],
    *,
    shows: float = 0.0,
    secret: bool = True,
    every: int = 2,
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
        "evaluation": {"every": every, "episodes": 200},
        "log": {"episodes": 0},
    }


def imitate(until: float, lr: float = 2e-3, updates: int = 400) -> dict[str, Any]:
    """A stage of imitation of the world's oracle."""
    return {
        "name": "imitate",
        "method": "sft",
        "demonstrations": {"agent": {"kind": "oracle"}},
        "collect": {"groups": 64},
        "optimizer": {"lr": lr, "warmup": 10},
        "budget": {"updates": updates},
        "stop": {"success_rate": until},
    }


def success(run: peripatos.Run) -> float:
    """On the test words, at the end of a run."""
    return [row["success_rate"] for row in run.evaluations if row["set"] == "test"][-1]


def start(seed: int, folder: Path) -> tuple[peripatos.Run, peripatos.Run]:
    """The student and its teacher."""
    tiny = {"kind": "tiny_llama", "hidden": 64, "layers": 2}
    copying = scenario(seed, [imitate(1.0, 4e-3, 120)], tiny, shows=1.0, secret=False, every=120)
    copies = peripatos.run(copying, out=folder / "copies")
    student = peripatos.run(scenario(seed, [imitate(0.3, 1e-3)], _after(copies), shows=0.5), out=folder / "student")
    return student, peripatos.run(scenario(seed, [imitate(0.99)], _after(student)), out=folder / "teacher")


def _after(run: peripatos.Run) -> dict[str, str]:
    """The agent as it was at the end of a run."""
    return {"from": str(run.path), "checkpoint": "last"}


def _beside(run: peripatos.Run) -> dict[str, Any]:
    """The same agent, which stands still, and small matrices beside its layers."""
    folder = max((run.path / "checkpoints").glob("[0-9]*")) / "policy"
    return {"kind": "causal_lm", "model": str(folder), "lora": {"rank": 16, "alpha": 32}}


def learn(how: How, seed: int, student: peripatos.Run, teacher: peripatos.Run, out: Path) -> dict[str, Any]:
    """What one method needed from the student on, None where it did not come so far; and its curve."""
    goal, each = SHARE * success(teacher), how.groups * (how.group_size + how.teaches_itself)
    stage: dict[str, Any] = {
        "name": "learn",
        "method": how.method,
        "collect": {"groups": how.groups, "group_size": how.group_size},
        "optimizer": {"lr": how.lr},
        "budget": {"updates": MOST // each},
        "stop": {"success_rate": goal},
    }
    if how.method in ("on_policy_distillation", "gkd"):
        stage["models"] = {"teacher": {"run": str(teacher.path), "checkpoint": "last"}}
    agent = _beside(student) if how.lora else _after(student)
    run = peripatos.run(scenario(seed, [stage], agent, every=max(1, LOOK // each)), out=out)
    curve = [(row["update"] * each, row["success_rate"]) for row in run.evaluations if row["set"] == "validation"]
    samples = next((samples for samples, rate in curve if rate >= goal), None)
    print(f"seed {seed}, {how}: {samples or 'never'}", file=sys.stderr, flush=True)
    return {"samples": samples, "after": success(run), "curve": curve}


def contest(seed: int, folder: Path) -> dict[str, Any]:
    """One seed: the start, the teacher, and what each method needed."""
    student, teacher = start(seed, folder)
    row: dict[str, Any] = {"seed": seed, "student": success(student), "teacher": success(teacher)}
    return row | {name: learn(how, seed, student, teacher, folder / name) for name, how in METHODS.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", action="store_true", help="a list of rows, with curves, instead of the table")
    asked = parser.parse_args()
    rows = []
    if not asked.json:
        print("| seed | student | teacher | " + " | ".join(METHODS) + " |\n|" + "---|" * (3 + len(METHODS)))
    for seed in asked.seeds:
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
