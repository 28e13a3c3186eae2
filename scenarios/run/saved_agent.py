"""Takes an agent out of a run directory, to measure it or to watch it."""

from __future__ import annotations

from pathlib import Path

from ...agents.protocols import Policy
from ...envs.errors import UserError
from ...envs.seeding import derive_seed
from .. import build
from ..assembly.settings import choose_device
from ..config.schema import Origin, Scenario, Stage
from .checkpoint import BadCheckpoint, checkpoints, pointed_to, verify
from .episode_statistics import Numbers, summarize
from .run_directory import RunDirectory


def open_agent(path: Path, checkpoint: str, device: str | None = None) -> tuple[RunDirectory, Scenario, Policy | None]:
    """The run at `path`, its scenario, and its policy as it stood at `checkpoint` (best, last or a number).

    UserError if there is no such run or checkpoint; BadCheckpoint if the checkpoint is damaged.
    """
    run = RunDirectory.open(path)
    scenario = run.scenario()
    policy = build.make_policy(scenario, choose_device(device or scenario.device, scenario.agent))
    if policy is not None:
        policy.load(find_checkpoint(run, checkpoint) / "policy")
    return run, scenario, policy


def begin_from(policy: Policy, origin: Origin) -> Path:
    """Make `policy` what another run's agent was, statistics and all, and give the checkpoint that it was read from. A
    critic is taken over where both have one. UserError if that run is not there or its agent does not fit.
    """
    run = RunDirectory.open(Path(origin.run))
    folder = find_checkpoint(run, origin.checkpoint) / "policy"
    try:
        policy.load(folder)
    except (ValueError, OSError):
        try:
            policy.load(folder, critic_too=False)
        except ValueError as problem:
            raise UserError(f"agent.from {origin.run}: {problem}") from problem
    return folder


def find_checkpoint(run: RunDirectory, name: str) -> Path:
    """The folder of a checkpoint, verified."""
    there = [path.name for path in checkpoints(run.checkpoints)]
    if not there:
        raise UserError(f"{run.path} has no checkpoint yet")
    folder = pointed_to(run.checkpoints, name) if name in ("best", "last") else run.checkpoints / name.zfill(6)
    if folder is None or folder.name not in there:
        raise UserError(f"{run.path} has no checkpoint {name!r}; it has best, last, {', '.join(there)}")
    try:
        verify(folder)
    except BadCheckpoint as problem:
        others = [other for other in there if other != folder.name]
        hint = f"; try --checkpoint {others[-1]}" if others else ""
        raise BadCheckpoint(f"{problem}{hint}") from problem
    return folder


def evaluate_run(path: Path, checkpoint: str, *, episodes: int | None, seed: int | None, device: str | None) -> Numbers:
    """Greedy held-out episodes, summarised. Without a seed, the tasks are those of the run's own evaluations."""
    _, scenario, policy = open_agent(path, checkpoint, device)
    parts = build.make_stage(scenario, Stage(name="evaluate"), policy)
    try:
        parts.evaluator.refresh(0)
        count = episodes or scenario.evaluation.episodes
        root = derive_seed(scenario.seed if seed is None else seed, "evaluation")
        return summarize(parts.evaluator.evaluate(count, seed=root, version=0))
    finally:
        parts.close()
