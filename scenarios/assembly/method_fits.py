"""Whether a method has a meaning in a world: what it reads has to be there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ...algorithms.idle_constants import idle_constants, spelled
from ...algorithms.methods import Method
from ...envs.control.flat_spaces import Actions
from ...envs.errors import UserError, WrongKey
from ...envs.world_source import WorldFacts, WorldSource
from ..config.mistakes import at
from ..config.schema import Scenario, Stage
from .settings import stage_method
from .worlds import ends_with_first_reply

Misfit = tuple[str, str, object, str]  # column, name, the value that fits, and why


def check_world_fits(stage: Stage, row: Method, facts: WorldFacts) -> None:
    """WrongKey for a constant of the method that reads what this kind of world has not, with what would fit."""
    if facts.kind != "control":
        return
    if row.source == "pairs":
        fits = "; online_dpo compares what the policy itself does" if not row.judges else ""
        words = f"stage {stage.name!r} ({row.name}) reads pairs of replies, and nobody speaks here{fits}"
        raise WrongKey(("method",), words)
    if row.rewards.teacher == "self":
        why = "shows the policy what the world's expert does, and worlds of bodies have none; on_policy_distillation "
        raise WrongKey(("method",), f"stage {stage.name!r} ({row.name}) {why}learns from the agent of another run")
    _refuse(stage, row, list(_unread(row, Actions(facts.action_space))))


def _unread(row: Method, actions: Actions) -> Iterator[Misfit]:
    """Constants that read what a world of bodies with these actions has not."""
    silent, real = "is for replies, and nobody speaks here", "and real numbers are among the actions here: densities"
    if row.needs_judge:
        yield "rewards", "model", None, silent
    if row.rewards.overlong_buffer is not None:
        yield "rewards", "overlong_buffer", None, silent
    if row.rewards.overlong_share is not None:
        yield "rewards", "overlong_share", None, silent
    if row.update.cut_replies != "keep":
        yield "update", "cut_replies", "keep", silent
    if row.update.observation_coefficient:
        yield "update", "observation_coefficient", 0, "is for what a world says in words, and this one shows numbers"
    if row.credit.each_term:
        why = "compares the named terms of rewards, which batches of conversations note and those of bodies do not"
        yield "credit", "each_term", False, why
    if row.source == "demonstrations" and row.weighting.ratio is not None and actions.real:
        yield "weighting", "ratio", None, f"weighs demonstrations by how likely they are, {real}"
    if row.weighting.gap is not None and actions.real:
        yield "weighting", "gap", None, f"bounds a difference of probabilities, {real}"
    if row.weighting.entropy_share < 1 and not actions.chosen:
        why = "asks where the policy is most uncertain, and of real numbers alone it is so alike everywhere (one σ)"
        yield "weighting", "entropy_share", 1, why


def check_answers(stage: Stage, row: Method, sources: Iterable[WorldSource]) -> None:
    """WrongKey where what the worlds say is to be learned, or turns are to be paid one by one, and each world ends with
    the first reply."""
    written = None if stage.demonstrations is None or row.imitates_beside else stage.demonstrations.written
    heard = row.update.observation_coefficient and written != "chats"
    if heard and written == "text":
        why = "is for what a world answers, and a text is learned as a whole"
        _refuse(stage, row, [("update", "observation_coefficient", 0, why)])
    parted = row.needs_judge and row.rewards.model_at == "turn"
    if not (heard or parted) or not all(map(ends_with_first_reply, sources)):
        return
    ends = "and an episode ends here with the first reply"
    if heard:
        _refuse(stage, row, [("update", "observation_coefficient", 0, f"is for what a world answers, {ends}")])
    _refuse(stage, row, [("rewards", "model_at", "end", f"is 'turn', {ends}, which earns all that the model says")])


def check_discount(stage: Stage, row: Method, sources: Iterable[WorldSource]) -> None:
    """WrongKey for a discount that somebody wrote down where an episode is one step of credit in every world."""
    written = stage.overrides.get("credit")
    names = [name for name in ("gamma", "lam") if isinstance(written, dict) and getattr(row.credit, name) != 1]
    names = [name for name in names if isinstance(written, dict) and name in written]
    if not names or row.credit.granularity == "trajectory":
        return
    turns = row.credit.granularity == "turn"
    if not all((turns or one.facts.kind == "control") and ends_with_first_reply(one) for one in sources):
        return
    name, value = names[0], getattr(row.credit, names[0])
    what = "is one turn here, which ends with the first reply" if turns else "is one step here"
    raise WrongKey(
        ("overrides", "credit", name),
        f"stage {stage.name!r} ({row.name}): credit.{name} is {value:g} and would have no effect: an episode {what}, "
        "and nothing comes later that could count for less; leave it out",
    )


def check_age(stage: Stage, row: Method) -> None:
    """WrongKey where older weights act, and the method has nothing that makes up for it."""
    staleness = 0 if stage.collect is None else stage.collect.staleness
    any_age = row.source != "own" or row.preference.kind is not None  # a pair may be anybody's
    if not staleness or any_age or row.weighting.ratio is not None or row.weighting.correction is not None:
        return
    fits = "give overrides: {weighting: {correction: 2}}, or leave collect.staleness out"
    if row.compares:  # a distance to the teacher, which no ratio corrects
        fits = "leave collect.staleness out"
    raise WrongKey(
        ("collect", "staleness"),
        f"stage {stage.name!r} ({row.name}): collect.staleness is {staleness}, so that older weights act, and this "
        f"method has neither a ratio nor a correction for that: {fits}",
    )


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


def _refuse(stage: Stage, row: Method, misfits: Sequence[Misfit]) -> None:
    """WrongKey for the first of these, with what would fit all of them: at the key where it was written, or else at the
    method that has it."""
    if not misfits:
        return
    column, name, _, why = misfits[0]
    written = stage.overrides.get(column)
    place = ("overrides", column, name) if isinstance(written, dict) and name in written else ("method",)
    fitting: dict[str, dict[str, object]] = {}
    for of, constant, fits, _ in misfits:
        fitting.setdefault(of, {})[constant] = fits
    changed = replace(row, **{of: replace(getattr(row, of), **constants) for of, constants in fitting.items()})
    for of, constant, nothing, _ in idle_constants(changed):  # of the row's own, which do nothing then
        if nothing is not ... and getattr(getattr(changed, of), constant) != nothing:
            fitting.setdefault(of, {})[constant] = nothing
    spelt = {
        of: [f"{constant}: {fits if isinstance(fits, str) else spelled(fits)}" for constant, fits in constants.items()]
        for of, constants in fitting.items()
    }
    words = ", ".join(f"{of}: {{{', '.join(each)}}}" for of, each in spelt.items())
    raise WrongKey(place, f"stage {stage.name!r} ({row.name}): {column}.{name} {why}; write overrides: {{{words}}}")
