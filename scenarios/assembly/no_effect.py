"""Settings that would have no effect in this world, with this budget or this model, and a goal that nobody looks at.

A budget that a flag has shortened is a trial of a scenario: what fits the scenario's own budget stays allowed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...agents.control.whole_episodes import EVALUATED_AT_ONCE
from ...algorithms.methods import METHODS
from ...envs.errors import UserError, unknown
from ...envs.quantities import shown
from ...envs.world_source import WorldFacts
from ..config.agents import CausalLMAgentSpec, TinyLlamaAgentSpec
from ..config.consistency import idle_goal
from ..config.loading import check_scenario, put
from ..config.mistakes import WrongPart
from ..config.schema import Checkpoints, Failures, Sampling, Scenario, Stage, read_goal
from ..config.voices import CausalLMVoice
from ..config.yaml_text import Path_, Source
from .settings import optimizer_settings, stage_method
from .several import group_counts
from .unusual import unusual

TINY_CONTEXT = 512  # tokens, see `tiny_llama`


def check_room(scenario: Scenario) -> None:
    """WrongPart where a reply may be longer than all that the model reads."""
    context, own = _context(scenario), getattr(scenario.agent, "context", None)
    most = (scenario.sampling or Sampling()).max_tokens
    if own is not None and own <= most:
        given = "" if scenario.sampling else ", its default"
        raise WrongPart(
            ("agent", "context"),
            f"agent.context is {own}, and holds prompt and reply together, of which sampling.max_tokens may be {most}"
            f"{given}; allowed is {most + 1} or greater",
        )
    if context is not None and context < 2:
        raise WrongPart(("agent",), f"the agent's model reads {context} token, which leaves no room for a reply")
    if context is not None and most >= context:
        place = ("sampling", "max_tokens") if scenario.sampling else ("agent",)
        raise WrongPart(
            place,
            f"sampling.max_tokens is {most}, and the model reads {context} tokens, prompt and reply together; allowed "
            f"are 1 to {context - 1}",
        )


def _context(scenario: Scenario) -> int | None:
    """The context of the agent's model, as far as that is known without loading it."""
    if isinstance(scenario.agent, TinyLlamaAgentSpec):
        return TINY_CONTEXT
    if not isinstance(scenario.agent, CausalLMAgentSpec):
        return None
    try:
        told = json.loads((Path(scenario.agent.model).expanduser() / "config.json").read_text(encoding="utf-8"))
        context = told.get("max_position_embeddings", told.get("text_config", {}).get("max_position_embeddings"))
    except (OSError, ValueError, AttributeError):
        return None
    return context if isinstance(context, int) else None


def check_revisions(scenario: Scenario) -> None:
    """WrongPart for the revision of a model that is no hub's."""
    named = [(("agent",), scenario.agent)]
    named += [(("world", "voices", name), voice) for name, voice in scenario.world.voices.items()]
    for place, spec in named:
        if not isinstance(spec, CausalLMAgentSpec | CausalLMVoice) or spec.revision is None:
            continue
        if spec.model.startswith((".", "/", "~", "package:")) or Path(spec.model).exists():
            raise WrongPart(
                (*place, "revision"),
                f"revision is {spec.revision!r} and has no effect: {spec.model!r} is no hub id; leave it out",
            )


def check_budget(scenario: Scenario, number: int, facts: WorldFacts, source: Source | None) -> None:
    """WrongPart for what a stage would need more updates for than its budget has."""
    stage = scenario.stages[number]
    updates = _most_updates(stage, facts)
    if updates is None:
        return
    what = f"the budget of stage {stage.name!r} has {updates} update{'s' * (updates > 1)}"
    warmup, every = optimizer_settings(stage).warmup, scenario.evaluation.every
    where: Path_ = ("stages", number, "optimizer", "warmup")
    if warmup >= updates and not _is_trial(source, number, where):
        raise WrongPart(
            where, f"optimizer.warmup is {warmup}, and {what}: lr is never reached; allowed are 0 to {updates - 1}"
        )
    if stage.stop and every is not None and every > updates and not _is_trial(source, number, ("evaluation", "every")):
        raise WrongPart(
            ("stages", number, "stop"),
            f"stage {stage.name!r} has a goal (stop) that nobody looks at: evaluation.every is {every}, and {what}; "
            f"allowed are 1 to {updates}",
        )


def check_first(scenario: Scenario, episodes: int, source: Source | None) -> None:
    """WrongPart for the first tasks of a validation of so many `episodes` behind which none would follow."""
    first = scenario.evaluation.first
    if first is None or first < episodes or source is None or source.recorded:
        return
    asked, played = (source.is_line(source.place(("evaluation", name))) for name in ("first", "episodes"))
    if asked and not played:  # a flag has shortened what the file asks for
        return
    allowed = f"allowed are 1 to {episodes - 1}, or null" if episodes > 1 else "allowed is null"
    raise WrongPart(
        ("evaluation", "first"),
        f"evaluation.first is {first}, and a validation has {episodes} episode{'s' * (episodes > 1)}, so that none "
        f"would follow; {allowed}",
    )


def check_goals_in_world(scenario: Scenario, number: int, facts: WorldFacts) -> None:
    """WrongPart for a goal in turns or units that is always or never reached, as long as an episode can be."""
    if scenario.worlds or facts.longest_episode is None:
        return
    tokens = (scenario.sampling or Sampling()).max_tokens if facts.kind == "conversation" else 1
    longest = {"turns_mean": facts.longest_episode, "units_mean": facts.longest_episode * tokens}
    for name, goal in scenario.stages[number].stop.items():
        words = idle_goal(*read_goal(goal), 1.0, float(longest[name])) if name in longest else ""
        if words:
            raise WrongPart(("stages", number, "stop", name), f"stop.{name} is {shown(goal)}, {words}")


def remarks_on(scenario: Scenario) -> list[str]:
    """What is to be said of a scenario whose stages have settings that do next to nothing, or leave the reward next to
    nothing to do, a sentence each."""
    remarks: list[str] = []
    budgets = [stage.budget.updates for stage in scenario.stages if stage.budget is not None]
    every, known = scenario.checkpoint.every, [updates for updates in budgets if updates is not None]
    if scenario.checkpoint != Checkpoints() and known and len(known) == len(budgets) and every > sum(known):
        remarks.append(
            f"checkpoint.every is {every}, and the budget has {sum(known)} update{'s' * (sum(known) > 1)}: no "
            "checkpoint is made because of it, but those of stages and best scores are"
        )
    remarks += _remarks_on_evaluations(scenario, known)
    remarks += _idle_worlds(scenario)
    for stage in scenario.stages:
        row = stage_method(stage) if stage.method else None
        remarks += unusual(stage, row) if row is not None else ()
        if row is not None and row.weighting.correction is None:
            remarks += _counts_age_twice(stage)
        if row is None or row.source != "own" or row.update.minibatch_units is not None:
            continue
        if row.update.epochs * row.update.minibatches > 1 or (stage.collect and stage.collect.staleness):
            continue
        bounds = ("clip_low", "clip_high", "clip_dual", "gap", "stale_sequence")
        given = [("weighting", name) for name in bounds] + [("update", "value_clip")]
        if row.weighting.kl_to == "old":
            remarks.append(
                f"stage {stage.name!r} ({row.name}): the penalty for leaving the old policy holds nothing, because "
                "each batch is learned from in one step, before which the policy is still the old one; give "
                "update.epochs or update.minibatches of 2 or more"
            )
        for column, name in given:
            written = stage.overrides.get(column)
            if isinstance(written, Mapping) and written.get(name) is not None:
                remarks.append(
                    f"stage {stage.name!r}: {column}.{name} has nothing to cut, because each batch is learned from in "
                    "one step, before which the policy is still the one that acted (up to rounding); give "
                    "update.epochs or update.minibatches of 2 or more"
                )
    return remarks


def _remarks_on_evaluations(scenario: Scenario, updates: list[int]) -> Iterator[str]:
    """`updates` are the budgets of the stages that have one in updates."""
    every, episodes, share = scenario.evaluation.every, scenario.evaluation.episodes, scenario.failures.max_share
    if every is not None and updates and every > max(updates):
        yield (
            f"evaluation.every is {every}, and no stage has a budget of more than {max(updates)} update"
            f"{'s' * (max(updates) > 1)}: a stage is evaluated before it and after it, and not while it goes on"
        )
    if scenario.failures != Failures() and episodes != "all" and 0 < share * episodes < 1:
        yield (
            f"failures.max_share is {share:g}, and an evaluation has {episodes} episodes: one of them that fails ends "
            "the run, as it would with 0"
        )


def _idle_worlds(scenario: Scenario) -> Iterator[str]:
    """Where more bodies may be open than anything opens: an episode of a stage or of an evaluation each."""
    episodes = scenario.evaluation.episodes
    evaluated = EVALUATED_AT_ONCE if episodes == "all" else min(episodes, EVALUATED_AT_ONCE)
    for number, alone in enumerate(scenario.alone().values()):
        collects = [stage.collect for stage in scenario.stages if stage.collect is not None]
        learned = [group_counts(scenario, collect.groups)[number] * collect.group_size for collect in collects]
        most, allowed = max([evaluated, *learned]), alone.world.at_once
        if allowed is not None and allowed > most:
            yield (
                f"world.at_once of {alone.world.id!r} is {allowed}, and this run has at most {most} open at once "
                f"({max(learned, default=0)} to learn, {evaluated} to be evaluated): the others are never made"
            )


def _counts_age_twice(stage: Stage) -> list[str]:
    """Where the learning rate follows a KL that older weights are part of."""
    if stage.collect is None or not stage.collect.staleness or optimizer_settings(stage).schedule != "adaptive_kl":
        return []
    return [
        f"stage {stage.name!r}: optimizer.schedule adaptive_kl measures the KL from the policy that acted, which is "
        f"older than the one that learns (collect.staleness is {stage.collect.staleness}): steps become smaller; "
        "give overrides: {weighting: {correction: 2}} to measure each update alone"
    ]


def _most_updates(stage: Stage, facts: WorldFacts) -> int | None:
    """How many updates a budget allows, where it can be known."""
    budget, collect = stage.budget, stage.collect
    assert budget is not None, "the schema asks for it"
    assert collect is not None, "the schema asks for it"
    limits = [] if budget.updates is None else [budget.updates]
    if collect.horizon is not None and facts.kind == "control":
        steps = collect.groups * collect.horizon
        limits += [math.ceil(limit / steps) for limit in (budget.env_steps, budget.action_units) if limit is not None]
    return min(limits, default=None)


def _is_trial(source: Source | None, number: int, place: Path_) -> bool:
    """Whether the setting at `place` is a file's and the budget is not, or nobody knows."""
    if source is None or source.recorded or not source.places:
        return True
    of_stage = ("stages", number, "budget")
    limits = [there for path, there in source.places.items() if path[: len(of_stage)] == of_stage]
    return not all(map(source.is_line, limits)) and source.is_line(source.place(place))


def check_variants(scenario: Scenario) -> None:
    """WrongPart for a variant of no method, of a path that is not there, or with which `compare` could not run."""
    own = [stage for stage in scenario.stages if stage.method and METHODS[stage.method].source == "own"]
    for name in scenario.variants:
        changes = scenario.changes(name)
        if name not in METHODS:
            raise WrongPart(("variants", name), unknown("method", name, METHODS))
        if not own:
            raise WrongPart(
                ("variants", name),
                "variants have no effect: no stage learns from its own actions, so that compare has none to vary",
            )
        data = scenario.model_dump(mode="json", exclude_none=True, exclude={"variants"})
        data = put(put(data, f"stages.{own[-1].name}.method", name), f"stages.{own[-1].name}.overrides", {})
        for key, value in changes.items():
            _check_change(data, ("variants", name, key), key, value)
            data = put(data, key, value)
        where = ("variants", name, next(iter(changes), ""))
        try:
            for stage in check_scenario(data, Source(f"variants.{name}")).stages:
                if stage.method is not None:
                    stage_method(stage)
                    optimizer_settings(stage)
        except UserError as problem:
            raise WrongPart(where, str(problem)) from problem


def _check_change(data: dict[str, object], place: Path_, key: str, value: object) -> None:
    try:
        put(data, key, value)
    except UserError as problem:
        raise WrongPart(place, f"variants.{place[1]}: {problem}") from problem
