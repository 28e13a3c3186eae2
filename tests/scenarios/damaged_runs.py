"""Every file of two small runs, damaged in every way, under every command that reads runs: what comes of it.

    python tests/scenarios/damaged_runs.py FOLDER            the whole matrix, as a table
    python tests/scenarios/damaged_runs.py FOLDER sample     a sample of it: most of the cheap commands, few of the dear
    … FOLDER [control | language | sample] --json            one JSON object a line

A control and a language run are made once, killed on the way and after their last checkpoint; each case is a copy of
one of them in which one file is damaged, and one command line in a child of this process, which has the modules
imported already. What a command prints is compared with what it prints for the run that is whole.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

CONTROL = """\
name: control
world: {id: CartPole-v1}
agent: {kind: mlp, hidden: [8]}
stages:
  - name: learn
    method: ppo
    collect: {groups: 2, horizon: 32}
    overrides: {update: {epochs: 2, minibatches: 2}}
    budget: {updates: 8}
evaluation: {every: 2, episodes: 3}
checkpoint: {every: 2}
"""
LANGUAGE = """\
name: language
world: {id: peripatos/Arithmetic-v0, options: {operators: ["+"], digits: 1, prompt: bare, answer_tag: number}}
agent: {kind: tiny_llama, hidden: 16, layers: 1, heads: 2}
sampling: {max_tokens: 4}
stages:
  - name: imitate
    method: sft
    demonstrations: {agent: {kind: oracle}}
    collect: {groups: 8}
    budget: {updates: 2}
  - name: learn
    method: grpo
    overrides: {weighting: {kl: k2, beta: 0.1}}
    collect: {groups: 2, group_size: 4}
    budget: {updates: 6}
evaluation: {every: 2, episodes: 4}
checkpoint: {every: 2}
"""
KILLED_AT = 7  # rows, of 8; the newest checkpoint is that of update 6
WAYS = ("missing", "empty", "cut", "random", "flipped", "zeros", "types")
TYPES = ("[]", "null", "5", '"x"', '{"status": "done", "format": 2, "files": [], "stage": "x"}')
COMMANDS = {
    "control": ("resume", "evaluate", "record", "show", "python"),
    "language": ("resume", "evaluate", "show", "rescore", "python"),
}
SAMPLED = {  # cases of each command in a sample
    ("control", "python"): 20,
    ("language", "python"): 16,
    ("control", "show"): 6,
    ("control", "resume"): 12,
    ("control", "evaluate"): 4,
    ("control", "record"): 1,
    ("language", "resume"): 3,
    ("language", "evaluate"): 1,
    ("language", "show"): 2,
    ("language", "rescore"): 1,
}
PRELOADED = (
    "pygame",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "gymnasium.envs.classic_control.cartpole",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.llama.modeling_llama",
    "peripatos.agents.control.mlp",
    "peripatos.agents.language.language_policy",
    "peripatos.agents.language.tiny_llama",
    "peripatos.agents.language.conversation_actor",
    "peripatos.scenarios.cli",
    "peripatos.scenarios.rescore",
    "peripatos.scenarios.report.curves",
    "peripatos.scenarios.report.film",
    "peripatos.scenarios.report.tables",
    "peripatos.scenarios.report.terminal",
    "peripatos.scenarios.report.transcript",
    "peripatos.scenarios.run.runner",
    "peripatos.scenarios.run.verified",
)
SECONDS = 120  # after which a command hangs
KINDS = ("right, silent", "right, told", "told", "sentence", "traceback", "hang", "silent wrong")


@dataclass(frozen=True)
class Case:
    """One damage and one command."""

    run: str
    file: str
    way: str
    command: str
    seed: int = 0


@dataclass(frozen=True)
class Seen:
    """What a command did."""

    code: int  # 124: it did not end
    out: str
    err: str


def make_templates(folder: Path) -> None:
    """`folder/control`, `folder/language`: killed; `….whole`: those that were never stopped."""
    for name, text in (("control", CONTROL), ("language", LANGUAGE)):
        scenario = folder / f"{name}.yaml"
        scenario.write_text(text)
        for run, dies in ((folder / f"{name}.whole", None), (folder / name, KILLED_AT)):
            seen = in_child(lambda s=scenario, r=run, d=dies: _run(s, r, d), folder)
            assert (seen.code == -signal.SIGKILL) == (dies is not None), seen


def _run(scenario: Path, run: Path, dies: int | None) -> None:
    from peripatos.scenarios.run.journal import Journal

    row, count = Journal.row, iter(range(1, 1 << 30))

    def dying(self: Journal, values: dict) -> None:
        row(self, values)
        if next(count) == dies:
            os.kill(os.getpid(), signal.SIGKILL)

    Journal.row = dying
    _command("run", str(scenario), "--out", str(run), "-q")


def files_of(run: Path) -> list[str]:
    """Every file that is damaged: of checkpoints the newest, of kept episodes the newest of each kind."""
    newest = max(path.name for path in (run / "checkpoints").glob("[0-9]*"))
    found = []
    for path in sorted(path for path in run.rglob("*") if path.is_file()):
        name = path.relative_to(run).as_posix()
        parts = name.split("/")
        old = parts[0] == "checkpoints" and parts[1].isdigit() and parts[1] != newest
        if not old and path.suffix != ".png" and parts[0] != "videos":
            found.append(name)
    kept = sorted(name for name in found if name.startswith("episodes/0"))
    return [name for name in found if name not in kept] + kept[-3:]


def damage(path: Path, way: str, seed: int) -> None:
    """Damage one file."""
    rng, found = random.Random(f"{path.name} {way} {seed}"), path.read_bytes()
    if way == "missing":
        path.unlink()
        return
    half = len(found) // 2
    at = rng.randrange(max(1, len(found)))
    path.write_bytes(
        {
            "empty": b"",
            "cut": found[:half],
            "random": rng.randbytes(len(found)),
            "flipped": found[:at] + bytes([found[at] ^ 1 << rng.randrange(7)]) + found[at + 1 :] if found else b"x",
            "zeros": found[:half] + bytes(len(found) - half),
            "types": (TYPES[rng.randrange(len(TYPES))] + "\n").encode(),
        }[way]
    )


def all_cases(folder: Path, flips: int = 3) -> list[Case]:
    """The whole matrix."""
    cases = []
    for run, commands in COMMANDS.items():
        for file in files_of(folder / run):
            for way in WAYS:
                for command in commands:
                    for seed in range(flips if way in ("flipped", "types") else 1):
                        cases.append(Case(run, file, way, command, seed))
    return cases


def sample(cases: Sequence[Case], seed: int = 16) -> list[Case]:
    """Some of each command, by what it costs."""
    rng, chosen = random.Random(seed), []
    for (run, command), count in SAMPLED.items():
        own = [case for case in cases if (case.run, case.command) == (run, command)]
        chosen += rng.sample(own, min(count, len(own)))
    return chosen


def arguments(command: str, run: str) -> tuple[str, ...]:
    """The command line."""
    more = {"resume": (), "evaluate": ("--episodes", "3", "--json"), "record": (), "show": (), "rescore": ("--json",)}
    return (command, run, *more[command])


def do(run: Path, command: str, folder: Path) -> Seen:
    """Give one command for a run."""
    if command == "python":
        return in_child(lambda: _look(run), folder)
    return in_child(lambda: _command(*arguments(command, str(run))), folder)


def _command(*words: str) -> None:
    from peripatos.scenarios.cli import main

    sys.argv = ["peripatos", *words]
    main()


def _look(run: Path) -> None:
    """From Python, as the command line ends it."""
    import peripatos
    from peripatos.scenarios.cli import explain
    from peripatos.scenarios.run.noticed import print_notices

    print_notices()
    sys.argv = ["python"]
    try:
        seen = peripatos.load_run(run)
        print(seen.summary, seen.scenario, [*map(str, seen.metrics)], [*map(str, seen.evaluations)])
        print(seen.episodes())
    except Exception as problem:
        sys.exit(explain(problem))


def in_child(act: Callable[[], None], folder: Path) -> Seen:
    """What `act` does in a child of this process."""
    out, err = folder / "out.txt", folder / "err.txt"
    child = os.fork()
    if not child:
        code = 1
        try:
            with out.open("w") as stdout, err.open("w") as stderr:
                os.dup2(stdout.fileno(), 1)
                os.dup2(stderr.fileno(), 2)
            os.chdir(folder)
            sys.stdout, sys.stderr = (open(n, "w", closefd=False) for n in (1, 2))  # noqa: SIM115 (until the child ends)
            act()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    until = time.monotonic() + SECONDS
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            break
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            code = 124
            break
        time.sleep(0.005)
    return Seen(code, out.read_text(errors="replace"), err.read_text(errors="replace"))


def made(run: Path) -> str:
    """The digests of the last weights, as its manifest has them, and the update numbers of both logs."""
    newest = max((path.name for path in (run / "checkpoints").glob("[0-9]*")), default="")
    manifest = json.loads((run / "checkpoints" / newest / "manifest.json").read_text())
    weights = {name: file["sha256"] for name, file in manifest["files"].items() if name.endswith(".safetensors")}
    logs = []
    for name in ("metrics.jsonl", "evaluations.jsonl"):
        lines = (run / name).read_text(errors="replace").splitlines() if (run / name).exists() else []
        logs.append([_update_of(line) for line in lines])
    return json.dumps([weights, logs])


def _update_of(line: str) -> object:
    try:
        return json.loads(line)["update"]
    except (ValueError, TypeError, KeyError):
        return "?"


class Matrix:
    """Templates, and what each command says of them while they are whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "language.whole").exists():
            make_templates(folder)
        self._expected: dict[tuple[str, str], tuple[int, str]] = {}

    def expected(self, run: str, command: str) -> tuple[int, str]:
        """The exit code and what comes of a command where nothing is damaged."""
        if (run, command) not in self._expected:
            if command == "resume":
                self._expected[run, command] = 0, made(self.folder / f"{run}.whole")
            else:
                seen, _ = self._do(Case(run, "", "whole", command))
                self._expected[run, command] = seen.code, seen.out
        return self._expected[run, command]

    def _do(self, case: Case) -> tuple[Seen, Path]:
        at = self.folder / "case"
        shutil.rmtree(at, ignore_errors=True)
        at.mkdir()
        shutil.copytree(self.folder / case.run, at / "run")
        if case.file:
            damage(at / "run" / case.file, case.way, case.seed)
        return do(at / "run", case.command, at), at / "run"

    def judge(self, case: Case) -> tuple[str, str]:
        """Of which kind a case is, and what was said."""
        expected = self.expected(case.run, case.command)
        seen, run = self._do(case)
        said = seen.err.strip()
        told = "note: " in said or Path(case.file).name in said or "damaged" in said
        if seen.code == 124:
            return "hang", said
        if "Traceback" in said or seen.code not in (0, 1, 2):
            return "traceback", said
        right = (seen.code, made(run) if case.command == "resume" and not seen.code else seen.out) == expected
        if seen.code and not right:
            last = [line for line in said.splitlines() if line.startswith(("error: ", "the run failed: "))]
            return ("sentence" if last else "traceback"), said
        if right:
            return ("right, told" if told else "right, silent"), said
        return ("told" if told else "silent wrong"), said


def kind_of(file: str) -> str:
    """The row of the table in which a file is counted."""
    parts = file.split("/")
    if parts[0] == "checkpoints":
        if parts[1].startswith("reference"):
            return "checkpoints/reference-N/*"
        return "checkpoints/N/manifest.json" if parts[-1] == "manifest.json" else "checkpoints/N/ other files"
    return "episodes/NNNNNN-*.jsonl" if parts[0] == "episodes" and parts[1] != "manifest.jsonl" else file


def print_table(results: Sequence[tuple[Case, str]]) -> None:
    """The counts, as a Markdown table."""
    rows: dict[tuple[str, str], Counter[str]] = {}
    for case, kind in results:
        rows.setdefault((kind_of(case.file), case.command), Counter())[kind] += 1
        rows.setdefault(("~all", ""), Counter())[kind] += 1
    print(f"| file | command | {' | '.join(KINDS)} |\n|---|---|{'---:|' * len(KINDS)}")
    for (file, command), counts in sorted(rows.items()):
        name = "**all**" if file == "~all" else file
        print(f"| {name} | {command} | {' | '.join(str(counts[kind] or '') for kind in KINDS)} |")


def main() -> None:
    """The command line of the module."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    for name in PRELOADED:  # by this process, and so by no child
        importlib.import_module(name)
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    folder, as_json = Path(words[0]).resolve(), "--json" in sys.argv
    folder.mkdir(parents=True, exist_ok=True)
    matrix = Matrix(folder)
    cases = all_cases(folder)
    if words[1:] == ["sample"]:
        cases = sample(cases)
    elif words[1:]:
        cases = [case for case in cases if case.run == words[1]]
    only = os.environ.get("ONLY", "")
    results = []
    for case in cases:
        if only and only not in f"{case.run} {case.file} {case.way} {case.command}":
            continue
        kind, said = matrix.judge(case)
        results.append((case, kind))
        if as_json or kind in KINDS[4:]:
            print(json.dumps({**asdict(case), "kind": kind, "said": said[-1500:]}), flush=True)
    if not as_json:
        print_table(results)


if __name__ == "__main__":
    main()
