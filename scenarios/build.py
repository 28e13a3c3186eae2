"""From the words of a scenario to the things that run: policy, actors, learner.

Everything heavy is imported here, inside the function that needs it. Whatever the user can get wrong is found
by `check_parts` before the first episode, and named.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
from gymnasium.spaces import Box, Discrete

from ..agents.protocols import Actor, Author, Policy
from ..algorithms.learner import Learner
from ..algorithms.methods import METHODS, Method
from ..envs.conversation.conversation_env import ConversationEnv
from ..envs.errors import UnknownWorld, UserError, nearest, unknown
from ..envs.named_objects import load_function
from ..envs.registry import WorldKind, make_world, world_kind
from ..envs.seeding import derive_seed
from .assembly.settings import choose_device, optimizer_settings, stage_method
from .config.mistakes import WrongPart, at
from .config.schema import (
    Agent,
    CausalLMAgentSpec,
    Demonstrator,
    MlpAgentSpec,
    OracleAgentSpec,
    Sampling,
    Scenario,
    ScriptedAgentSpec,
    Stage,
    TinyLlamaAgentSpec,
)
from .trackers import check_trackers

if TYPE_CHECKING:
    from ..agents.language.language_policy import LanguagePolicy
    from ..agents.language.scheduling import Patience
    from .config.loading import Source


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


def check_parts(scenario: Scenario, source: Source | None = None) -> None:
    """UserError for everything about a scenario that can be known without running it.

    With `source` the message begins with the file and the line.
    """
    try:
        _check_parts(scenario)
    except WrongPart as problem:
        if source is None:
            raise
        raise UserError(f"{source.place(problem.place)}: {problem}") from problem


def _check_parts(scenario: Scenario) -> None:
    with at("device"):
        choose_device(scenario.device, scenario.agent)
    with at("trackers"):
        check_trackers(scenario.trackers)
    kind = _check_world(scenario)
    with at("agent"):
        _check_agent(scenario, kind)
    for number, stage in enumerate(scenario.stages):
        if stage.method is None:
            continue
        with at("stages", number, "overrides" if stage.method in METHODS else "method"):
            row = stage_method(stage)
        with at("stages", number, "optimizer"):
            optimizer_settings(stage)
        with at("stages", number):
            _check_stage(stage, row, kind)
            _check_overlong(row, (scenario.sampling or Sampling()).max_tokens)
    for name in scenario.variants:
        if name not in METHODS:
            raise WrongPart(("variants", name), unknown("method", name, METHODS))


def _check_world(scenario: Scenario) -> WorldKind:
    """The kind of the scenario's world, made once to see that it can be."""
    with at("world", "id"):
        try:
            env = make_world(scenario.world.id, **scenario.world.options)
        except UnknownWorld:
            raise
        except UserError as problem:
            raise WrongPart(("world", "options"), str(problem)) from problem
        try:
            kind, base = world_kind(env), env.unwrapped
            waits = isinstance(base, ConversationEnv) and base.waits
        finally:
            env.close()
    for name in ("step_seconds", "episode_seconds"):
        if getattr(scenario.world, name) is not None and not waits:
            reason = "is for worlds that wait for tools or servers; this one is stepped in place, without such a limit"
            raise WrongPart(("world", name), f"world.{name} {reason}")
    return kind


def _check_agent(scenario: Scenario, kind: WorldKind) -> None:
    speaks, learns = scenario.speaks, scenario.learns
    if learns and speaks != (kind == "conversation"):
        fitting = "tiny_llama or causal_lm" if kind == "conversation" else "mlp"
        raise UserError(
            f"an agent of kind {scenario.agent.kind!r} cannot live in {scenario.world.id!r}, a {kind} world; "
            f"use {fitting}"
        )
    if scenario.agent.kind == "oracle" and kind == "control":
        raise UserError("control worlds have no oracle; use an agent of kind 'scripted' or 'random'")
    if scenario.sampling is not None and not speaks:
        raise WrongPart(("sampling",), "`sampling` is about tokens; this agent has none")
    if isinstance(scenario.agent, ScriptedAgentSpec):
        load_function(scenario.agent.function)
    if isinstance(scenario.agent, CausalLMAgentSpec):
        _check_model_is_there(scenario.agent.model)


def _check_model_is_there(model: str) -> None:
    """UserError for a path to nothing. Hub ids and packages are looked up only when the model is loaded."""
    path = Path(model).expanduser()
    local = path.is_absolute() or model.startswith((".", "~")) or path.suffix == ".gguf"
    if local and not model.startswith("package:") and not path.exists():
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(f"there is no model folder or .gguf file {model!r}.{nearest(path.name, beside)}")


def _check_stage(stage: Stage, row: Method, kind: WorldKind) -> None:
    where, collect = f"stage {stage.name!r} ({row.name})", stage.collect
    segments = row.needs_critic and kind == "control"
    assert collect is not None, "the schema asks for it"
    if (row.source == "demonstrations") != (stage.demonstrations is not None):
        need = "needs `demonstrations`" if stage.demonstrations is None else "takes no `demonstrations`"
        raise UserError(f"{where} {need}")
    if segments and (collect.horizon is None or collect.group_size != 1):
        raise UserError(f"{where} reads segments: give collect.horizon, and no collect.group_size")
    if not segments and collect.horizon is not None:
        raise UserError(f"{where} reads whole episodes: collect.horizon has no meaning")
    if row.source == "demonstrations" and optimizer_settings(stage).schedule == "adaptive_kl":
        raise UserError(
            f"{where}: optimizer.schedule adaptive_kl follows the log-probabilities of who acted, and those "
            "of demonstrations are unknown; allowed are constant and linear"
        )
    if kind == "control" and (row.update.cut_replies != "keep" or row.rewards.overlong_buffer is not None):
        raise UserError(
            f"{where}: update.cut_replies and rewards.overlong_buffer are for replies, and nobody speaks here"
        )
    if row.needs_groups and collect.group_size < 2:
        raise UserError(f"{where} compares the members of a group: collect.group_size must be at least 2")


def _check_overlong(row: Method, most: int) -> None:
    """UserError where a reply would begin to lose reward before its first token."""
    buffer, limit = row.rewards.overlong_buffer, row.rewards.overlong_limit or most
    if buffer is not None and buffer >= limit:
        raise UserError(
            f"rewards.overlong_buffer is {buffer}, but a reply has at most {limit} tokens (rewards.overlong_limit or "
            f"sampling.max_tokens); allowed are 1 to {limit - 1}"
        )


def make_policy(scenario: Scenario, device: str) -> Policy | None:
    """The agent that learns, freshly initialised; None for agents that cannot.

    With one thread: how many there are changes the last digits of orthogonal weights.
    """
    from ..agents.threads import torch_threads

    with torch_threads(1):
        return _make_policy(scenario, device)


def _make_policy(scenario: Scenario, device: str) -> Policy | None:
    critic = any(stage_method(stage).needs_critic for stage in scenario.stages if stage.method)
    if isinstance(scenario.agent, MlpAgentSpec):
        from ..agents.control.mlp import ActorCritic

        observation, action = _spaces(scenario)
        size = math.prod(observation.shape)
        seed = derive_seed(scenario.seed, "policy")
        hidden = scenario.agent.hidden
        return ActorCritic(size, action, hidden=hidden, critic=critic, seed=seed).to(device)
    if isinstance(scenario.agent, TinyLlamaAgentSpec | CausalLMAgentSpec):
        return _make_language_policy(scenario, critic).to(device)
    return None


def _spaces(scenario: Scenario) -> tuple[Box, Box | Discrete]:
    """The spaces of a control world; `check_parts` has seen that they are supported."""
    env = make_world(scenario.world.id, **scenario.world.options)
    observation, action = env.observation_space, env.action_space
    env.close()
    assert isinstance(observation, Box)
    assert isinstance(action, Box | Discrete)
    return observation, action


def _make_language_policy(scenario: Scenario, critic: bool) -> LanguagePolicy:
    from transformers.utils import logging

    from ..agents.language.chat_template import Renderer
    from ..agents.language.language_policy import LanguagePolicy
    from ..agents.language.model_checks import check_model

    logging.disable_progress_bar()  # it would write into ours
    agent, sampling = scenario.agent, scenario.sampling or Sampling()
    if isinstance(agent, TinyLlamaAgentSpec):
        from ..agents.language.tiny_llama import tiny_llama

        seed = derive_seed(scenario.seed, "policy")
        parts = tiny_llama(seed=seed, hidden=agent.hidden, layers=agent.layers, heads=agent.heads)
    else:
        assert isinstance(agent, CausalLMAgentSpec)
        from ..agents.language.model_files import load_language_model

        parts = load_language_model(agent.model, revision=agent.revision)
    policy = LanguagePolicy(
        *parts,
        critic=critic,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        precision=scenario.precision,
    )
    check_model(policy)
    Renderer(policy.tokenizer, policy.end_ids)  # refuses a template whose replies nothing ends
    return policy


def make_reference(policy: Policy) -> Policy:
    """A frozen copy."""
    reference = copy.deepcopy(policy)
    reference.module().requires_grad_(False)
    return reference


def make_stage(scenario: Scenario, stage: Stage, policy: Policy | None) -> StageParts:
    """The actors of one stage."""
    row = stage_method(stage) if stage.method else None
    shown = stage.demonstrations.agent if stage.demonstrations else None
    if is_conversation(scenario):
        collector = _tiled(stage, lambda: _writing(scenario, shown, policy) if shown else _speaking(scenario, policy))
        evaluator = _speaking(scenario, policy) if shown else collector
        return StageParts(collector, evaluator, segments=False)
    segments = row is not None and row.needs_critic
    horizon = stage.collect.horizon if stage.collect and segments else None
    actor = shown or scenario.agent
    collector = _tiled(stage, lambda: _moving(scenario, policy, actor, horizon=horizon), keeps_rows=segments)
    evaluator = _moving(scenario, policy, scenario.agent, horizon=None) if shown else collector
    return StageParts(collector, evaluator, segments)


def _tiled(stage: Stage, make: Callable[[], Actor], *, keeps_rows: bool = False) -> Actor:
    """The actor that `make` gives, playing tile by tile where the stage says so."""
    from ..agents.tiles import TiledActor

    tile = stage.collect.tile if stage.collect else None
    return make() if tile is None else TiledActor(make, tile, keeps_rows=keeps_rows)


def make_learner(scenario: Scenario, stage: Stage, policy: Policy, reference: Policy | None, *, seed: int) -> Learner:
    """The learner of a stage that has a method."""
    row = stage_method(stage)
    if row.update.aggregation == "constant_length" and row.update.length is None:
        row = replace(row, update=replace(row.update, length=_longest(scenario)))
    if row.rewards.overlong_buffer is not None and row.rewards.overlong_limit is None:
        limit = (scenario.sampling or Sampling()).max_tokens
        row = replace(row, rewards=replace(row.rewards, overlong_limit=limit))
    return Learner(policy, row, optimizer_settings(stage), seed=seed, reference=reference)


def is_conversation(scenario: Scenario) -> bool:
    """Whether the scenario's world is one of messages."""
    env = make_world(scenario.world.id, **scenario.world.options)
    try:
        return world_kind(env) == "conversation"
    finally:
        env.close()


def _longest(scenario: Scenario) -> int:
    """The most units that an episode can have."""
    env = make_world(scenario.world.id, **scenario.world.options)
    turns = env.spec.max_episode_steps if env.spec else None
    talks = isinstance(env.unwrapped, ConversationEnv)
    if isinstance(env.unwrapped, ConversationEnv):
        turns = turns or env.unwrapped.turn_limit
    env.close()
    if talks:
        return (turns or 1) * (scenario.sampling or Sampling()).max_tokens
    if turns is None:
        raise UserError(f"{scenario.world.id!r} has no limit of steps; give overrides.update.length")
    return turns


def _moving(scenario: Scenario, policy: Policy | None, agent: Agent | Demonstrator, *, horizon: int | None) -> Actor:
    """An actor for control worlds: segments of `horizon` steps, or whole episodes without one."""
    from ..agents.control import scripted
    from ..agents.control.control_actor import ControlActor
    from ..agents.control.mlp import ActorCritic

    behaviour: scripted.Behaviour
    if isinstance(agent, MlpAgentSpec):
        assert isinstance(policy, ActorCritic), "make_policy has made one"
        behaviour = policy
    elif isinstance(agent, ScriptedAgentSpec):
        behaviour = scripted.ScriptedAgent(load_function(agent.function), _spaces(scenario)[1])
    else:
        behaviour = scripted.RandomAgent(_spaces(scenario)[1])
    mode = "episodes" if horizon is None else "segments"
    return ControlActor(behaviour, scenario.world.id, scenario.world.options, mode=mode, horizon=horizon)


def _speaking(scenario: Scenario, policy: Policy | None) -> Actor:
    """The scenario's own agent in a conversation."""
    if policy is None:
        return _writing(scenario, scenario.agent, None)
    from ..agents.language.chat_template import Renderer
    from ..agents.language.conversation_actor import ConversationActor
    from ..agents.language.engines.transformers_engine import TransformersEngine
    from ..agents.language.language_policy import LanguagePolicy

    assert isinstance(policy, LanguagePolicy), "check_parts has seen to it"
    sampling = scenario.sampling or Sampling()
    renderer = Renderer(policy.tokenizer, policy.end_ids)
    return ConversationActor(
        _world_maker(scenario),
        TransformersEngine(policy, stop_ids=renderer.stop_ids, precision=scenario.precision),
        renderer,
        context=policy.context,
        max_tokens=sampling.max_tokens,
        patience=_patience(scenario),
    )


def _writing(scenario: Scenario, agent: Agent | Demonstrator, policy: Policy | None) -> Actor:
    """An actor whose replies are text from somebody without parameters, in `policy`'s tokens."""
    from ..agents.language.chat_template import Renderer
    from ..agents.language.conversation_actor import ConversationActor
    from ..agents.language.language_policy import LanguagePolicy
    from ..agents.language.tiny_llama import tiny_tokenizer

    language = policy if isinstance(policy, LanguagePolicy) else None
    renderer = Renderer(language.tokenizer, language.end_ids) if language else Renderer(tiny_tokenizer())
    context = language.context if language else 1_000_000
    world, patience = _world_maker(scenario), _patience(scenario)
    return ConversationActor(world, _author(agent), renderer, context=context, patience=patience)


def _patience(scenario: Scenario) -> Patience:
    """The limits of time that the scenario gives, and the usual ones where it gives none."""
    from ..agents.language.scheduling import Patience

    given = {"step": scenario.world.step_seconds, "episode": scenario.world.episode_seconds}
    return Patience(**{name: seconds for name, seconds in given.items() if seconds is not None})


def _author(agent: Agent | Demonstrator) -> Author:
    """An agent without parameters; a script sees the messages."""
    from ..agents.language.authors import Chance, Oracle, Script

    if isinstance(agent, ScriptedAgentSpec):
        return Script(load_function(agent.function))
    return Oracle() if isinstance(agent, OracleAgentSpec) else Chance()


def _world_maker(scenario: Scenario) -> Callable[[], gymnasium.Env[Any, Any]]:
    name, options = scenario.world.id, scenario.world.options
    return lambda: make_world(name, **options)
