"""The agent that learns, made from the words of a scenario. What is heavy is imported where it is needed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ...agents.protocols import Policy
from ...envs.control.flat_spaces import Actions, Observations
from ...envs.errors import UserError
from ...envs.seeding import derive_seed
from ...envs.world_source import WorldSource
from ..config.agents import CausalLMAgentSpec, MlpAgentSpec, TinyLlamaAgentSpec
from ..config.mistakes import WrongPart, at
from ..config.schema import Sampling, Scenario
from ..config.voices import CausalLMVoice
from .rendering import context_of, give_template, make_renderer
from .settings import stage_method
from .symmetries import known_mirror

if TYPE_CHECKING:
    from ...agents.language.language_policy import LanguagePolicy


def make_policy(scenario: Scenario, device: str, source: WorldSource) -> Policy | None:
    """The agent that learns, freshly initialised; None for agents that cannot.

    With one thread: how many there are changes the last digits of orthogonal weights.
    """
    from ...agents.threads import torch_threads

    with torch_threads(1), _naming_its_model(scenario):
        return _make_policy(scenario, device, source)


def is_at_hand(spec: object) -> bool:
    """Whether whoever acts or speaks can be made without fetching a model."""
    if not isinstance(spec, CausalLMAgentSpec | CausalLMVoice):
        return True
    from ...agents.language.model_names import is_on_disk

    return is_on_disk(spec.model, spec.revision)


@contextmanager
def _naming_its_model(scenario: Scenario) -> Iterator[None]:
    """What is wrong with a model stands at `agent.model`, and says which model it is."""
    agent = scenario.agent
    try:
        yield
    except UserError as problem:
        if not isinstance(agent, CausalLMAgentSpec):
            raise
        place = problem.place if isinstance(problem, WrongPart) else ("agent", "model")
        named = str(Path(agent.model)) in str(problem)
        raise WrongPart(place, str(problem) if named else f"the model {agent.model!r}: {problem}") from problem


def _make_policy(scenario: Scenario, device: str, source: WorldSource) -> Policy | None:
    critic = any(stage_method(stage).needs_head for stage in scenario.stages if stage.method)
    if isinstance(scenario.agent, MlpAgentSpec):
        from ...agents.control.mlp import ActorCritic

        seen, action = Observations(source.facts.observation_space), Actions(source.facts.action_space).stored
        seed = derive_seed(scenario.seed, "policy")
        memory = scenario.agent.memory.size if scenario.agent.memory else 0
        sizes = {"pictures": seen.pictures, "hidden": scenario.agent.hidden, "memory": memory}
        noise = {} if scenario.agent.log_std is None else {"log_std": scenario.agent.log_std}
        mirror = known_mirror(scenario.agent, source.facts) if critic else None
        policy = ActorCritic(seen.numbers, action, critic=critic, mirror=mirror, seed=seed, **noise, **sizes)
        return policy.to(device)
    if isinstance(scenario.agent, TinyLlamaAgentSpec | CausalLMAgentSpec):
        return _make_language_policy(scenario, critic).to(device)
    return None


def _make_language_policy(scenario: Scenario, critic: bool) -> LanguagePolicy:
    from transformers.utils import logging

    from ...agents.language.language_policy import LanguagePolicy
    from ...agents.language.model_checks import check_model, check_precision

    logging.disable_progress_bar()  # it would write into ours
    agent, sampling = scenario.agent, scenario.sampling or Sampling()
    if isinstance(agent, TinyLlamaAgentSpec):
        from ...agents.language.tiny_llama import tiny_llama

        seed = derive_seed(scenario.seed, "policy")
        parts = tiny_llama(seed=seed, hidden=agent.hidden, layers=agent.layers, heads=agent.heads)
    else:
        assert isinstance(agent, CausalLMAgentSpec)
        from ...agents.language.model_files import load_language_model

        parts = load_language_model(agent.model, revision=agent.revision)
        give_template(parts[1], agent)
    path, lora = check_model(LanguagePolicy(*parts)), None
    if isinstance(agent, CausalLMAgentSpec) and agent.lora is not None:
        from ...agents.language.lora import Lora, add_adapter

        lora = Lora(agent.lora.rank, agent.lora.alpha, tuple(agent.lora.targets))
        with at("agent", "lora"):
            add_adapter(parts[0], lora, seed=derive_seed(scenario.seed, "lora"))
    policy = LanguagePolicy(
        *parts,
        critic=critic,
        **sampling.model_dump(include={"temperature", "top_p", "top_k", "min_p"}),
        precision=scenario.precision,
        path=path,
        lora=lora,
    )
    check_precision(policy)
    make_renderer(policy, scenario)  # refuses a template whose replies nothing ends
    context_of(policy, scenario)
    return policy


def make_twin(policy: Policy) -> Policy:
    """A copy that acts while `policy` learns; weights that nobody trains (all of a model with LoRA but its adapter) are
    not copied."""
    kept = {id(parameter): parameter for parameter in policy.module().parameters() if not parameter.requires_grad}
    return copy.deepcopy(policy, kept)


def make_reference(policy: Policy) -> Policy:
    """A frozen twin."""
    reference = make_twin(policy)
    reference.module().requires_grad_(False)
    return reference
