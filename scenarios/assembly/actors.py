"""Who plays in a stage, made from the words of a scenario. What is heavy is imported where it is needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ...agents.protocols import Actor, Author, Behaviour, Policy
from ...envs.named_objects import load_function
from ...envs.world_source import WorldSource
from ..config.schema import (
    Agent,
    Demonstrator,
    MlpAgentSpec,
    OracleAgentSpec,
    Sampling,
    Scenario,
    ScriptedAgentSpec,
    Stage,
    WorldSpec,
)
from .settings import stage_method
from .worlds import WorldSources, spaces

if TYPE_CHECKING:
    from ...agents.language.scheduling import Patience

_LOOKED_AT = 8  # worlds that are open where nothing is learned


@dataclass(frozen=True)
class StageParts:
    """Who does what in one stage. Collector and evaluator are often the same actor."""

    collector: Actor
    evaluator: Actor
    segments: bool  # groups are rows that go on, not tasks

    def close(self) -> None:
        """Free the worlds."""
        self.collector.close()
        self.evaluator.close()


def make_stage(scenario: Scenario, stage: Stage, policy: Policy | None, sources: WorldSources) -> StageParts:
    """The actors of one stage, in worlds of `sources`."""
    from ...agents.tiles import TiledActor

    row = stage_method(stage) if stage.method else None
    shown = stage.demonstrations.agent if stage.demonstrations else None
    segments = row is not None and row.needs_critic and sources.first.facts.kind == "control"
    horizon = stage.collect.horizon if stage.collect and segments else None

    collect = partial(_actor, scenario, sources, stage, shown or scenario.agent, policy, horizon)
    tile = stage.collect.tile if stage.collect else None
    collector = collect() if tile is None else TiledActor(collect, tile, keeps_rows=segments)
    evaluator = _actor(scenario, sources, stage, scenario.agent, policy, None) if shown else collector
    return StageParts(collector, evaluator, segments)


def _actor(
    scenario: Scenario,
    sources: WorldSources,
    stage: Stage,
    agent: Agent | Demonstrator,
    policy: Policy | None,
    horizon: int | None,
) -> Actor:
    """`agent` in the only world of `scenario`, or in all of several."""
    actors: dict[str, Actor] = {}
    for name, alone in scenario.alone().items():
        source = sources[name]
        if source.facts.kind == "control":
            at_once = alone.world.at_once or _rows(stage)
            actors[name] = _moving(alone.world, source, policy, agent, horizon, at_once)
        elif agent is scenario.agent:
            actors[name] = _speaking(alone, source, policy)
        else:
            actors[name] = _writing(alone, source, agent, policy)
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


def _speaking(scenario: Scenario, source: WorldSource, policy: Policy | None) -> Actor:
    """The scenario's own agent in a conversation."""
    if policy is None:
        return _writing(scenario, source, scenario.agent, None)
    from ...agents.language.chat_template import Renderer
    from ...agents.language.conversation_actor import ConversationActor
    from ...agents.language.engines.transformers_engine import TransformersEngine
    from ...agents.language.language_policy import LanguagePolicy

    assert isinstance(policy, LanguagePolicy), "check_parts has seen to it"
    sampling = scenario.sampling or Sampling()
    renderer = Renderer(policy.tokenizer, policy.end_ids)
    return ConversationActor(
        source.make,
        TransformersEngine(policy, stop_ids=renderer.stop_ids, precision=scenario.precision),
        renderer,
        context=policy.context,
        max_tokens=sampling.max_tokens,
        patience=_patience(scenario),
    )


def _writing(scenario: Scenario, source: WorldSource, agent: Agent | Demonstrator, policy: Policy | None) -> Actor:
    """An actor whose replies are text from somebody without parameters, in `policy`'s tokens."""
    from ...agents.language.chat_template import Renderer
    from ...agents.language.conversation_actor import ConversationActor
    from ...agents.language.language_policy import LanguagePolicy
    from ...agents.language.tiny_llama import tiny_tokenizer

    language = policy if isinstance(policy, LanguagePolicy) else None
    renderer = Renderer(language.tokenizer, language.end_ids) if language else Renderer(tiny_tokenizer())
    context = language.context if language else 1_000_000
    return ConversationActor(source.make, _author(agent), renderer, context=context, patience=_patience(scenario))


def _patience(scenario: Scenario) -> Patience:
    """The limits of time that the scenario gives, and the usual ones where it gives none."""
    from ...agents.language.scheduling import Patience

    given = {"step": scenario.world.step_seconds, "episode": scenario.world.episode_seconds}
    return Patience(**{name: seconds for name, seconds in given.items() if seconds is not None})


def _author(agent: Agent | Demonstrator) -> Author:
    """An agent without parameters; a script sees the messages."""
    from ...agents.language.authors import Chance, Oracle, Script

    if isinstance(agent, ScriptedAgentSpec):
        return Script(load_function(agent.function))
    return Oracle() if isinstance(agent, OracleAgentSpec) else Chance()
