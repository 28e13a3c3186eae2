"""Who plays in a stage, made from the words of a scenario. What is heavy is imported where it is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...agents.protocols import Actor, Author, Behaviour, Policy
from ...envs.named_objects import load_function
from ..config.schema import (
    Agent,
    Demonstrator,
    MlpAgentSpec,
    OracleAgentSpec,
    Sampling,
    Scenario,
    ScriptedAgentSpec,
    Stage,
)
from .settings import stage_method
from .worlds import is_conversation, spaces, world_maker

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


def make_stage(scenario: Scenario, stage: Stage, policy: Policy | None) -> StageParts:
    """The actors of one stage."""
    row = stage_method(stage) if stage.method else None
    shown = stage.demonstrations.agent if stage.demonstrations else None
    segments = row is not None and row.needs_critic and not is_conversation(scenario)
    horizon = stage.collect.horizon if stage.collect and segments else None

    def playing(agent: Agent | Demonstrator, horizon: int | None) -> Actor:
        return _everywhere(scenario, lambda world: _playing(world, stage, agent, policy, horizon))

    collector = _tiled(stage, lambda: playing(shown or scenario.agent, horizon), keeps_rows=segments)
    evaluator = playing(scenario.agent, None) if shown else collector
    return StageParts(collector, evaluator, segments)


def _everywhere(scenario: Scenario, make: Callable[[Scenario], Actor]) -> Actor:
    """The actor of each world by itself, or one that has them all."""
    from ...agents.mixture import MixedActor

    actors = {name: make(world) for name, world in scenario.alone().items()}
    return MixedActor(actors) if scenario.worlds else actors[""]


def _playing(
    scenario: Scenario, stage: Stage, agent: Agent | Demonstrator, policy: Policy | None, horizon: int | None
) -> Actor:
    """`agent` in the only world of `scenario`."""
    if not is_conversation(scenario):
        return _moving(scenario, policy, agent, horizon, scenario.world.at_once or _rows(stage))
    return _speaking(scenario, policy) if agent is scenario.agent else _writing(scenario, agent, policy)


def _tiled(stage: Stage, make: Callable[[], Actor], *, keeps_rows: bool = False) -> Actor:
    """The actor that `make` gives, playing tile by tile where the stage says so."""
    from ...agents.tiles import TiledActor

    tile = stage.collect.tile if stage.collect else None
    return make() if tile is None else TiledActor(make, tile, keeps_rows=keeps_rows)


def _rows(stage: Stage) -> int:
    """How many worlds a stage of bodies has open to learn, and so may have to evaluate."""
    collect = stage.collect
    return collect.groups * collect.group_size if collect else _LOOKED_AT


def _moving(
    scenario: Scenario, policy: Policy | None, agent: Agent | Demonstrator, horizon: int | None, at_once: int
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
        behaviour = scripted.ScriptedAgent(load_function(agent.function), spaces(scenario)[1])
    else:
        behaviour = scripted.RandomAgent(spaces(scenario)[1])
    mode = "episodes" if horizon is None else "segments"
    world = scenario.world
    return ControlActor(
        behaviour, world.id, world.options, mode=mode, horizon=horizon, threads=world.threads, at_once=at_once
    )


def _speaking(scenario: Scenario, policy: Policy | None) -> Actor:
    """The scenario's own agent in a conversation."""
    if policy is None:
        return _writing(scenario, scenario.agent, None)
    from ...agents.language.chat_template import Renderer
    from ...agents.language.conversation_actor import ConversationActor
    from ...agents.language.engines.transformers_engine import TransformersEngine
    from ...agents.language.language_policy import LanguagePolicy

    assert isinstance(policy, LanguagePolicy), "check_parts has seen to it"
    sampling = scenario.sampling or Sampling()
    renderer = Renderer(policy.tokenizer, policy.end_ids)
    return ConversationActor(
        world_maker(scenario),
        TransformersEngine(policy, stop_ids=renderer.stop_ids, precision=scenario.precision),
        renderer,
        context=policy.context,
        max_tokens=sampling.max_tokens,
        patience=_patience(scenario),
    )


def _writing(scenario: Scenario, agent: Agent | Demonstrator, policy: Policy | None) -> Actor:
    """An actor whose replies are text from somebody without parameters, in `policy`'s tokens."""
    from ...agents.language.chat_template import Renderer
    from ...agents.language.conversation_actor import ConversationActor
    from ...agents.language.language_policy import LanguagePolicy
    from ...agents.language.tiny_llama import tiny_tokenizer

    language = policy if isinstance(policy, LanguagePolicy) else None
    renderer = Renderer(language.tokenizer, language.end_ids) if language else Renderer(tiny_tokenizer())
    context = language.context if language else 1_000_000
    world, patience = world_maker(scenario), _patience(scenario)
    return ConversationActor(world, _author(agent), renderer, context=context, patience=patience)


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
