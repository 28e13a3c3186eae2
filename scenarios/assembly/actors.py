"""Who plays in a stage, made from the words of a scenario. What is heavy is imported where it is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...agents.protocols import Actor, Author, Engine, Policy
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
)
from .engines import make_engine
from .settings import choose_device, stage_method
from .voices import Voices
from .worlds import spaces

if TYPE_CHECKING:
    from ...agents.language.scheduling import Patience


@dataclass(frozen=True)
class StageParts:
    """Who does what in one stage. Collector and evaluator are often the same actor."""

    collector: Actor
    evaluator: Actor
    segments: bool  # groups are rows that go on, not tasks
    voices: Voices | None = None  # whom the worlds talk to besides

    def close(self) -> None:
        """Free the worlds, and the engines of the voices."""
        self.collector.close()
        self.evaluator.close()
        if self.voices is not None:
            self.voices.close()


def make_stage(scenario: Scenario, stage: Stage, policy: Policy | None, source: WorldSource) -> StageParts:
    """The actors of one stage, in worlds of `source`."""
    if source.facts.kind == "conversation":
        return _talking(scenario, stage, policy, source)
    row = stage_method(stage) if stage.method else None
    shown = stage.demonstrations.agent if stage.demonstrations else None
    segments = row is not None and row.needs_critic
    horizon = stage.collect.horizon if stage.collect and segments else None
    actor = shown or scenario.agent
    collector = _tiled(stage, lambda: _moving(source, policy, actor, horizon=horizon), keeps_rows=segments)
    evaluator = _moving(source, policy, scenario.agent, horizon=None) if shown else collector
    return StageParts(collector, evaluator, segments)


def _tiled(stage: Stage, make: Callable[[], Actor], *, keeps_rows: bool = False) -> Actor:
    """The actor that `make` gives, playing tile by tile where the stage says so."""
    from ...agents.tiles import TiledActor

    tile = stage.collect.tile if stage.collect else None
    return make() if tile is None else TiledActor(make, tile, keeps_rows=keeps_rows)


def _moving(source: WorldSource, policy: Policy | None, agent: Agent | Demonstrator, *, horizon: int | None) -> Actor:
    """An actor for control worlds: segments of `horizon` steps, or whole episodes without one."""
    from ...agents.control import scripted
    from ...agents.control.control_actor import ControlActor
    from ...agents.control.mlp import ActorCritic

    behaviour: scripted.Behaviour
    if isinstance(agent, MlpAgentSpec):
        assert isinstance(policy, ActorCritic), "make_policy has made one"
        behaviour = policy
    elif isinstance(agent, ScriptedAgentSpec):
        behaviour = scripted.ScriptedAgent(load_function(agent.function), spaces(source)[1])
    else:
        behaviour = scripted.RandomAgent(spaces(source)[1])
    mode = "episodes" if horizon is None else "segments"
    return ControlActor(behaviour, source, mode=mode, horizon=horizon)


def _talking(scenario: Scenario, stage: Stage, policy: Policy | None, source: WorldSource) -> StageParts:
    """The actors of a stage in conversations: the agent has one engine, with which a voice may speak too."""
    from ...agents.language.chat_template import Renderer
    from ...agents.language.conversation_actor import ConversationActor
    from ...agents.language.language_policy import LanguagePolicy
    from ...agents.language.tiny_llama import tiny_tokenizer

    engine, language, context, device = None, None, 1_000_000, choose_device(scenario.device, scenario.agent)
    renderer = Renderer(tiny_tokenizer())  # in whose tokens an agent without a model writes
    if isinstance(policy, LanguagePolicy):
        language, context, device = policy, policy.context, str(policy.device)
        engine, renderer = make_engine(policy, scenario.precision)
    voices = Voices(scenario, language, engine, device)

    def make(who: Engine | Author) -> ConversationActor:
        return ConversationActor(
            lambda: source.make(voices.for_a_world()),
            who,
            renderer,
            context=context,
            max_tokens=(scenario.sampling or Sampling()).max_tokens,
            patience=_patience(scenario),
        )

    agent = engine or _author(scenario.agent)
    shown = _author(stage.demonstrations.agent) if stage.demonstrations else None
    collector = _tiled(stage, lambda: make(shown or agent))
    return StageParts(collector, make(agent) if shown else collector, segments=False, voices=voices)


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
