"""Whether runs may be compared at all: equal budgets, and the same tasks of evaluation.

What the scenario says is refused before anything runs (`refuse_unequal`). What only the runs can tell is marked
afterwards, and nothing is concluded of those methods (`unfair`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...envs.errors import UserError
from ..assembly.rehearsal import tells_success
from ..assembly.settings import learns_from_shown
from ..assembly.worlds import WorldSources
from ..config.schema import Scenario, Stage

SPENT = {  # limits of a budget that runs may overshoot by their last update, and what to do where they did unequally
    "epochs": "by the size of their updates they went through different numbers of tasks; collect less in each",
    "env_steps": "by the size of their updates they spent different amounts of env_steps; collect less in each",
    "action_units": "by the size of their updates they spent different amounts of action_units; collect less in each",
    "seconds": "by the length of their updates they spent different amounts of seconds; do less in each, or give more",
}
LOST = ("failed", "unanswered", "unscored")  # tasks of a test that have no score
SLACK = 0.1  # by which what was spent may differ
HOW = ("threads", "at_once", "workers", "step_seconds", "episode_seconds")  # of a world: how it is played, not what


def refuse_unequal(
    base: Scenario, changed: Scenario, first: int, method: str, what: Literal["variant", "search"] = "variant"
) -> None:
    """UserError where the variant of `method`, or the search for one, changes the stages, the method, the budget of a
    stage from `first` on, what comes before it, the tasks of evaluation, or what the table says of the scenario."""
    whose, where = f"{base.name}: the {what} of {method}", {"variant": "`variants`", "search": "`search`"}[what]
    stages, theirs = ([stage.name for stage in one.stages] for one in (base, changed))
    if theirs != stages:
        raise UserError(
            f"{whose} has the stages {', '.join(theirs)}, and the other methods have {', '.join(stages)}; a variant "
            "changes what is inside of a stage, e.g. `stages.NAME.collect`"
        )
    if (theirs := changed.stages[first].method) != method:
        raise UserError(
            f"{whose} puts {theirs} into stage {stages[first]!r}, and the table would call it {method}; leave the "
            f"method out of {where}, and compare {theirs} by its name"
        )
    for key in ("name", "scores"):
        if getattr(changed, key) != getattr(base, key):
            raise UserError(f"{whose} changes {key}, which is one for all methods; leave it out of {where}")
    for one, other in zip(base.stages[first:], changed.stages[first:], strict=True):
        if one.budget != other.budget:
            raise UserError(
                f"{whose} gives stage {one.name!r} the budget {spelled_limits(other)}, and the other "
                f"methods have {spelled_limits(one)}; a comparison is at equal budgets: leave it out of {where}"
            )
    if changed.stages[:first] != base.stages[:first] or (first and changed.agent != base.agent):
        raise UserError(
            f"{whose} changes what comes before stage {base.stages[first].name!r}, which is run once for all "
            f"methods; leave it out of {where}"
        )
    if _tasks(changed) != _tasks(base):
        raise UserError(
            f"{whose} changes the world, the evaluation or the seed, and scores on other tasks are not "
            f"comparable; leave it out of {where}"
        )


def refuse_unequal_amounts(base: Stage, changed: Stage, whose: str) -> None:
    """UserError where the budget counts updates or epochs, and a trial of `whose` search collects another amount in
    each."""
    if (counted := _counted_unequally(base, changed)) is not None:
        raise UserError(
            f"the search for {whose} changes how much an {counted} collects, and the budget counts {counted}s, so that "
            "one trial has more than another; give the budget in env_steps"
        )


def refuse_points(scenario: Scenario, sources: WorldSources) -> None:
    """UserError for `scores` that are no shares, where a few episodes show that success is what is scored."""
    scores = scenario.scores
    if scores is not None and not scores.are_shares and tells_success(scenario, sources):
        raise UserError(
            f"{scenario.name}: scores has random {scores.random:g}, reference {scores.reference:g}, and the score of "
            "this world is the share of tasks that succeeded, from 0 to 1: 5 % is written 0.05"
        )


def refuse_validation(scenario: Scenario) -> None:
    """UserError where what is reported is the validation."""
    if scenario.evaluation.split != "test":
        raise UserError(
            f"{scenario.name} reports its validation (evaluation.split), by which goals and checkpoints are judged "
            "already; methods are compared by the test: leave it out"
        )


def refuse_edited(run: Path, sessions: Sequence[Mapping[str, Any]], now: Mapping[str, Mapping[str, str]]) -> None:
    """UserError where a module or a file that the scenario names is not what it was in a session of `run`: digests
    by "code" and "data" and by name."""
    for session in sessions:
        for kind, known in now.items():
            then = session.get(kind, {})
            changed = [name for name in then if name in known and then[name] != known[name]]
            if changed:
                raise UserError(
                    f"{run} was made before {', '.join(changed)} changed, and scores of two versions never stand in "
                    "one table; choose another --out"
                )


def unfair(one: Ran, other: Ran) -> str | None:
    """Why two methods that read the same budgets did not have them, or not the same test; None if they had both.

    Updates and epochs, whatever limits stand beside them, count equal amounts only where both collect as much in each,
    and spend as much where groups are sampled again; steps, units, seconds and tasks only where the last update, which
    a budget pays for as a whole, is small beside it in every pair of runs.
    """
    assert one.stage.budget is not None, "it learns"
    limits = one.stage.budget.limits()
    if (counted := _counted_unequally(one.stage, other.stage)) is not None:
        return f"the budget counts {counted}s, and they collect different amounts in each; give it in env_steps"
    for name, why in SPENT.items():
        if name in limits and one.differs(other, name):
            return why
    if _refills(one.stage) and {"updates", "epochs"} & limits.keys() and one.differs(other, "env_steps"):
        return (
            "by what was sampled again (collect.refill) they spent different amounts of env_steps; give the budget in "
            "env_steps"
        )
    if len({*one.scored(), *other.scored()}) > 1:
        return "their tests are scored on different numbers of tasks"
    return None


@dataclass(frozen=True)
class Ran:
    """What became of a method: the stage in which it learns, and by seed the summaries of its runs that are done."""

    stage: Stage
    summaries: Mapping[int, Mapping[str, Any]]

    def differs(self, other: Ran, name: str) -> bool:
        """Whether two runs with the same seed spent different amounts of what a budget limits."""
        seeds = self.summaries.keys() & other.summaries.keys()
        pairs = [(self._spent(seed, name), other._spent(seed, name)) for seed in seeds]
        return any(abs(mine - theirs) > SLACK * max(mine, theirs) for mine, theirs in pairs)

    def _spent(self, seed: int, name: str) -> float:
        """Of a run; seconds are those of the stage, else of the whole run, and epochs the groups that it asked for."""
        summary = self.summaries[seed]
        if name == "epochs":
            assert self.stage.collect is not None, "it learns"
            return float(summary.get("updates", 0) * self.stage.collect.groups)
        if name != "seconds":
            return float(summary.get(name, 0))
        seconds = summary["stages"][0].get("seconds")
        return float(summary["wall_s"] if seconds is None else seconds)

    def scored(self) -> set[int]:
        """On how many tasks of the test the runs are scored."""
        tests = [run["stages"][-1]["evaluation"]["after"] for run in self.summaries.values()]
        return {int(test.get("episodes") or 0) - sum(int(test.get(name) or 0) for name in LOST) for test in tests}


def _counted_unequally(one: Stage, other: Stage) -> Literal["update", "epoch"] | None:
    """Which limit of their budget counts what is not of one size in two stages."""
    limits = {} if one.budget is None else one.budget.limits()
    if "updates" in limits and _in_an_update(one) != _in_an_update(other):
        return "update"
    return "epoch" if "epochs" in limits and _in_an_epoch(one) != _in_an_epoch(other) else None


def _in_an_update(stage: Stage) -> tuple[int, int | None, int] | None:
    """Episodes or rows of an update, the steps of a row, and how often what is not taken is sampled again."""
    collect = stage.collect
    return None if collect is None else (collect.groups * collect.group_size, collect.horizon, collect.refill)


def _in_an_epoch(stage: Stage) -> tuple[int, int, object] | None:
    """Episodes of a task, how often what is not taken is sampled again, and whose tasks they are, where they are not
    the world's."""
    shown = stage.demonstrations if learns_from_shown(stage) else None
    written = None if shown is None or shown.written is None else (shown.written, getattr(shown, shown.written))
    return None if stage.collect is None else (stage.collect.group_size, stage.collect.refill, written)


def _refills(stage: Stage) -> bool:
    return stage.collect is not None and stage.collect.refill > 0


def _tasks(scenario: Scenario) -> tuple[object, ...]:
    worlds = [world.model_copy(update=dict.fromkeys(HOW)) for world in scenario.worlds or [scenario.world]]
    return worlds, scenario.evaluation, scenario.seed


def spelled_limits(stage: Stage) -> str:
    """What a stage may spend, in words."""
    limits = stage.budget.limits() if stage.budget else {}
    return ", ".join(f"{name} {value:g}" for name, value in limits.items()) or "nothing"
