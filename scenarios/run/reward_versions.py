"""Which version of the reward a run is scored by, and that numbers of two versions never stand in one table."""

from __future__ import annotations

from collections.abc import Iterable

from ...envs.errors import UserError
from ..assembly.worlds import WorldSources
from .run_directory import RunDirectory

NOT_NOTED = "a version that was not noted"


def scored_by(sources: WorldSources) -> str:
    """The version of the reward of a scenario's world, as it is now; of a control world its id, which has one. Of
    several worlds, all versions."""
    versions = {name: source.facts.scored_by or source.id for name, source in sources.items()}
    return "; ".join(f"{name}: {version}" if name else version for name, version in versions.items())


def one_version(scored: Iterable[tuple[str, str]]) -> tuple[str]:
    """The version that all of `(where, version)` have. UserError where there are two."""
    where: dict[str, str] = {}
    for place, version in scored:
        where.setdefault(version, place)
    if len(where) > 1:
        (one, first), (other, second) = list(where.items())[:2]
        raise UserError(
            "scores of different versions of a reward never stand in one table: "
            f"{first} was scored by {one or NOT_NOTED}, and {second} by {other or NOT_NOTED}"
        )
    return (next(iter(where), ""),)


def other_reward(run: RunDirectory, sources: WorldSources) -> str | None:
    """In a sentence, that the world's reward is of another version than the one by which the run was scored."""
    now = scored_by(sources)
    then = run.summary().get("scored_by", now)
    return None if then == now else f"{run.path} was scored by {then or NOT_NOTED}, and this is {now}"


def check_same_reward(run: RunDirectory, then: str | None, now: str) -> None:
    """UserError if a run has numbers of another version of the reward than that of `now`: of `then`, as a checkpoint
    knows it, or as summary.json says."""
    then = run.summary().get("scored_by", now) if then is None else then
    if then != now:
        raise UserError(
            f"{run.path} was scored by {then or NOT_NOTED}, and this is {now}: its numbers would not be comparable. "
            f"To go on from what it has learned, run a scenario with agent: {{from: {run.path}}}; `peripatos rescore` "
            "grades its kept episodes by the version of now"
        )
