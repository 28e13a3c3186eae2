"""Whether a batch has as many parts as its minibatches ask for, and enough episodes to be compared with each other."""

from __future__ import annotations

from collections.abc import Iterator

from ...algorithms.methods import Method
from ...envs.world_source import WorldFacts
from ..config.agents import MlpAgentSpec
from ..config.mistakes import WrongPart
from ..config.schema import Scenario, Stage
from .settings import stage_method
from .several import group_counts
from .worlds import WorldSources, ends_with_first_reply


def check_minibatches(scenario: Scenario, number: int, row: Method, facts: WorldFacts) -> None:
    """WrongPart for more minibatches than a batch can have parts, so that some steps would never have a row."""
    stage = scenario.stages[number]
    if scenario.worlds or row.update.minibatch_units is not None:
        return
    most, parts = _parts(scenario, stage, row, facts)
    if most is None or row.update.minibatches <= most:
        return
    raise WrongPart(
        ("stages", number, "overrides", "update", "minibatches"),
        f"stage {stage.name!r}: update.minibatches is {row.update.minibatches}, and a batch has at most {most} "
        f"{parts}, so that some steps would never have one; allowed are 1 to {most}",
    )


def _parts(scenario: Scenario, stage: Stage, row: Method, facts: WorldFacts) -> tuple[int | None, str]:
    """Into how many parts a batch can be divided, and what they are; None where nobody knows."""
    assert stage.collect is not None, "the schema asks for it"
    groups, size, horizon = stage.collect.groups, stage.collect.group_size, stage.collect.horizon
    if row.source != "own" and stage.demonstrations is not None and stage.demonstrations.text is not None:
        return groups * size, "windows"  # a group is a window
    if row.preference.kind is not None or row.judges:
        return groups, "pairs" if row.preference.kind is not None else "groups to compare"
    weighed = _most_weighed(row, size)
    which = "" if weighed == size else " that have a weight"
    if _reads_units(scenario, row, facts):
        longest = horizon if row.needs_critic else facts.longest_episode
        return None if longest is None else groups * weighed * longest, f"units{which}"
    whole = "replies" if facts.kind == "conversation" and facts.longest_episode == 1 else "episodes"
    return groups * weighed, f"{whole if horizon is None else 'rows'}{which}"


def _reads_units(scenario: Scenario, row: Method, facts: WorldFacts) -> bool:
    """Whether a minibatch is of single units, as `Learner` makes them, and not of whole rows."""
    agent = scenario.agent
    remembers = isinstance(agent, MlpAgentSpec) and agent.memory is not None
    return facts.kind == "control" and not remembers and row.of_single_units


def _most_weighed(row: Method, size: int) -> int:
    """How many of a group of `size` can have a weight; the others are in no minibatch."""
    if row.weighting.penalty is not None or row.update.moves_every_row or row.credit.whiten == "minibatch":
        return size
    if row.credit.transform == "best":
        return 1
    above_a_mean = row.credit.transform == "positive" and row.credit.baseline in ("group_mean", "leave_one_out")
    return max(1, size - 1) if above_a_mean else size


def check_company(scenario: Scenario, number: int, row: Method, worlds: WorldSources) -> None:
    """WrongPart where every advantage would be 0 for ever, because an episode is alone with what it is compared with:
    the mean of a batch, or what is whitened, where all of an episode has one advantage."""
    stage = scenario.stages[number]
    if row.source != "own" or row.needs_critic or stage.collect is None:
        return
    where, size = f"stage {stage.name!r} ({row.name})", stage.collect.group_size
    for each, groups in _rows(scenario, stage, row):
        credit, episodes = each.credit, groups * size
        constant = _is_constant(each, worlds)
        ranked = credit.ranks or credit.transform in ("one", "verdict")
        alone = [f"credit.baseline is {credit.baseline}"] if credit.baseline == "batch_mean" and not ranked else []
        if constant and credit.whiten is not None and not credit.ranks and credit.transform != "one":
            alone.append(f"credit.whiten is {credit.whiten}")
        if alone and episodes < 2:
            raise WrongPart(
                ("stages", number, "collect", "groups"),
                f"{where}: {alone[0]}, which compares episodes of a batch, and there is one: every advantage would be "
                f"0; give collect.groups of {groups + 1} or more",
            )
        whole = constant and credit.whiten == "minibatch" and each.update.minibatch_units is None
        if not whole or scenario.worlds or _reads_units(scenario, each, worlds.first.facts):
            continue
        count, most = each.update.minibatches, episodes // 2
        if count > most:
            raise WrongPart(
                ("stages", number, "overrides", "update", "minibatches"),
                f"{where}: credit.whiten is minibatch, and of {count} minibatches some have one of the {episodes} "
                f"episodes alone, which has one advantage, so that nothing is left of it; allowed are 1 to {most}",
            )


def _rows(scenario: Scenario, stage: Stage, row: Method) -> Iterator[tuple[Method, int]]:
    """The method in each world, and how many groups it has there; where a curriculum says that, none."""
    assert stage.collect is not None, "the schema asks for it"
    if not scenario.worlds:
        yield row, stage.collect.groups
    elif stage.collect.curriculum is None:
        counts = group_counts(scenario, stage.collect.groups)
        yield from zip((stage_method(stage, world) for world in scenario.worlds), counts, strict=True)


def _is_constant(row: Method, worlds: WorldSources) -> bool:
    """Whether all units of an episode have one advantage."""
    if row.credit.granularity == "trajectory":
        return True
    return row.credit.granularity == "turn" and all(map(ends_with_first_reply, worlds.values()))
