"""Methods × scenarios × seeds with equal budgets, each a run of its own in a process of its own (`one_run`), which
calls `peripatos.run`: whatever ends one of them is one failed cell of the table.

A method takes the place of the scenario's last method that learns from its own actions. It keeps the stage's
optimiser, collection and budget, starts from its row of the table without the scenario's overrides, and then gets
what the scenario's `variants` say about it. Runs that are done are not done again; runs that were stopped go on;
runs that failed are shown as failed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ...algorithms.methods import METHODS
from ...envs.cores import usable_cores
from ...envs.errors import UserError, unknown
from ..assembly.checks import check_parts
from ..assembly.worlds import WorldSources
from ..commands.app import BY_DEFAULT, command_line
from ..config.loading import check_scenario, dump_scenario, open_scenario, put, shipped
from ..config.schema import Scenario
from ..config.yaml_text import Source
from ..run.disk import make_folder, write_text
from ..run.lock import writing
from ..run.no_run import is_run
from ..run.reward_versions import one_version, scored_by
from ..run.run_directory import RunDirectory
from ..run.verified import trusted_scenario

PATIENCE = 120.0  # seconds in which a run that was stopped ends its update and saves itself


@dataclass(frozen=True)
class ComparisonJob:
    """One run of the comparison."""

    scenario: Scenario  # with the method put in and the seed set
    task: str  # the scenario's name
    method: str
    path: Path


@dataclass(frozen=True)
class JobResult:
    """What became of a job: a summary, or why there is none."""

    job: ComparisonJob
    summary: dict[str, Any]
    failure: str | None = None


def compare(
    scenarios: Sequence[str],
    methods: Sequence[str],
    seeds: int,
    out: Path,
    *,
    sets: Sequence[str] = (),
    limit: int | None = None,
    quiet: bool = False,
) -> list[JobResult]:
    """Run everything that is not done yet under `out`. UserError, before anything runs, for what cannot run."""
    if is_run(out):
        raise UserError(f"{out} is a run directory, and a comparison has a folder of its own; use another --out")
    jobs = plan(scenarios, methods, seeds, out, sets)
    make_folder(out)
    with writing(out, command_line()):
        return _run_all(jobs, limit or usable_cores(), quiet=quiet)


def _run_all(jobs: Sequence[ComparisonJob], limit: int, *, quiet: bool) -> list[JobResult]:
    cores = usable_cores()
    workers = min(limit, cores, len(jobs))
    done = 0
    processes = _Processes()

    def finish(job: ComparisonJob) -> JobResult:
        nonlocal done
        outcome = _run(job, processes, threads=max(1, cores // workers))
        done += 1
        if not quiet and not processes.stopped:
            state = "FAILED" if outcome.failure else "done"
            name = f"{job.task} {job.method} seed {job.scenario.seed}"
            print(f"{done}/{len(jobs)}  {name}: {state}", file=sys.stderr, flush=True)
        return outcome

    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(finish, job) for job in jobs]
        try:
            return [future.result() for future in futures]
        except BaseException:  # Ctrl-C, or an error of one job: the others save themselves, and none begins
            pool.shutdown(wait=False, cancel_futures=True)
            processes.stop()
            raise


class _Processes:
    """The runs that are going on, so that Ctrl-C can ask each of them to save itself."""

    def __init__(self) -> None:
        self._lock, self.stopped = threading.Lock(), False
        self._running: list[subprocess.Popen[bytes]] = []

    def run(self, command: Sequence[str], log: IO[str], environment: Mapping[str, str]) -> int:
        """The exit code of a process, away from the terminal's own Ctrl-C: it is told once, by `stop`. Its standard
        input ends when this process does, however that may be, and then it ends too.
        """
        with self._lock:
            if self.stopped:
                return -signal.SIGINT
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
            self._running.append(process)
        try:
            return process.wait()
        finally:
            assert process.stdin is not None
            process.stdin.close()

    def stop(self) -> None:
        """Let none begin, ask every process to save itself and end, and kill those that have not in time; at once,
        when Ctrl-C comes again.
        """
        with self._lock:
            self.stopped = True
        self._signal(signal.SIGINT)
        until = time.monotonic() + PATIENCE
        try:
            while time.monotonic() < until and any(process.poll() is None for process in self._running):
                time.sleep(0.05)
        finally:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._running:
            if process.poll() is None:
                process.send_signal(number)


def _refuse_idle(methods: Sequence[str], sets: Sequence[str]) -> None:
    """UserError for flags that a comparison overrides."""
    for text in sets:
        key = text.partition("=")[0].strip()
        if key == "seed":
            raise UserError(f"--set {text} has no effect: a comparison runs the seeds 0, 1, … (--seeds says how many)")
        if key.startswith("stages.") and key.endswith(".method"):
            raise UserError(f"--set {text}: the methods of a comparison are those of --methods {','.join(methods)}")


def plan(
    scenarios: Sequence[str], methods: Sequence[str], seeds: int, out: Path, sets: Sequence[str] = ()
) -> list[ComparisonJob]:
    """Every job, checked."""
    if not methods:
        raise UserError("--methods names no method")
    for name in methods:
        if name not in METHODS:
            raise UserError(unknown("method", name, METHODS))
    if stray := [name for name in scenarios if name in METHODS and name not in shipped()]:
        together = ",".join([*methods, *stray])
        raise UserError(f"{stray[0]!r} is a method and no scenario; methods are joined by commas: --methods {together}")
    _refuse_idle(methods, sets)
    jobs: list[ComparisonJob] = []
    for scenario_name in dict.fromkeys(scenarios):
        scenario, source = open_scenario(scenario_name, sets)
        check_parts(scenario, source).close()
        if any(job.task == scenario.name for job in jobs):
            raise UserError(f"two of the scenarios are called {scenario.name!r}; each needs a name of its own")
        for name in dict.fromkeys(methods):
            changed = with_method(scenario, name)
            for seed in range(seeds):
                path = out / scenario.name / name / f"seed-{seed}"
                jobs.append(ComparisonJob(changed.model_copy(update={"seed": seed}), scenario.name, name, path))
    for job in jobs:
        existing = job.path / "scenario.yaml"
        if existing.exists() and trusted_scenario(RunDirectory.open(job.path)) != job.scenario:
            raise UserError(f"{job.path} holds a run with other settings; choose another --out")
        if existing.exists() and "scored_by" in _summary(job):
            with WorldSources.of(job.scenario) as sources:
                one_version([(str(job.path), _summary(job)["scored_by"]), ("what is run now", scored_by(sources))])
    return jobs


def with_method(scenario: Scenario, name: str) -> Scenario:
    """`scenario` with another method in its last stage that learns from its own actions."""
    own = [stage for stage in scenario.stages if stage.method and METHODS[stage.method].source == "own"]
    if not own:
        raise UserError(f"{scenario.name} has no stage that learns from its own actions, so no method to replace")
    stage = own[-1]
    if stage.method == name:
        return scenario
    data: dict[str, Any] = scenario.model_dump(mode="json", exclude_none=True)
    data = put(put(data, f"stages.{stage.name}.method", name), f"stages.{stage.name}.overrides", {})
    for key, value in scenario.variants.get(name, {}).items():
        data = put(data, key, value)
    try:
        changed = check_scenario(data, Source(f"{scenario.name} with {name}"))
        check_parts(changed).close()
    except UserError as problem:
        example = {
            "own": "collect: {groups: 8, group_size: 8}",
            "demonstrations": "demonstrations: {agent: {kind: oracle}}",
            "pairs": "demonstrations: {pairs: FILE}",
        }[METHODS[name].source]
        raise UserError(
            f"{scenario.name} cannot be run with {name}: {problem}\nSay what it needs under `variants: {name}:` "
            f"of the scenario, e.g. `stages.{stage.name}.{example}`"
        ) from problem
    return changed


def _run(job: ComparisonJob, processes: _Processes, *, threads: int) -> JobResult:
    """The job's run, in a process of its own; its words go to a log beside it."""
    summary = _summary(job)
    if summary.get("status") == "done":
        return JobResult(job, summary)
    scenario, log = job.path.with_suffix(".yaml"), job.path.with_suffix(".log")
    if not (job.path / "scenario.yaml").exists():
        shutil.rmtree(job.path, ignore_errors=True)  # a run that was killed before it wrote its scenario
        make_folder(job.path.parent)
        write_text(scenario, dump_scenario(job.scenario))
    command = [sys.executable, "-m", "peripatos.scenarios.compare.one_run", str(scenario), str(job.path)]
    environment = {**BY_DEFAULT, **os.environ, "OMP_NUM_THREADS": str(threads)}
    with log.open("w", encoding="utf-8") as file:
        code = processes.run(command, file, environment)
    summary = _summary(job)
    if code == 0 and summary.get("status") == "done":
        return JobResult(job, summary)
    words = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return JobResult(job, summary, f"exit code {code}: {words[-1] if words else 'it said nothing'} ({log})")


def _summary(job: ComparisonJob) -> dict[str, Any]:
    return RunDirectory(job.path).summary()
