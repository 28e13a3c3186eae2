"""Runs what `plan` says, each run in a process of its own (`one_run`), which calls `peripatos.run`: whatever ends one
of them is one failed cell of the table.

Cold starts come first, by seed, and a method waits for its own, and for the runs that it reads. Runs that are done are
not done again; runs that were stopped go on; runs that failed are shown as failed. A run that another process still
writes is waited for: a comparison that was killed leaves its runs to end their updates.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...envs.cores import usable_cores
from ...envs.errors import UserError
from ..commands.app import BY_DEFAULT, command_line
from ..config.loading import dump_scenario, find_scenario
from ..run.disk import make_folder, write_text
from ..run.lock import describe, is_written, writing
from ..run.no_run import is_run
from ..run.signals import tell
from .comparison_file import SEEDS, find_comparison
from .contenders import COLD, named
from .plan import ComparisonJob, plan
from .processes import Processes

LOOKS = 0.1  # seconds after which is looked again whether a run is still written


@dataclass(frozen=True)
class JobResult:
    """What became of a job: a summary, or why there is none."""

    job: ComparisonJob
    summary: dict[str, Any]
    failure: str | None = None
    told: frozenset[str] = frozenset()  # the scenario's worlds that have told of success in some run, see `alike`


@dataclass(frozen=True)
class Compared:
    """What became of all jobs, and the method that the others are compared against, if there is one."""

    results: list[JobResult]
    against: str | None = None


def compare(
    names: Sequence[str],
    methods: Sequence[str] | None,
    seeds: int | None,
    out: Path,
    *,
    sets: Sequence[str] = (),
    limit: int | None = None,
    quiet: bool = False,
) -> Compared:
    """Run everything that is not done yet under `out`: of scenarios, or of a comparison's file, whose methods and seeds
    give way to those that are given. UserError, before anything runs, for what cannot run."""
    refuse_a_run(out)
    file = find_comparison(names)
    if file is None and methods is None:
        for name in names:
            find_scenario(name)
        raise UserError("Missing option --methods of peripatos compare: which, as in --methods ppo,grpo")
    against = None if file is None else file.against
    if file is None:
        jobs = plan(names, methods or (), seeds or SEEDS, out, sets)
    else:
        wanted = file.methods if methods is None else named(methods, file.methods)
        if against is not None and against not in wanted:
            raise UserError(f"the comparison is against {against!r}, which --methods leaves out: add it")
        jobs = plan(list(file.scenarios), wanted, seeds or file.seeds, out, sets, file.sets())
    return Compared(run_jobs(jobs, out, limit, quiet=quiet), against)


def refuse_a_run(out: Path) -> None:
    """UserError where the folder of many runs is that of one."""
    if is_run(out):
        raise UserError(f"{out} is a run directory, and a comparison has a folder of its own; use another --out")


def run_jobs(jobs: Sequence[ComparisonJob], out: Path, limit: int | None, *, quiet: bool) -> list[JobResult]:
    """The results of `jobs`, in their order; so many at once as `limit` says, or one for each core. Nobody else writes
    in `out` meanwhile."""
    make_folder(out)
    with writing(out, command_line()):
        return _run_all(jobs, limit or usable_cores(), quiet=quiet)


def _run_all(jobs: Sequence[ComparisonJob], limit: int, *, quiet: bool) -> list[JobResult]:
    """The results of `jobs`, in their order; cold starts are run before."""
    cold = {job.cold.path: job.cold for job in jobs if job.cold is not None}
    order = sorted([*cold.values(), *jobs], key=lambda job: (job.path not in cold, job.scenario.seed, job.depth))
    cores = usable_cores()
    workers = min(limit, cores, len(order))
    done, processes = 0, Processes()
    say = (lambda text: None) if quiet else tell
    futures: dict[Path, Future[JobResult]] = {}

    def finish(job: ComparisonJob) -> JobResult:
        nonlocal done
        needs = [futures[one.path].result() for one in (job.cold, *job.reads) if one is not None]
        if broken := [one for one in needs if one.failure is not None]:
            whose = "its cold start" if broken[0].job.method == COLD else f"{broken[0].job.method}, which it reads,"
            outcome = JobResult(job, {}, f"{whose} failed: {broken[0].failure}")
        else:
            _wait_for_another(job, processes, say)
            outcome = _run(job, processes, threads=max(1, cores // workers))
        done += 1
        if not processes.stopped:
            state = "FAILED" if outcome.failure else "done"
            say(f"{done}/{len(order)}  {job}: {state}")
        return outcome

    with ThreadPoolExecutor(workers) as pool:
        for job in order:
            futures[job.path] = pool.submit(finish, job)
        try:
            return [futures[job.path].result() for job in jobs]
        except BaseException:  # Ctrl-C, or an error of one job: the others save themselves, and none begins
            pool.shutdown(wait=False, cancel_futures=True)
            processes.stop()
            raise


def _wait_for_another(job: ComparisonJob, processes: Processes, say: Callable[[str], None]) -> None:
    """Return once nobody else writes the job's run, or this comparison is stopped; who does is said once."""
    if not is_written(job.path):
        return
    say(f"{job}: waiting for {describe(job.path)}, which still writes {job.path}")
    while is_written(job.path) and not processes.stopped:
        time.sleep(LOOKS)


def _run(job: ComparisonJob, processes: Processes, *, threads: int) -> JobResult:
    """The job's run, in a process of its own; its words go to a log beside it."""
    if processes.stopped:  # while another was waited for, whose folder it still is
        return JobResult(job, {}, "the comparison was stopped")
    summary = job.summary()
    if summary.get("status") == "done":
        return JobResult(job, summary)
    scenario, log = job.path.with_suffix(".yaml"), job.path.with_suffix(".log")
    if not (job.path / "scenario.yaml").exists():
        shutil.rmtree(job.path, ignore_errors=True)  # a run that was killed before it wrote its scenario
        make_folder(job.path.parent)
        write_text(scenario, dump_scenario(job.scenario))
    command = [sys.executable, "-m", "peripatos.scenarios.compare.one_run", str(scenario), str(job.path)]
    environment = {**BY_DEFAULT, **os.environ, "OMP_NUM_THREADS": str(threads)}
    log.unlink(missing_ok=True)  # what was waited for may still say its last line, into its own
    with log.open("w", encoding="utf-8") as file:
        code = processes.run(command, file, environment)
    summary = job.summary()
    if code == 0 and summary.get("status") == "done":
        return JobResult(job, summary)
    words = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return JobResult(job, summary, f"exit code {code}: {words[-1] if words else 'it said nothing'} ({log})")
