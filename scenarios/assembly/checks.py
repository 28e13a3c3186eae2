"""What can be wrong with a scenario and is found before its first episode, named with file and line."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ...algorithms.methods import METHODS, Method
from ...envs.control.flat_spaces import Actions
from ...envs.control.learnable import unlearnable
from ...envs.conversation.pair_world import PairWorld
from ...envs.errors import UnknownWorld, UnsupportedWorld, UserError, WrongKey
from ...envs.named_objects import load_function
from ...envs.registry import WorldKind
from ...envs.user_code import told
from ...envs.world_source import WorldFacts, WorldSource
from ..cluster.choose import check_cluster
from ..config.agents import CausalLMAgentSpec, MlpAgentSpec, OpenAIAgentSpec, ScriptedAgentSpec
from ..config.keys import Place
from ..config.mistakes import WrongPart, at, placed
from ..config.schema import Sampling, Scenario, Stage
from ..run.episode_statistics import check_goals
from ..trackers import check_trackers
from .batch_parts import check_company, check_minibatches
from .curricula import check_curriculum
from .engines import check_engine
from .learners import completed
from .memories import check_memory
from .method_fits import (
    check_age,
    check_answers,
    check_compared,
    check_discount,
    check_judge,
    check_refill,
    check_shown,
    check_world_fits,
)
from .no_effect import (
    check_budget,
    check_first,
    check_goals_in_world,
    check_revisions,
    check_room,
    check_variants,
)
from .rehearsal import check_named_goals, check_oracles
from .roles import check_roles
from .settings import choose_device, learns_from_shown, optimizer_settings, stage_method
from .several import check_alike, check_overrides, check_shares
from .sizes import check_sizes
from .symmetries import check_symmetry
from .texts import texts_of
from .voices import check_voices
from .worlds import WorldSources, written_down

if TYPE_CHECKING:
    from ..config.yaml_text import Source

_PARTS = {"pairs": "pairs", "chats": "conversations", "text": "windows"}  # of what is written, in an update
_REHEARSAL = 60.0  # seconds for a world that waits to begin; what takes longer is left to the run


def check_parts(scenario: Scenario, source: Source | None = None) -> WorldSources:
    """UserError for everything about a scenario that can be known without running it.

    With `source` the message begins with the file and the line. What was asked for answers is given, so that nobody
    has to ask again: the sources of the scenario's worlds, to be closed by the caller.
    """
    worlds = WorldSources.of(scenario)
    try:
        with placed(source):
            _check_parts(scenario, worlds, source)
    except BaseException:
        worlds.close()
        raise
    return worlds


def _check_parts(scenario: Scenario, worlds: WorldSources, source: Source | None) -> None:
    with at("device"):
        choose_device(scenario.device, scenario.agent)
    with at("trackers"):
        check_trackers(scenario.trackers)
    with at("cluster"):
        check_cluster(scenario)
    with at("engine"):
        check_engine(scenario)
    kind = _check_worlds(scenario, worlds)
    with at("evaluation", "episodes"):
        worlds.evaluated(scenario, scenario.evaluation.split)
    check_first(scenario, worlds.evaluated(scenario, "validation"), source)
    with at("agent"):
        _check_agent(scenario, kind)
    check_room(scenario)
    for number, stage in enumerate(scenario.stages):
        for name, goal in stage.stop.items():
            with at("stages", number, "stop", name):
                check_goals({name: goal}, list(scenario.alone()) if scenario.worlds else [])
        if stage.method is None:
            continue
        check_goals_in_world(scenario, number, worlds.first.facts)
        with at("stages", number, "overrides" if stage.method in METHODS else "method"):
            row = stage_method(stage)
        with at("stages", number, "optimizer"):
            optimizer_settings(stage)
        with at("stages", number):
            check_world_fits(stage, row, worlds.first.facts)
            check_judge(scenario, stage, row)
            check_answers(stage, row, worlds.values())
            check_discount(stage, row, worlds.values())
            _check_stage(stage, row, kind)
            check_roles(scenario, stage, row)
            check_refill(scenario, stage, row)
            _check_written(scenario, stage, kind)
            check_curriculum(scenario, stage, row, worlds)
            _check_epochs(stage, worlds)
            _check_overlong(row, (scenario.sampling or Sampling()).max_tokens)
            check_shares(scenario, stage)
        with at("stages", number, "overrides", "update", "length"):
            completed(row, scenario, worlds)
        check_budget(scenario, number, worlds.first.facts, source)
        check_memory(scenario, number, row, worlds.first.facts)
        check_minibatches(scenario, number, row, worlds.first.facts)
    for number, world in enumerate(scenario.worlds):
        with at("worlds", number, "overrides"):
            check_overrides(scenario, world)
    for number, stage in enumerate(scenario.stages):
        if stage.method is not None:
            check_company(scenario, number, stage_method(stage), worlds)
    check_compared(scenario)
    check_oracles(scenario, worlds)
    check_symmetry(scenario, worlds)
    check_sizes(scenario, worlds.first.facts)
    check_variants(scenario)
    check_named_goals(scenario, worlds)


def _check_noise(scenario: Scenario, facts: WorldFacts) -> None:
    """That there are real actions, if the agent is told where their noise begins."""
    agent = scenario.agent
    if not isinstance(agent, MlpAgentSpec) or agent.log_std is None or facts.kind != "control":
        return
    if not Actions(facts.action_space).real:
        words = f"agent.log_std is for actions that are real numbers, and those of {scenario.world.id!r} are choices"
        raise WrongPart(("agent", "log_std"), f"{words}, drawn by their probabilities: leave it out")


def _check_worlds(scenario: Scenario, worlds: WorldSources) -> WorldKind:
    """The kind of the scenario's world, or of all of several."""
    if not scenario.worlds:
        return _check_world(scenario, worlds.first).kind
    for number, (alone, source) in enumerate(zip(scenario.alone().values(), worlds.values(), strict=True)):
        try:
            _check_world(alone, source)
        except WrongPart as problem:
            raise WrongPart(("worlds", number, *problem.place[1:]), str(problem)) from problem
    check_alike(scenario, list(worlds.values()))
    return worlds.first.facts.kind


def _check_world(scenario: Scenario, source: WorldSource) -> WorldFacts:
    """The facts of the scenario's only world, which is begun once to see that it can be."""
    with at("world", "id"):
        try:
            facts = source.facts
        except (UnknownWorld, UnsupportedWorld):
            raise
        except WrongKey as problem:  # of a wrapper
            raise WrongPart(("world", *problem.path), str(problem)) from problem
        except UserError as problem:
            raise WrongPart(("world", "options", *_option_in(str(problem), scenario)), str(problem)) from problem
    learns_in_body = scenario.learns and facts.kind == "control"
    if learns_in_body and (why := unlearnable(facts.observation_space, facts.action_space)) is not None:
        raise WrongPart(("world", "id"), f"world {source.id!r}: {why}")
    _check_noise(scenario, facts)
    _check_workers(scenario, facts)
    for name in ("step_seconds", "episode_seconds"):
        limits = facts.waits or (name == "step_seconds" and scenario.world.workers is not None)
        if getattr(scenario.world, name) is not None and not limits:
            reason = "is for worlds that wait for tools or servers; this one is stepped in place, without such a limit"
            more = "; give world.workers as well, to step it in processes" if _is_list(facts, name) else ""
            raise WrongPart(("world", name), f"world.{name} {reason}{more}")
    if scenario.world.threads is not None and not facts.pooled:
        raise WrongPart(
            ("world", "threads"), "world.threads is for bodies that are simulated on a pool; this one is not"
        )
    if scenario.world.at_once is not None and (facts.pooled or facts.kind == "conversation"):
        what = "a pool simulates all of them in one object" if facts.pooled else "conversations are all held at once"
        raise WrongPart(("world", "at_once"), f"world.at_once has nothing to limit here: {what}")
    check_voices(scenario, facts)
    reported = scenario.evaluation.split
    splits = ("train", reported) if any(stage.method for stage in scenario.stages) else (reported,)
    with at("world"):
        source.rehearse(
            splits,
            seconds=scenario.world.step_seconds or _REHEARSAL,
            expert=_needs_expert(scenario, facts.kind),
            scripts=_scripts(scenario, facts),
        )
    return facts


def _option_in(message: str, scenario: Scenario) -> list[str]:
    """The option of the world that a message is about, as far as it has its name in front, or its value."""
    options = scenario.world.options
    named = re.match(
        r"(?:world '[^']*': )?(?:unknown option '(\w+)'|unknown (\w+) |(\w+)(?:[.]\w+)?(?: is |: ))", message
    )
    name = next((name for name in (named.groups() if named else ()) if name), None)
    if name in options:
        return [name]
    texts = {key: value for key, value in options.items() if isinstance(value, str) and value}
    quoted = [key for key, value in texts.items() if repr(value) in message]
    return [*quoted, *(key for key, value in texts.items() if value in message)][:1]


def _is_list(facts: WorldFacts, name: str) -> bool:
    """Whether such a limit would be one of worlds in processes."""
    return name == "step_seconds" and facts.kind == "control" and not facts.pooled


def _check_workers(scenario: Scenario, facts: WorldFacts) -> None:
    """WrongPart where there is nothing that processes could step, or somebody else gives processes."""
    place, reason = ("world", "workers"), "world.workers is for bodies that are stepped one after the other"
    if scenario.world.workers is None:
        return
    if facts.kind == "conversation":
        raise WrongPart(place, f"{reason}; this is a conversation, and conversations are all held at once")
    if facts.pooled:
        raise WrongPart(place, f"{reason}; a pool simulates these: give world.threads")
    if scenario.cluster is not None:
        raise WrongPart(place, f"{reason} in the run's own process, and a cluster's workers collect in theirs")


def _scripts(scenario: Scenario, facts: WorldFacts) -> list[Callable[[np.ndarray], object]]:
    """Who acts by a function in a control world, to be asked once."""
    agents: dict[Place, object] = {("agent",): scenario.agent}
    for number, stage in enumerate(scenario.stages):
        if stage.demonstrations is not None and stage.demonstrations.agent is not None:
            agents["stages", number, "demonstrations", "agent"] = stage.demonstrations.agent
    named = {one.function: (*place, "function") for place, one in agents.items() if isinstance(one, ScriptedAgentSpec)}
    return [partial(_ask_once, *one, facts) for one in named.items()] if facts.kind == "control" else []


def _ask_once(name: str, place: Place, facts: WorldFacts, seen: np.ndarray) -> None:
    """UserError for a script that fails on an observation, or gives an action that the world does not have."""
    from ...agents.control.scripted import ScriptedAgent

    with at(*place), told(f"the script {name} fails on the first observation"):
        ScriptedAgent(load_function(name, "observation"), facts.action_space, facts.observation_space).act(seen[None])


def _needs_expert(scenario: Scenario, kind: WorldKind) -> bool:
    """Whether anybody speaks as the world's own expert."""
    shown = [stage.demonstrations.agent for stage in scenario.stages if stage.demonstrations]
    return kind == "conversation" and any(agent.kind == "oracle" for agent in (scenario.agent, *shown) if agent)


def _check_agent(scenario: Scenario, kind: WorldKind) -> None:
    speaks, learns = scenario.speaks, scenario.learns
    if learns and speaks != (kind == "conversation"):
        fitting = "tiny_llama or causal_lm" if kind == "conversation" else "mlp"
        raise UserError(
            f"an agent of kind {scenario.agent.kind!r} cannot live in {scenario.world.id!r}, a {kind} world; "
            f"use {fitting}"
        )
    if scenario.sampling is not None and not speaks and not isinstance(scenario.agent, OpenAIAgentSpec):
        raise WrongPart(("sampling",), "`sampling` is about tokens; this agent has none")
    if isinstance(scenario.agent, ScriptedAgentSpec):
        with at("agent", "function"):
            load_function(scenario.agent.function, "observation" if kind == "control" else "messages")
    if isinstance(scenario.agent, CausalLMAgentSpec):
        from ...agents.language.model_names import check_model_is_there

        with at("agent", "model"):
            check_model_is_there(scenario.agent.model, scenario.agent.revision)
    if isinstance(scenario.agent, OpenAIAgentSpec):
        from ...agents.language.openai_author import check_server

        if kind != "conversation":
            raise WrongKey(("kind",), f"an agent of kind 'openai' writes, and {scenario.world.id!r} is a {kind} world")
        for name in ("top_k", "min_p"):
            if getattr(scenario.sampling, name, None):
                words = f"a server of this protocol takes no sampling.{name}; it takes temperature and top_p"
                with at("sampling"):
                    raise WrongKey((name,), words)
        check_server(scenario.agent.url, scenario.agent.model, scenario.agent.key_env)
    check_revisions(scenario)


def _check_stage(stage: Stage, row: Method, kind: WorldKind) -> None:
    where, collect = f"stage {stage.name!r} ({row.name})", stage.collect
    segments = row.needs_critic and kind == "control"
    assert collect is not None, "the schema asks for it"
    check_shown(stage, row)
    if segments and collect.horizon is None:
        raise WrongKey(("collect",), f"{where} reads segments: give collect.horizon, and no collect.group_size")
    if segments and collect.group_size != 1:
        raise WrongKey(
            ("collect", "group_size"), f"{where} reads segments: collect.group_size has no meaning; leave it out"
        )
    if not segments and collect.horizon is not None:
        raise WrongKey(
            ("collect", "horizon"), f"{where} reads whole episodes: collect.horizon has no meaning; leave it out"
        )
    check_age(stage, row)
    if row.source != "own" and optimizer_settings(stage).schedule == "adaptive_kl":
        raise WrongKey(
            ("optimizer", "schedule"),
            f"{where}: optimizer.schedule adaptive_kl follows the log-probabilities of who acted, and those "
            f"of {row.source} are unknown; allowed are constant and linear",
        )
    written = None if stage.demonstrations is None else stage.demonstrations.written
    if row.source != "own" and written == "text" and collect.staleness:
        raise WrongKey(("collect", "staleness"), f"{where} reads what is written, which has no age; leave it out")
    if row.source != "own" and written is not None and collect.group_size != 1:
        of_pairs = "reads pairs, which are groups of two by themselves: collect.group_size has no meaning"
        again = f"reads what is written, each part once, and collect.group_size is {collect.group_size}"
        raise WrongKey(
            ("collect", "group_size"),
            f"{where} {of_pairs if written == 'pairs' else again}; leave it out (collect.groups is how many "
            f"{_PARTS[written]} an update sees)",
        )
    if row.source == "own" and row.needs_groups and collect.group_size < 2:
        raise WrongKey(
            ("collect", *(["group_size"] if "group_size" in collect.model_fields_set else [])),
            f"{where} compares the members of a group: collect.group_size must be at least 2",
        )


def _check_written(scenario: Scenario, stage: Stage, kind: WorldKind) -> None:
    """UserError for conversations, pairs or texts that cannot be read, or learned from here."""
    name = None if stage.demonstrations is None else stage.demonstrations.written
    if name is None:
        return
    where, what = ("demonstrations", name), "texts" if name == "text" else name
    if kind != "conversation":
        raise WrongKey(where, f"{what} are for agents that speak, and {scenario.world.id!r} is a {kind} world")
    if scenario.worlds:
        raise WrongKey(where, f"{what} are of no world, and are learned from in a scenario with one; give `world`")
    if name == "text" and learns_from_shown(stage) and stage.budget is not None and stage.budget.env_steps is not None:
        raise WrongKey(
            ("budget", "env_steps"),
            f"stage {stage.name!r} reads texts, and budget.env_steps counts steps of a world, of which it makes none; "
            "give updates, epochs or action_units (tokens)",
        )
    try:
        world, _ = written_down(stage), texts_of(stage)
    except UserError as problem:
        raise WrongKey(where, f"demonstrations.{name}: {problem}") from problem
    if isinstance(world, PairWorld) and world.turns == 1 and stage_method(stage).learns == "process":
        raise WrongKey(
            where,
            f"stage {stage.name!r} ({stage.method}) compares replies turn by turn, and those of a row differ in one "
            "turn here; write method: reward_model, or give conversations that differ in several",
        )


def _check_epochs(stage: Stage, worlds: WorldSources) -> None:
    """UserError for a budget in epochs where tasks are no list. Texts are one, in the tokens of the agent."""
    if texts_of(stage) is not None and learns_from_shown(stage):
        return
    if stage.budget is not None and stage.budget.epochs is not None and worlds.epoch(stage) is None:
        what = "of several worlds" if len(worlds) > 1 else f"of {worlds.first.id!r}"
        raise WrongKey(
            ("budget", "epochs"),
            f"budget.epochs counts passes over a list of tasks, and those {what} are none; give updates",
        )


def _check_overlong(row: Method, most: int) -> None:
    """UserError where a reply would begin to lose reward before its first token, or none can be long enough to."""
    buffer, limit = row.rewards.overlong_buffer, row.rewards.overlong_limit or most
    if buffer is not None and buffer >= limit:
        raise UserError(
            f"rewards.overlong_buffer is {buffer}, but a reply has at most {limit} tokens (rewards.overlong_limit or "
            f"sampling.max_tokens); allowed are 1 to {limit - 1}"
        )
    start = limit - (buffer or max(1, round((row.rewards.overlong_share or 0.0) * limit)))
    if (buffer is not None or row.rewards.overlong_share is not None) and start >= most:
        raise UserError(
            f"rewards.overlong_limit is {limit}, and a reply begins to lose reward at {start} tokens, which none has: "
            f"sampling.max_tokens is {most}; leave overlong_limit out, or give one of {most} or less"
        )
