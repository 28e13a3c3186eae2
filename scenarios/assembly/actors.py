"""Who plays in a stage, made from the words of a scenario. What is heavy is imported where it is needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ...agents.protocols import Actor, Behaviour, Policy
from ...envs.named_objects import load_function
from ...envs.world_source import WorldSource
from ..config.schema import (
    Agent,
    Demonstrator,
    MlpAgentSpec,
    Scenario,
    ScriptedAgentSpec,
    Stage,
    WorldSpec,
)
from .settings import stage_method
from .worlds import WorldSources, spaces

if TYPE_CHECKING:
    from .talkers import Talkers

_LOOKED_AT = 8  # worlds that are open where nothing is learned


@dataclass(frozen=True)
class StageParts:
    """Who does what in one stage. Collector and evaluator are often the same actor."""

    collector: Actor
    evaluator: Actor
    segments: bool  # groups are rows that go on, not tasks
    talkers: Talkers | None = None  # who speaks, in conversations

    def close(self) -> None:
        """Free the worlds, and the engines."""
        self.collector.close()
        self.evaluator.close()
        if self.talkers is not None:
            self.talkers.close()


def make_stage(scenario: Scenario, stage: Stage, policy: Policy | None, sources: WorldSources) -> StageParts:
    """The actors of one stage, in worlds of `sources`."""
    from ...agents.tiles import TiledActor

    row = stage_method(stage) if stage.method else None
    shown = stage.demonstrations.agent if stage.demonstrations else None
    segments = row is not None and row.needs_critic and sources.first.facts.kind == "control"
    horizon = stage.collect.horizon if stage.collect and segments else None
    talkers = None
    if sources.first.facts.kind == "conversation":
        from .talkers import Talkers

        talkers = Talkers(scenario, policy)
    actor = partial(_actor, scenario, sources, stage, policy, talkers)
    collect = partial(actor, shown or scenario.agent, horizon)
    tile = stage.collect.tile if stage.collect else None
    collector = collect() if tile is None else TiledActor(collect, tile, keeps_rows=segments)
    evaluator = actor(scenario.agent, None) if shown else collector
    return StageParts(collector, evaluator, segments, talkers)


def _actor(
    scenario: Scenario,
    sources: WorldSources,
    stage: Stage,
    policy: Policy | None,
    talkers: Talkers | None,
    agent: Agent | Demonstrator,
    horizon: int | None,
) -> Actor:
    """`agent` in the only world of `scenario`, or in all of several."""
    actors: dict[str, Actor] = {}
    for name, alone in scenario.alone().items():
        source = sources[name]
        if talkers is not None:
            actors[name] = talkers.actor(name, source, agent)
        else:
            at_once = alone.world.at_once or _rows(stage)
            actors[name] = _moving(alone.world, source, policy, agent, horizon, at_once)
    if not scenario.worlds:
        return actors[""]
    from ...agents.mixture import MixedActor

    return MixedActor(actors)


def _rows(stage: Stage) -> int:
    """How many worlds a stage of bodies has open to learn, and so may have to evaluate."""
    collect = stage.collect
    return collect.groups * collect.group_size if collect else _LOOKED_AT


def _moving(
    world: WorldSpec,
    source: WorldSource,
    policy: Policy | None,
    agent: Agent | Demonstrator,
    horizon: int | None,
    at_once: int,
) -> Actor:
    """An actor for control worlds: segments of `horizon` steps, or whole episodes without one."""
    from ...agents.control import scripted
    from ...agents.control.control_actor import ControlActor
    from ...agents.control.mlp import ActorCritic

    behaviour: Behaviour
    if isinstance(agent, MlpAgentSpec):
        assert isinstance(policy, ActorCritic), "make_policy has made one"
        behaviour = policy
    elif isinstance(agent, ScriptedAgentSpec):
        behaviour = scripted.ScriptedAgent(load_function(agent.function), spaces(source)[1])
    else:
        behaviour = scripted.RandomAgent(spaces(source)[1])
    mode = "episodes" if horizon is None else "segments"
    return ControlActor(behaviour, source, mode=mode, horizon=horizon, threads=world.threads, at_once=at_once)
