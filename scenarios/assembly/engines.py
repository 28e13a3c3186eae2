"""Language models by name, and the engines that draw from them."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING

from ...envs.errors import UserError
from ..config.mistakes import at
from ..config.schema import Scenario
from ..config.voices import CausalLMVoice
from .rendering import context_of
from .settings import choose_device

if TYPE_CHECKING:
    from ...agents.language.chat_template import Renderer
    from ...agents.language.language_policy import LanguagePolicy
    from ...agents.protocols import Engine


def check_engine(scenario: Scenario) -> None:
    """UserError where the scenario's engine needs a package or a GPU that is not here, or a server that is not
    there."""
    if scenario.engine is None:
        return
    with at("engine", "vllm", "sleep"):
        device = choose_device(scenario.device, scenario.agent)
        if scenario.engine.vllm.sleep and not device.startswith("cuda"):
            raise UserError(
                f"engine.vllm.sleep gives back a GPU's memory, and this run is on the {device}: leave it out"
            )
    from ...agents.language.engines.vllm_library import check_vllm
    from ...agents.language.engines.vllm_remote import check_server

    with at("engine", "vllm", "url"):
        if scenario.engine.vllm.url is not None:
            check_server(scenario.engine.vllm.url)
            return
    check_vllm()


def make_engine(policy: LanguagePolicy, renderer: Renderer, scenario: Scenario | None = None) -> Engine:
    """What draws from `policy`, whose replies end as `renderer` says: for the agent of `scenario` as that asks, for
    others the one in this process that reads on the model's path."""
    from ...agents.language.model_checks import engine_of

    if scenario is None:
        return engine_of(policy)(policy, stop_ids=renderer.stop_ids)
    if scenario.engine is None:
        return engine_of(policy)(policy, stop_ids=renderer.stop_ids, precision=scenario.precision)
    from ...agents.language.engines.restarting import RestartingEngine
    from ...agents.language.engines.vllm_engine import VllmEngine

    how = scenario.engine.vllm
    make = partial(
        VllmEngine,
        policy,
        stop_ids=renderer.stop_ids,
        precision=how.dtype or scenario.precision,
        context=context_of(policy, scenario),
        memory=how.memory,
        sleeps=how.sleep,
        url=how.url,
    )
    return RestartingEngine(make, lambda words: warnings.warn(words, stacklevel=2))


def model_that_does_not_learn(spec: CausalLMVoice, device: str) -> LanguagePolicy:
    """The model that a voice names. UserError for one that is not there or cannot be used."""
    from ...agents.language.language_policy import LanguagePolicy
    from ...agents.language.model_checks import check_model
    from ...agents.language.model_files import load_language_model

    parts = load_language_model(spec.model, revision=spec.revision)
    model = LanguagePolicy(*parts, **spec.model_dump(include={"temperature", "top_p", "top_k", "min_p"}))
    check_model(model)
    return model.requires_grad_(False).to(device)
