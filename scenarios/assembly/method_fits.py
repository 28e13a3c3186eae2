"""Whether a method has a meaning in a world: what it reads has to be there."""

from __future__ import annotations

from collections.abc import Iterable

from ...algorithms.methods import Method
from ...envs.control.flat_spaces import Actions
from ...envs.errors import UserError, WrongKey
from ...envs.world_source import WorldFacts, WorldSource
from ..config.mistakes import at
from ..config.schema import Scenario, Stage
from .settings import stage_method
from .worlds import ends_with_first_reply

_SILENT = "is for replies, and nobody speaks here"


def check_world_fits(stage: Stage, row: Method, facts: WorldFacts) -> None:
    """WrongKey for a constant of the method that reads what this kind of world has not, with what would fit."""
    if facts.kind != "control":
        return
    if row.source == "pairs":
        fits = "; online_dpo compares what the policy itself does" if not row.judges else ""
        words = f"stage {stage.name!r} ({row.name}) reads pairs of replies, and nobody speaks here{fits}"
        raise WrongKey(("method",), words)
    if row.needs_judge:
        raise _wrong(stage, row, "rewards", "model", "null", _SILENT)
    if row.rewards.teacher == "self":
        why = "shows the policy what the world's expert does, and worlds of bodies have none; on_policy_distillation "
        raise WrongKey(("method",), f"stage {stage.name!r} ({row.name}) {why}learns from the agent of another run")
    if row.rewards.overlong_buffer is not None:
        raise _wrong(stage, row, "rewards", "overlong_buffer", "null", _SILENT)
    if row.rewards.overlong_share is not None:
        raise _wrong(stage, row, "rewards", "overlong_share", "null", _SILENT)
    if row.update.cut_replies != "keep":
        raise _wrong(stage, row, "update", "cut_replies", "keep", _SILENT)
    if row.update.observation_coefficient:
        why = "is for what a world says in words, and this one shows numbers"
        raise _wrong(stage, row, "update", "observation_coefficient", "0", why)
    if row.credit.each_term:
        why = "compares the named terms of rewards, which batches of conversations note and those of bodies do not"
        raise _wrong(stage, row, "credit", "each_term", "false", why)
    real = Actions(facts.action_space).real
    if row.source == "demonstrations" and row.weighting.ratio is not None and real:
        why = "weighs demonstrations by how likely they are, and real numbers are among the actions here: densities"
        raise _wrong(stage, row, "weighting", "ratio", "null", why)
    if row.weighting.gap is not None and real:
        why = "bounds a difference of probabilities, and real numbers are among the actions here: densities"
        raise _wrong(stage, row, "weighting", "gap", "null", why)


def check_answers(stage: Stage, row: Method, sources: Iterable[WorldSource]) -> None:
    """WrongKey where what the worlds say is to be learned, or turns are to be paid one by one, and each world ends with
    the first reply."""
    written = None if stage.demonstrations is None or row.imitates_beside else stage.demonstrations.written
    heard = row.update.observation_coefficient and written != "chats"
    if heard and written == "text":
        why = "is for what a world answers, and a text is learned as a whole"
        raise _wrong(stage, row, "update", "observation_coefficient", "0", why)
    parted = row.needs_judge and row.rewards.model_at == "turn"
    if not (heard or parted) or not all(map(ends_with_first_reply, sources)):
        return
    ends = "and an episode ends here with the first reply"
    if heard:
        raise _wrong(stage, row, "update", "observation_coefficient", "0", f"is for what a world answers, {ends}")
    raise _wrong(stage, row, "rewards", "model_at", "end", f"is 'turn', {ends}, which earns all that the model says")


def check_shown(stage: Stage, row: Method) -> None:
    """WrongKey where a method that learns from somebody else is shown nothing, or not what it learns from."""
    shown, where = stage.demonstrations, f"stage {stage.name!r} ({row.name})"
    if row.source == "own" and not row.imitates_beside:
        if shown is not None:
            beside = "overrides: {update: {imitation_coefficient: 0.1}} imitates them beside what the agent does itself"
            raise WrongKey(("demonstrations",), f"{where} takes no `demonstrations`; {beside}")
        return
    pairs = row.source == "pairs"
    example = "demonstrations: {pairs: FILE}" if pairs else "demonstrations: {agent: {kind: oracle}}"
    if shown is None:
        why = f" (update.imitation_coefficient is {row.update.imitation_coefficient:g})" if row.imitates_beside else ""
        raise WrongKey((), f"{where} needs `demonstrations`{why}; write such as {example}")
    if pairs and shown.pairs is None:
        given = shown.written or "agent"
        why = "has no replies" if given == "text" else "shows one of each"
        raise WrongKey(
            ("demonstrations", given),
            f"{where} compares replies, and demonstrations.{given} {why}; write {example}, or method: sft",
        )
    if not pairs and shown.pairs is not None:
        raise WrongKey(
            ("demonstrations", "pairs"),
            f"{where} imitates, and of demonstrations.pairs one reply is not to be imitated; write "
            "demonstrations: {chats: FILE}, or method: dpo",
        )


def check_judge(scenario: Scenario, stage: Stage, row: Method) -> None:
    """WrongKey where a reward model would have to act again, or be elsewhere. What is replied before may have taught
    the agent what it judges."""
    if not row.judges:
        return
    where = f"stage {stage.name!r} ({row.name})"
    if row.source != "pairs":
        raise WrongKey(("overrides", "source"), f"{where} learns from rankings; allowed is pairs, got {row.source!r}")
    if stage is not scenario.stages[-1]:
        after = scenario.stages[scenario.stages.index(stage) + 1].name
        fits = "let it be the last stage; what others learn from the judge is another scenario: models: {reward: RUN}"
        raise WrongKey(("method",), f"{where} makes the agent a judge, and {after!r} comes after it: {fits}")
    assert stage.collect is not None, "the schema asks for it"
    if stage.collect.staleness:
        raise WrongKey(("collect", "staleness"), f"{where} reads what is written, which has no age; leave it out")
    if scenario.cluster is not None:
        raise WrongKey((), f"{where} reads what is written, and there is nothing to play for a cluster; leave it out")


def check_compared(scenario: Scenario) -> None:
    """UserError where an agent is compared with its teacher in all that might be chosen, and its sampling lets some of
    it never be."""
    stages = [stage.name for stage in scenario.stages if compares(scenario, stage)]
    if not stages or scenario.sampling is None:
        return
    for name, whole in (("top_p", 1.0), ("top_k", None), ("min_p", 0.0)):
        value = getattr(scenario.sampling, name)
        if value != whole:
            fits = "leave it out, or write overrides: {rewards: {teacher_pays: chosen}}"
            words = f"is {value:g}, and stage {stages[0]!r} compares the agent with its teacher in all tokens; {fits}"
            with at("sampling", name):
                raise UserError(f"sampling.{name} {words}")


def compares(scenario: Scenario, stage: Stage) -> bool:
    """Whether the agent is compared with a teacher in all that might be chosen, in some world of `scenario`."""
    return stage.method is not None and any(stage_method(stage, world).compares for world in (None, *scenario.worlds))


def check_refill(scenario: Scenario, stage: Stage, row: Method) -> None:
    """WrongKey where groups are to be sampled again and all are learned from, or nobody is there to do it."""
    if stage.collect is None or not stage.collect.refill:
        return
    where = f"stage {stage.name!r} ({row.name}): collect.refill is {stage.collect.refill}, and"
    if row.update.flat_groups != "leave_out" and stage.collect.gate is None:
        fits = "give overrides: {update: {flat_groups: leave_out}}, a collect.gate, or leave refill out"
        raise WrongKey(("collect", "refill"), f"{where} this method keeps groups without information; {fits}")
    others = {
        "collect.staleness is above 0, so that later batches are under way": bool(stage.collect.staleness),
        "there is a cluster, whose workers share whole collections": scenario.cluster is not None,
        "there are several worlds, which share groups": bool(scenario.worlds),
        "a reward model is asked (rewards.model) when all groups are there": row.needs_judge,
    }
    for why, holds in others.items():
        if holds:
            raise WrongKey(("collect", "refill"), f"{where} {why}; leave refill out")


def _wrong(stage: Stage, row: Method, column: str, name: str, fits: str, why: str) -> WrongKey:
    """At the key where it was written, or else at the method that has it."""
    written = stage.overrides.get(column)
    place = ("overrides", column, name) if isinstance(written, dict) and name in written else ("method",)
    return WrongKey(
        place,
        f"stage {stage.name!r} ({row.name}): {column}.{name} {why}; write overrides: {{{column}: {{{name}: {fits}}}}}",
    )
