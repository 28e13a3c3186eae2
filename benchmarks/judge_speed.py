"""How fast is the judge? Four ways to run the same small programs, side by side, in alternating blocks.

    python benchmarks/judge_speed.py [--rounds 12] [--block 40] [--clients 2]

Ways: the judge; the judge's own fork server without any isolation (what isolation adds); a fresh unisolated
`python -I -S` per program; a fresh `python -I -S` in a fresh bubblewrap per program; and an executor in the style
that public code benchmarks use: a manager and a forked child that executes program and tests together, unisolated.

Every way gets the same programs with five function tests each, and a wrong program now and then, which it must
tell apart. Each round runs one block per way, in an order that rotates; rates are medians over rounds, and ratios
are medians of the ratios within rounds, so that other load on the machine hits both sides of a ratio alike.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import statistics
import subprocess
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

from peripatos.envs.sandbox import Judge
from peripatos.envs.sandbox.bubblewrap import choose
from peripatos.envs.sandbox.launch import UNSAFE_VARIABLE, Program, interpreter, privileges

CODE = """
def solve(xs):
    total = 0
    for x in xs:
        if x % 2 == 0:
            total += x * x
    return total{flaw}
"""
TESTS = [(([i, i + 1, i + 2, 7],), sum(x * x for x in (i, i + 1, i + 2, 7) if x % 2 == 0)) for i in range(5)]

Way = Callable[[str], bool]  # a program → whether it passed


def harness(code: str) -> str:
    """A script that prints the results of the five calls."""
    inputs = [list(arguments) for arguments, _ in TESTS]
    return f"{code}\nprint([solve(*a) for a in {inputs!r}])\n"


def fresh(program: Program | None = None) -> Way:
    """One new interpreter for each program, in a fresh sandbox if there is one, with its answers compared here."""
    links = [part for name in ("lib", "lib64") for part in ("--symlink", f"usr/{name}", f"/{name}")]
    binds = ["--ro-bind", "/usr", "/usr", *links, "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    python = [interpreter().path, "-I", "-S", "-"]

    def run(code: str) -> bool:
        with program.handed() if program else nullcontext(("", (), {})) as (executable, descriptors, environment):
            command = [executable, "--unshare-all", "--die-with-parent", *binds, *python] if program else python
            done = subprocess.run(
                command,
                input=harness(code).encode(),
                capture_output=True,
                timeout=20,
                env={**os.environ, **environment},
                pass_fds=descriptors,
                **privileges(),
            )
        return done.returncode == 0 and json.loads(done.stdout) == [expected for _, expected in TESTS]

    return run


def _execute(code: str, timeout_s: float, verdict: list[str]) -> None:
    """In the forked child: program and tests in one namespace, and the child says whether it passed."""
    checks = "\n".join(f"assert solve(*{list(arguments)!r}) == {expected!r}" for arguments, expected in TESTS)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            exec(f"{code}\n{checks}\n", {})
            verdict.append("passed")
        except BaseException as error:
            verdict.append(f"failed: {error}")


def managed_fork(code: str) -> bool:
    """A manager process, a forked child, and the child's own word for the result."""
    context = multiprocessing.get_context("fork")
    with context.Manager() as manager:
        verdict = manager.list()
        child = context.Process(target=_execute, args=(code, 3.0, verdict))
        child.start()
        child.join(timeout=4.0)
        if child.is_alive():
            child.kill()
        return list(verdict) == ["passed"]


def judged(judge: Judge) -> Way:
    """The judge, isolated or not."""
    return lambda code: judge.function(code, entry="solve", tests=TESTS).status == "passed"


def block(way: Way, count: int, clients: int) -> tuple[float, float]:
    """Programs per second with several clients, and the median milliseconds of one client alone."""
    programs = [(CODE.format(flaw=" + 1" if i % 10 == 9 else "") + f"# {i}\n", i % 10 != 9) for i in range(count)]

    def check(program: tuple[str, bool]) -> None:
        assert way(program[0]) is program[1], "a way judged wrongly"

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(check, programs))
    rate = count / (time.perf_counter() - began)
    times = []
    for program in programs[: max(10, count // 2)]:
        began = time.perf_counter()
        check(program)
        times.append(time.perf_counter() - began)
    return rate, statistics.median(times) * 1e3


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="How fast is the judge?")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--block", type=int, default=40)
    parser.add_argument("--clients", type=int, default=2)
    options = parser.parse_args()
    os.environ[UNSAFE_VARIABLE] = "1"
    warnings.simplefilter("ignore")
    with Judge(workers=options.clients) as judge, Judge(workers=options.clients, unsafe_no_isolation=True) as bare:
        ways: dict[str, Way] = {
            "peripatos judge": judged(judge),
            "its fork server, not isolated": judged(bare),
            "python -I -S, not isolated": fresh(),
            "bwrap + python -I -S": fresh(choose().program),
            "manager + fork, not isolated": managed_fork,
        }
        results: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for i in range(options.rounds):
            names = list(ways)
            for name in names[i % len(names) :] + names[: i % len(names)]:
                results[name].append(block(ways[name], options.block, options.clients))
    report(results)


def report(results: dict[str, list[tuple[float, float]]]) -> None:
    """The table, as Markdown."""
    ours = results["peripatos judge"]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {len(ours)} rounds; medians")
    print("\n| way | programs/s | judge is | one program, ms | judge adds, ms |\n|---|---:|---:|---:|---:|")
    for name, rows in results.items():
        rate, latency = (statistics.median(row[k] for row in rows) for k in (0, 1))
        ratio = statistics.median(a[0] / b[0] for a, b in zip(ours, rows, strict=True))
        extra = statistics.median(a[1] - b[1] for a, b in zip(ours, rows, strict=True))
        print(f"| {name} | {rate:.0f} | {ratio:.2f}× | {latency:.2f} | {extra:+.2f} |")


if __name__ == "__main__":
    main()
