"""What can be wrong with several worlds under one agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gymnasium.spaces import Dict, MultiDiscrete, Space, Tuple
from gymnasium.spaces.utils import flatdim

from ...agents.mixture import divided, mixed_groups
from ...envs.control.flat_spaces import Actions, Observations
from ...envs.errors import UserError, unknown
from ...envs.world_source import WorldSource
from ..config.collect import Collect
from ..config.mistakes import WrongPart
from ..config.schema import Scenario, SharedWorld, Stage
from .settings import stage_method

_OWN = ("credit", "rewards")  # columns of a method that a world may have for itself


def check_alike(scenario: Scenario, sources: Sequence[WorldSource]) -> None:
    """UserError where one agent cannot live in all of the worlds."""
    first, kinds = scenario.worlds[0], [source.facts.kind for source in sources]
    for number, (kind, world) in enumerate(zip(kinds, scenario.worlds, strict=True)):
        if kind != kinds[0]:
            raise WrongPart(
                ("worlds", number, "id"),
                f"{world.id!r} is a {kind} world and {first.id!r} a {kinds[0]} world: one agent lives in worlds of "
                "one kind",
            )
    if kinds[0] == "conversation":
        return
    spaces = [(source.facts.observation_space, source.facts.action_space) for source in sources]
    seen, done = [Observations(one) for one, _ in spaces], [Actions(one) for _, one in spaces]
    forms = [(_seen_form(one), _done_form(space)) for one, (_, space) in zip(seen, spaces, strict=True)]
    for number, acts in enumerate(done):
        if forms[number] != forms[0] or acts.stored != done[0].stored:
            raise WrongPart(
                ("worlds", number, "id"),
                f"{scenario.worlds[number].id!r} has observations {spaces[number][0]} and actions {spaces[number][1]}, "
                f"and {first.id!r} has {spaces[0][0]} and {spaces[0][1]}: one network acts in worlds with equal spaces",
            )


def _seen_form(seen: Observations) -> object:
    """What has to be equal of what one network sees, and of which statistics are one: parts by their names, each of its
    kind and size. Bounds may differ, and what is left out."""
    return {name: _kind(space) for name, space in seen.named_numbers().items()}, seen.named_pictures()


def _done_form(space: Space[Any]) -> object:
    """The same of what is done; bounds and counts are those of `Actions.stored`."""
    if isinstance(space, Dict):
        return {key: _done_form(one) for key, one in space.spaces.items()}
    return [_done_form(one) for one in space.spaces] if isinstance(space, Tuple) else _kind(space)


def _kind(space: Space[Any]) -> object:
    counts = space.nvec.tolist() if isinstance(space, MultiDiscrete) else flatdim(space)
    return type(space).__name__, space.shape, counts


def check_shares(scenario: Scenario, stage: Stage) -> None:
    """UserError where a collection has fewer groups than there are worlds."""
    assert stage.collect is not None, "the schema asks for it"
    worlds, groups = len(scenario.worlds), stage.collect.groups
    if worlds and groups < worlds:
        why = "each needs at least one"
        if stage.collect.curriculum is not None:
            why = f"a curriculum needs room for all of them when it begins; give at least {worlds}"
        raise UserError(f"stage {stage.name!r} collects {groups} groups for {worlds} worlds; {why}")


def check_overrides(scenario: Scenario, world: SharedWorld) -> None:
    """UserError for overrides of a stage that is not there or does not learn, of anything but rewards and credit, or
    which ask for another kind of experience than the stage collects."""
    stages = {stage.name: stage for stage in scenario.stages if stage.method is not None}
    for name, columns in world.overrides.items():
        if name not in stages:
            raise UserError(unknown("stage with a method", name, stages))
        for column in columns:
            if column not in _OWN:
                raise UserError(
                    f"{name}.{column} is the same in all worlds, for one update takes its steps from all of them; a "
                    f"world's own are {' and '.join(_OWN)}"
                )
        ours, theirs = stage_method(stages[name], world), stage_method(stages[name])
        for key in ("model", "model_at", "model_scale", "model_clip", "world"):
            if getattr(ours.rewards, key) != getattr(theirs.rewards, key):
                raise UserError(f"{name}.rewards.{key} is the same in all worlds, for one reward model is asked of all")
        for need in ("needs_critic", "needs_groups"):
            if getattr(ours, need) != getattr(theirs, need):
                raise UserError(f"{name}: this credit reads other experience than the stage collects ({need})")


def group_counts(scenario: Scenario, groups: int) -> list[int]:
    """How many of `groups` each world has."""
    return divided(groups, [world.share for world in scenario.worlds] or [1.0])


def batch_groups(scenario: Scenario, collect: Collect, batch: int, segments: bool) -> list[int]:
    """The groups of one batch of a stage: new ones for each, or (`segments`) the same rows, which go on."""
    counts, before = group_counts(scenario, collect.groups), 0 if segments else batch
    return mixed_groups([range(before * count, (before + 1) * count) for count in counts])
