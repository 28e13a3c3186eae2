"""Who plays in a stage, made from the words of a scenario. What is heavy is imported where it is needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ...agents.protocols import Actor, Author, Behaviour, Engine, Policy
from ...envs.control.flat_spaces import Actions
from ...envs.cores import allowed_threads, usable_cores
from ...envs.named_objects import load_function
from ...envs.world_source import WorldSource
from ..config.agents import (
    Agent,
    Demonstrator,
    MlpAgentSpec,
    OpenAIAgentSpec,
    OracleAgentSpec,
    RandomAgentSpec,
    ScriptedAgentSpec,
)
from ..config.schema import Sampling, Scenario, Stage, WorldSpec
from .engines import make_engine
from .rendering import context_of, make_renderer
from .roles import shows_demonstrations
from .settings import stage_method
from .several import group_counts
from .texts import make_text_actor, texts_of
from .voices import Voices
from .worlds import WorldSources, written_down

if TYPE_CHECKING:
    from ...agents.language.scheduling import Patience
    from ...envs.conversation.chat_world import WrittenWorld

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
    from ...agents.showing import ShowingActor
    from ...agents.tiles import TiledActor

    row = stage_method(stage) if stage.method else None
    shown, beside = stage.demonstrations, row is not None and row.imitates_beside
    segments = row is not None and row.needs_critic and sources.first.facts.kind == "control"
    horizon = stage.collect.horizon if stage.collect and segments else None
    actor = partial(_actor, scenario, sources, stage, policy)
    own = showing = partial(actor, scenario.agent, horizon)
    if shown is not None:
        written = partial(_reciting, scenario, stage, policy)
        showing = written if shown.agent is None else partial(actor, shown.agent, None)
    collect = own if beside else showing
    tile = stage.collect.tile if stage.collect else None
    collector = collect() if tile is None else TiledActor(collect, tile, keeps_rows=segments)
    if beside:
        collector = ShowingActor(collector, showing(), rows_go_on=segments)
    judges = row is not None and row.judges  # and is measured on what it collects, but for held-out rows
    evaluator = actor(scenario.agent, None) if shown and not judges and not beside else collector
    return StageParts(collector, evaluator, segments)


def _reciting(scenario: Scenario, stage: Stage, policy: Policy | None) -> Actor:
    """An actor that says again what stands in a file, in the tokens of the agent that learns; of pairs, both sides; of
    plain text, each part. A reward model is measured by it as well."""
    from ...agents.language.authors import Oracle
    from ...agents.language.conversation_actor import ConversationActor
    from ...agents.language.judgement import JudgingActor
    from ...agents.language.language_policy import LanguagePolicy
    from ...agents.language.pair_actor import PairActor
    from ...envs.conversation.pair_world import HeldOutPairs, PairWorld

    assert isinstance(policy, LanguagePolicy), "checked before: what is written down is for agents that speak"
    if (texts := texts_of(stage)) is not None:
        return make_text_actor(scenario, texts, policy)
    world, context = written_down(stage), context_of(policy, scenario)
    assert world is not None, "whoever calls has seen it"

    def saying(world: WrittenWorld) -> Actor:
        return ConversationActor(world.sibling, Oracle(), make_renderer(policy, scenario), context=context)

    if not isinstance(world, PairWorld):
        return saying(world)
    sides = [saying(world.on_side(side)) for side in range(world.size)]
    if isinstance(world, HeldOutPairs):
        held_out = {split: world.rankings_in(split) for split in world.splits}
        return JudgingActor(sides, policy, held_out, turns=stage_method(stage).learns == "process")
    return PairActor(sides)


def _actor(
    scenario: Scenario,
    sources: WorldSources,
    stage: Stage,
    policy: Policy | None,
    agent: Agent | Demonstrator,
    horizon: int | None,
) -> Actor:
    """`agent` in the only world of `scenario`, or in all of several."""
    actors: dict[str, Actor] = {}
    engines: list[Engine] = []
    for name, alone in scenario.alone().items():
        source = sources[name]
        if source.facts.kind == "conversation":
            actors[name] = _talking(alone, source, agent, policy, engines, shows_demonstrations(scenario, stage))
        else:
            at_once = alone.world.at_once or _rows(stage, scenario)[name]
            threads = alone.world.threads or _threads(scenario, stage)
            actors[name] = _moving(alone.world, threads, source, policy, agent, horizon, at_once)
    if not scenario.worlds:
        return actors[""]
    from ...agents.mixture import MixedActor

    return MixedActor(actors)


def _threads(scenario: Scenario, stage: Stage) -> int | None:
    """Of the simulation, by default: one core is left to a learner that works meanwhile in this process. Of two cores
    none can be spared, for simulating is the longer half: then the learner has what the simulation leaves."""
    beside = stage.collect is not None and stage.collect.staleness > 0 and scenario.cluster is None
    cores = min(allowed_threads(), usable_cores())
    return cores - 1 if beside and cores > 2 else None


def _rows(stage: Stage, scenario: Scenario) -> dict[str, int]:
    """How many bodies of each world a stage has open to learn, and so may have to evaluate."""
    names, collect = list(scenario.alone()), stage.collect
    if collect is None:
        return dict.fromkeys(names, _LOOKED_AT)
    counts = group_counts(scenario, collect.groups)
    return {name: count * collect.group_size for name, count in zip(names, counts, strict=True)}


def _moving(
    world: WorldSpec,
    threads: int | None,
    source: WorldSource,
    policy: Policy | None,
    agent: Agent | Demonstrator,
    horizon: int | None,
    at_once: int,
) -> Actor:
    """An actor for control worlds: segments of `horizon` steps, or whole episodes without one, on so many `threads`."""
    from ...agents.control import scripted
    from ...agents.control.control_actor import ControlActor
    from ...agents.control.mlp import ActorCritic

    behaviour: Behaviour
    if isinstance(agent, MlpAgentSpec):
        assert isinstance(policy, ActorCritic), "make_policy has made one"
        behaviour = policy
    elif isinstance(agent, ScriptedAgentSpec):
        behaviour = scripted.ScriptedAgent(
            load_function(agent.function, "observation"), source.facts.action_space, source.facts.observation_space
        )
    else:
        assert isinstance(agent, RandomAgentSpec), f"checked before: an agent of kind {agent.kind!r} cannot move"
        behaviour = scripted.RandomAgent(Actions(source.facts.action_space).stored)
    mode = "episodes" if horizon is None else "segments"
    pool = {"threads": threads, "threads_to_evaluate": world.threads}
    return ControlActor(behaviour, source, mode=mode, horizon=horizon, at_once=at_once, **pool)


def _talking(
    scenario: Scenario,
    source: WorldSource,
    agent: Agent | Demonstrator,
    policy: Policy | None,
    engines: list[Engine],
    shows: bool,
) -> Actor:
    """An actor for conversations: the agent that learns speaks by an engine, everybody else writes in its tokens.
    `engines`: those of the other worlds; one that has weights and memory of its own is made once and kept there."""
    from ...agents.language.chat_template import Renderer
    from ...agents.language.conversation_actor import ConversationActor
    from ...agents.language.language_policy import LanguagePolicy
    from ...agents.language.tiny_llama import byte_tokenizer

    language = policy if isinstance(policy, LanguagePolicy) else None
    renderer = make_renderer(language, scenario) if language else Renderer(byte_tokenizer())
    speaks = language is not None and agent is scenario.agent
    engine = None
    if language is not None and speaks:
        engine = engines[0] if engines else make_engine(language, renderer, scenario)
        if scenario.engine is not None:
            engines[:] = [engine]
    voices, sampling = Voices(scenario, language, engine), scenario.sampling or Sampling()
    return ConversationActor(
        lambda: source.make(voices.for_a_world()),
        engine or _author(agent, sampling),
        renderer,
        context=context_of(language, scenario) if language else 1_000_000,
        max_tokens=sampling.max_tokens,
        patience=_patience(scenario),
        company=voices,
        shows=shows,
    )


def _patience(scenario: Scenario) -> Patience:
    """The limits of time that the scenario gives, and the usual ones where it gives none."""
    from ...agents.language.scheduling import Patience

    given = {"step": scenario.world.step_seconds, "episode": scenario.world.episode_seconds}
    return Patience(**{name: seconds for name, seconds in given.items() if seconds is not None})


def _author(agent: Agent | Demonstrator, sampling: Sampling) -> Author:
    """An agent without parameters of ours; a script sees the messages."""
    from ...agents.language.authors import Chance, Oracle, Script

    if isinstance(agent, OpenAIAgentSpec):
        from ...agents.language.openai_author import OpenAIAuthor

        drawn = sampling.model_dump(include={"temperature", "top_p", "max_tokens"})
        return OpenAIAuthor(agent.url, agent.model, key_env=agent.key_env, **drawn)
    if isinstance(agent, ScriptedAgentSpec):
        return Script(load_function(agent.function, "messages"))
    return Oracle() if isinstance(agent, OracleAgentSpec) else Chance()
