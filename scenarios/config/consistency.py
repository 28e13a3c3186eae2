"""What two parts of a scenario say against each other, and what would have no effect beside the others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ...envs.quantities import shown
from .keys import Place
from .schema import Budget, Checkpoints, Scenario, Stage, read_goal

Problem = tuple[Place, str]
COUNTS, MEANS = ("episodes", "failed", "truncated", "unanswered", "unscored"), ("turns_mean", "units_mean")
BOUNDS = ("success_low", "success_high", "return_low", "return_high")  # of intervals over tasks
UP = ".."  # before the place of a key outside of a stage
GROUPS = ("world", "term", "reward", "episodes", "success", "time")  # stand before `/` in names of numbers


def contradictions(scenario: Scenario) -> Iterator[Problem]:
    """Each as the place of what should change, and one sentence."""
    worlds = [world.called for world in scenario.worlds]
    for number in _again(worlds):
        yield (
            ("worlds", number, "name"),
            f"worlds need different names; {worlds[number]} stands twice: give each a name",
        )
    for number, name in enumerate(worlds):
        if name in GROUPS:
            yield ("worlds", number, "name"), f"a world cannot be called {name!r}, as numbers of a run are: rename it"
    names = [stage.name for stage in scenario.stages]
    for number in _again(names):
        yield (
            ("stages", number, "name"),
            f"stages need different names; {names[number]} stands twice: give this one another",
        )
    for number, stage in enumerate(scenario.stages):
        for place, words in _of_a_stage(scenario, stage):
            yield place[1:] if place[0] == UP else ("stages", number, *place), words
    if scenario.precision != "fp32" and not scenario.speaks:
        what = f"which an agent of kind {scenario.agent.kind!r} does not read"
        yield ("precision",), f"precision is {scenario.precision}, {what}: it is for language models; leave it out"
    if scenario.engine is not None and not scenario.speaks:
        what = f"which an agent of kind {scenario.agent.kind!r} does not need"
        yield ("engine",), f"engine is vllm, {what}: it draws tokens from language models; leave it out"
    if scenario.engine is not None and scenario.cluster is not None:
        yield ("engine",), "engine: vllm draws in the run's own process, and a cluster's workers collect in theirs"
    if scenario.engine is not None and scenario.engine.vllm.sleep:
        yield from _never_asleep(scenario)
    yield from _idle(scenario)
    yield from _of_the_first(scenario)
    yield from _of_the_cluster(scenario)


def _never_asleep(scenario: Scenario) -> Iterator[Problem]:
    for stage in scenario.stages:
        if stage.collect is not None and stage.collect.staleness:
            late = f"collect.staleness: {stage.collect.staleness} in stage {stage.name!r}"
            yield (
                ("engine", "vllm", "sleep"),
                f"engine.vllm.sleep frees memory while the learner learns, and with {late} vLLM draws meanwhile: "
                "leave one of them out",
            )


def _again(names: Sequence[str]) -> list[int]:
    """The indices of names that have stood before."""
    return [number for number, name in enumerate(names) if name in names[:number]]


def _of_a_stage(scenario: Scenario, stage: Stage) -> Iterator[Problem]:
    if stage.method is not None and not scenario.learns:
        kind = scenario.agent.kind
        yield (
            ("method",),
            f"an agent of kind {kind!r} cannot learn: its stages take no method; agents that learn are of kind mlp, "
            "tiny_llama or causal_lm",
        )
    if stage.stop and scenario.evaluation.every is None:
        written = "every" in scenario.evaluation.model_fields_set
        place = (UP, "evaluation", "every") if written else ("stop",)
        yield place, f"stage {stage.name!r} has a goal (stop) that nobody looks at: give evaluation.every, such as 10"
    for name, goal in stage.stop.items():
        yield from _of_a_goal(scenario, name, goal)


def idle_goal(sign: str, number: float, least: float, most: float) -> str:
    """The rest of a sentence about a goal that always or never is reached, between `least` and `most`; empty where it
    may be either."""
    least_, most_ = shown(least), shown(most)
    among = f"between {least_} and {most_}" if math.isfinite(most) else f"{least_} or greater"
    if least == most:
        return f"and no goal: it is {most_} in every evaluation; leave it out"
    if number <= least if sign == "≥" else number >= most:
        return f"which every evaluation reaches: it is {among}; leave it out"
    if number > most if sign == "≥" else number < least:
        return f"and is never reached: it is {among}"
    return ""


def _of_a_goal(scenario: Scenario, name: str, goal: object) -> Iterator[Problem]:
    place, column = ("stop", name), name.rpartition("/")[2]
    if column in Budget.model_fields:
        yield (
            place,
            f"stop.{name}: {column} are no goal but a limit; they belong in budget: {{{column}: {shown(goal)}}}",
        )
        return
    sign, number = read_goal(goal)
    if column.startswith("success_") and not 0 <= number <= 1:
        meant = f"; it is a share and no percentage: {number / 100:g}?" if 0 <= number <= 100 else ""
        yield place, f"stop.{name} is {shown(goal)}, and is never reached: a success rate is between 0 and 1{meant}"
    elif column in COUNTS or column in MEANS:
        played = scenario.evaluation.episodes
        least, most = (1.0, math.inf) if column in MEANS else (0.0, math.inf if played == "all" else float(played))
        if words := idle_goal(sign, number, most if column == "episodes" else least, most):
            yield place, f"stop.{name} is {shown(goal)}, {words}"
    elif column.startswith("success_") and (sign, number) in (("≥", 0.0), ("≤", 1.0)):
        yield (
            place,
            f"stop.{name} is {shown(goal)}, which every success rate reaches; allowed is a number between 0 and 1",
        )


def _idle(scenario: Scenario) -> Iterator[Problem]:
    """Settings that nothing reads where nothing is learned, or where there is one of a kind."""
    learning = scenario.learns and any(stage.method for stage in scenario.stages)
    if not learning:
        why = "no stage of this scenario learns (a stage that does has a method)"
        if scenario.evaluation.every is not None:
            yield ("evaluation", "every"), f"evaluation.every has no effect: {why}; leave it out"
        if scenario.checkpoint != Checkpoints():
            yield ("checkpoint", "every"), f"checkpoint.every has no effect: {why}; leave it out"
        if scenario.variants:
            yield ("variants",), f"variants have no effect: {why}; leave them out"
    if len(scenario.worlds) == 1 and scenario.worlds[0].share != 1.0:
        yield ("worlds", 0, "share"), "share has no effect: there is one world, and it has all groups; leave it out"
    for number in _again(scenario.trackers):
        yield ("trackers", number), f"trackers name {scenario.trackers[number]!r} twice"


def _of_the_first(scenario: Scenario) -> Iterator[Problem]:
    """The first tasks of a validation decide whether the others are played, by goals that a part can reach."""
    first, goals = scenario.evaluation.first, [name for stage in scenario.stages for name in stage.stop]
    if first is None:
        return
    place = ("evaluation", "first")
    if not goals:
        why = "no stage has a goal (stop), by which the first episodes decide whether the others are played"
        yield place, f"evaluation.first has no effect: {why}; leave it out"
    for name in goals:
        if (column := name.rpartition("/")[2]) in COUNTS:
            yield (
                place,
                f"evaluation.first is {first}, and stop.{name} counts {column}, of which a part has fewer than all; "
                "leave one of them out",
            )
        elif column in BOUNDS:
            yield (
                place,
                f"evaluation.first is {first}, and stop.{name} bounds an interval, which is wider for a part of the "
                "tasks than for all; leave one of them out",
            )


def _of_the_cluster(scenario: Scenario) -> Iterator[Problem]:
    if scenario.cluster is None:
        return
    if not scenario.learns:
        yield ("cluster",), f"a cluster is for agents that learn, and one of kind {scenario.agent.kind!r} does not"
        return
    if not any(stage.collect for stage in scenario.stages):
        yield ("cluster",), "a cluster has no effect: no stage of this scenario collects; leave it out"
    workers = scenario.cluster.rollout.workers
    for stage in scenario.stages:
        if stage.collect is None:
            continue
        shared = stage.collect.groups // (stage.collect.tile or 1)
        if shared < workers:
            what = "groups" if stage.collect.tile is None else f"tiles of {stage.collect.tile} groups"
            yield (
                ("cluster", "rollout", "workers"),
                f"cluster.rollout.workers is {workers}, and stage {stage.name!r} has only {shared} {what} to share",
            )
