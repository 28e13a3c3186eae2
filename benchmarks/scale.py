"""Whether what is large stays quick: `python benchmarks/scale.py [NAME …]`.

Worlds of 10,000 tasks, prompts of 200 kB, 1,000 tools, 2,000 conversations at once, 20,000 kept episodes; each with the
commands that people type. Printed are the seconds of a core that each command takes (whatever else the machine does),
imports included, and its most memory. `small` is the same with nothing large in it, to compare with.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

MiB = 1024  # KiB
COLUMNS = ("check", "dry run", "run", "show", "resume", "evaluate")
WORLDS = '''\
import json
from pathlib import Path

from peripatos.envs.conversation import TaskWorld
from peripatos.envs.tools import ToolWorld

HERE = Path(__file__).parent
WORDS = "the quick brown fox jumps over a lazy dog and "


def shortest(reply, task):
    return 1.0 / (1 + len(reply.text))


def tasks(count, length=40, long=0):
    """`count` of `length` letters, the last `long` of which have 200,000."""
    lengths = [length] * (count - long) + [200_000] * long
    return [
        {"prompt": f"task {n}: ".ljust(size, "x")[:60] + (size // len(WORDS) * WORDS if size > 60 else ""),
         "id": f"task {n}", "split": ("train", "train", "validation", "test")[n % 4]}
        for n, size in enumerate(lengths)
    ]


class Small(TaskWorld):
    def __init__(self):
        super().__init__(tasks(100), shortest)


class FromFile(TaskWorld):
    def __init__(self):
        super().__init__(str(HERE / "tasks.jsonl"), shortest)


class FromList(TaskWorld):
    def __init__(self):
        super().__init__(tasks(10_000), shortest)


class LongPrompts(TaskWorld):
    def __init__(self):
        super().__init__(tasks(400, long=100), shortest)


def tool(number):
    def call(self, first: int, second: str = "none") -> str:
        return f"{number}: {first}, {second}"

    call.__doc__ = f"""Look up what is kept under number {number}.

    Args:
        first: which of them.
        second: in which order.
    """
    call.__name__ = call.__qualname__ = f"tool_{number}"
    return call


Host = type("Host", (), {"__init__": lambda self, task: None, **{f"tool_{n}": tool(n) for n in range(1000)}})


class ManyTools(ToolWorld):
    def __init__(self):
        super().__init__(tasks(100), Host, lambda host, task, reply: shortest(reply, task))


def write_file():
    with (HERE / "tasks.jsonl").open("w") as file:
        file.writelines(json.dumps(task) + "\\n" for task in tasks(10_000))
'''
SCENARIO = """\
name: scale
world: {{id: "scale_worlds:{world}"}}
agent: {{kind: tiny_llama, hidden: 32, layers: 1, heads: 2}}
sampling: {{max_tokens: 8}}
stages:
  - name: learn
    method: grpo
    collect: {{groups: {groups}, group_size: 4}}
    budget: {{updates: {updates}}}
evaluation: {{every: {every}, episodes: {episodes}}}
log: {{episodes: {kept}}}
"""
USUAL = {"groups": 16, "updates": 1, "every": 1, "episodes": 64, "kept": 64}
CASES = {  # what it is called, its world, and what is other than usual
    "small": ("100 tasks", "Small", {}),
    "file": ("10,000 tasks from a JSONL file", "FromFile", {}),
    "list": ("10,000 tasks from a list", "FromList", {}),
    "prompts": ("one prompt in four of 200 kB", "LongPrompts", {}),
    "tools": ("1,000 tools", "ManyTools", {}),
    "conversations": ("2,000 conversations at once", "Small", {"groups": 500, "kept": 16}),
    "files": (
        "20,000 kept episodes in 200 files",
        "Small",
        {"groups": 25, "updates": 100, "episodes": 100, "kept": 100},
    ),
    "episodes": ("20,000 kept episodes in four files", "Small", {"episodes": 5_000, "kept": 5_000}),
}


def measured(folder: Path, *arguments: str) -> str:
    """`seconds (MiB)` of a command line and its children; its exit code too, where it is none of success."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder), "CI": "1"}
    with (folder / "said.log").open("ab") as said:
        command = [sys.executable, "-m", "peripatos", *arguments]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = used.ru_utime + used.ru_stime
    failed = f" exit {process.returncode}" if process.returncode else ""
    return f"{seconds:.1f} ({used.ru_maxrss / MiB:,.0f}){failed}"


def row(folder: Path, name: str) -> list[str]:
    """A case's line of the table."""
    what, world, other = CASES[name]
    settings = {**USUAL, **other}
    scenario, run = f"{name}.yaml", f"runs/{name}"
    (folder / scenario).write_text(SCENARIO.format(world=world, **settings))
    more = f"stages.learn.budget.updates={settings['updates'] + 1}"
    commands = {
        "check": ("check", f"scale_worlds:{world}"),
        "dry run": ("run", scenario, "--dry-run"),
        "run": ("run", scenario, "--out", run, "-q"),
        "show": ("show", run, "--episode", "1"),
        "resume": ("resume", run, "--set", more, "-q"),
        "evaluate": ("evaluate", run, "--episodes", "64"),
    }
    return [what, *(measured(folder, *commands[column]) for column in COLUMNS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="NAME", help=", ".join(CASES), choices=[*CASES, []], default=[])
    parser.add_argument("--keep", type=Path, help="an empty folder in which everything is left")
    asked = parser.parse_args()
    print(f"| seconds (MiB) | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        (folder / "scale_worlds.py").write_text(WORLDS)
        subprocess.run([sys.executable, "-c", "import scale_worlds; scale_worlds.write_file()"], cwd=folder, check=True)
        for name in asked.cases or CASES:
            print(f"| {' | '.join(row(folder, name))} |", flush=True)


if __name__ == "__main__":
    main()
