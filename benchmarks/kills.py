"""Kills at random instants, and disks that are full at a random write; each run is then gone on with to its end.

    python benchmarks/kills.py --kills 100 --disks 50 [--seed 0]

Five small runs of both worlds. What has to be the same as in the run that nothing disturbed: the SHA-256 of weights,
optimiser and actor state in the last checkpoint, which checkpoint is the best, and the update numbers of both logs.
Runs are forked from a process that has imported everything, so that an instant of the run is hit and none of its
imports. A full disk is a small tmpfs in a mount namespace of this process's own (`unshare -Urm`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import peripatos.agents.control.control_actor
import peripatos.agents.language.language_policy
import peripatos.scenarios.assembly.checks
import peripatos.scenarios.run.runner  # noqa: F401 (so that the children have them)
from peripatos.scenarios.cli import main as command_line
from peripatos.scenarios.run.checkpoint import pointed_to
from peripatos.scenarios.run.logs import number_of

CONTROL = """\
name: {name}
world: {{id: {world}}}
agent: {{kind: mlp, hidden: [8]}}
stages:
  - {{name: learn, method: {method}, collect: {collect}, budget: {{updates: 8}}}}
evaluation: {{every: 3, episodes: 3}}
checkpoint: {{every: 2}}
"""
WORDS = """\
name: {name}
world: {world}
agent: {{kind: tiny_llama, hidden: 16, layers: 1, heads: 2}}
sampling: {{max_tokens: 4}}
stages:
  - {{name: imitate, method: sft, demonstrations: {{agent: {{kind: oracle}}}}, collect: {{groups: 8}},
      budget: {{updates: 4}}}}
  - {{name: reinforce, method: {method}, collect: {{groups: 2, group_size: 4}}, budget: {{updates: 4}}}}
evaluation: {{every: 2, episodes: 4}}
checkpoint: {{every: 2}}
"""
ARITHMETIC = '{id: peripatos/Arithmetic-v0, options: {operators: ["+"], digits: 1, prompt: bare, answer_tag: number}}'
TOOLS = '{id: peripatos/ToolMaths-v0, options: {operators: ["*"], digits: [2, 1]}}'
RUNS = {
    "control ppo": CONTROL.format(name="ppo", world="CartPole-v1", method="ppo", collect="{groups: 2, horizon: 32}"),
    "control grpo": CONTROL.format(
        name="grpo", world="CartPole-v1", method="grpo", collect="{groups: 2, group_size: 4}"
    ),
    "language sft, reinforce": WORDS.format(name="words", world=ARITHMETIC, method="reinforce"),
    "tools sft, grpo": WORDS.format(name="tools", world=TOOLS, method="grpo"),
    "walker ppo": CONTROL.format(
        name="walker", world="peripatos/Walker-v0", method="ppo", collect="{groups: 2, horizon: 32}"
    ),
}


def begin(folder: Path, *words: object) -> int:
    """The process, forked, of a command line; what it says is in `said` beside the run."""
    child = os.fork()
    if child:
        return child
    said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    sys.argv = ["peripatos", *map(str, words), "-q"]
    try:
        command_line()
    except SystemExit as end:
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)
    finally:
        os._exit(1)


def ended(child: int) -> int:
    """The exit code of a child; negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def go_on(run: Path) -> tuple[object, ...]:
    """What to type after a run was cut off."""
    if (run / "scenario.yaml").exists():
        return ("resume", run)
    return ("run", run.parent / "scenario.yaml", "--out", run)


def result(run: Path) -> tuple[str, int | None, tuple[int, ...], tuple[int, ...]]:
    """What has to be the same."""
    last, best = (pointed_to(run / "checkpoints", name) for name in ("last", "best"))
    digest = hashlib.sha256()
    for path in sorted(last.rglob("*.safetensors")) if last else ():
        digest.update(path.relative_to(last or run).as_posix().encode() + path.read_bytes())
    updates = [
        tuple(json.loads(line)["update"] for line in (run / name).read_text().splitlines())
        for name in ("metrics.jsonl", "evaluations.jsonl")
    ]
    return digest.hexdigest(), best and number_of(best), updates[0], updates[1]


def undisturbed(work: Path, text: str) -> tuple[object, float]:
    """The result of a run that is left alone, and the seconds that it took."""
    work.mkdir()
    (work / "scenario.yaml").write_text(text)
    begun = time.monotonic()
    if ended(begin(work, *go_on(work / "run"))) != 0:
        raise SystemExit((work / "said").read_text())
    return result(work / "run"), time.monotonic() - begun


def killed_run(work: Path, text: str, seconds: float, rng: random.Random) -> tuple[int, object]:
    """A run killed once to three times on its way: how often it was, and its result."""
    work.mkdir()
    (work / "scenario.yaml").write_text(text)
    kills = 0
    for _ in range(rng.randint(1, 3)):
        child = begin(work, *go_on(work / "run"))
        time.sleep(rng.random() * seconds)
        os.kill(child, signal.SIGKILL)
        kills += ended(child) == -signal.SIGKILL
    if ended(begin(work, *go_on(work / "run"))) != 0:
        return kills, (work / "said").read_text()
    return kills, result(work / "run")


def full_disk_run(work: Path, text: str, room: int, rng: random.Random) -> tuple[str, object]:
    """A run on a disk too small for it, then with room: what was said, and its result."""
    disk = work / "disk"
    disk.mkdir(parents=True)
    (work / "scenario.yaml").write_text(text)
    size = rng.randrange(1, max(2, room // 4096)) * 4096
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    subprocess.run(mount, check=True)
    try:
        scenario = work / "scenario.yaml"
        run = disk / "run"
        code = ended(begin(work, "run", scenario, "--out", run))
        said = (work / "said").read_text().strip()
        subprocess.run(["mount", "-o", "remount,size=256m", str(disk)], check=True)
        again = ("resume", run) if (run / "scenario.yaml").exists() else ("run", scenario, "--out", run)
        if ended(begin(work, *again)) != 0:
            return said, (work / "said").read_text()
        return ("it had room" if code == 0 else said), result(run)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def verdict(said: str) -> str:
    """Whether a full disk was said in one sentence."""
    if said == "it had room":
        return said
    good = len(said.splitlines()) == 1 and "the disk is full" in said and "Traceback" not in said
    return "one sentence" if good else "OTHER WORDS"


def main() -> None:
    """Print a table of kills and disks; exit 1 where anything differed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--disks", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.disks and os.environ.get("KILLS_UNSHARED") is None:
        os.environ["KILLS_UNSHARED"] = "1"
        os.execvp("unshare", ["unshare", "-Urm", sys.executable, *sys.argv])
    print(f"seed {given.seed}\n")
    print("| run | kills | runs | ended the same | disks | full, in one sentence | had room | ended the same |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    rng, wrong, work = random.Random(given.seed), 0, Path(tempfile.mkdtemp())
    whole = {name: undisturbed(work / name.replace(" ", "-"), text) for name, text in RUNS.items()}
    for index, (name, text) in enumerate(RUNS.items()):
        right, seconds = whole[name]
        kills, counts = 0, Counter[bool]()
        while kills < given.kills * (index + 1) // len(RUNS) - given.kills * index // len(RUNS):
            folder = work / f"{index}-{counts.total()}"
            more, found = killed_run(folder, text, seconds, rng)
            kills += more
            counts[found == right] += 1
            if found == right:
                shutil.rmtree(folder)
            else:
                print(f"{folder}: {found} instead of {right}", file=sys.stderr)
        words: Counter[str] = Counter()
        same = 0
        count = given.disks * (index + 1) // len(RUNS) - given.disks * index // len(RUNS)
        room = sum(path.stat().st_size + 4096 for path in (work / name.replace(" ", "-") / "run").rglob("*"))
        for number in range(count):
            said, found = full_disk_run(work / f"disk-{index}-{number}", text, room, rng)
            words[verdict(said)] += 1
            same += found == right
            if found != right or verdict(said) == "OTHER WORDS":
                print(f"{name}: {said}\n{found}", file=sys.stderr)
        wrong += counts[False] + count - same + words["OTHER WORDS"]
        shown = (kills, counts.total(), counts[True], count, words["one sentence"], words["it had room"], same)
        print(f"| {name} | " + " | ".join(map(str, shown)) + " |", flush=True)
    shutil.rmtree(work)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
