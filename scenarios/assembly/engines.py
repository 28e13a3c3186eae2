"""Language models by name, and the engines that draw from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config.voices import CausalLMVoice

if TYPE_CHECKING:
    from ...agents.language.chat_template import Renderer
    from ...agents.language.language_policy import LanguagePolicy, Precision
    from ...agents.protocols import Engine


def make_engine(policy: LanguagePolicy, renderer: Renderer, precision: Precision = "fp32") -> Engine:
    """An engine that draws from `policy`, whose replies end as `renderer` says."""
    from ...agents.language.model_checks import engine_of

    return engine_of(policy)(policy, stop_ids=renderer.stop_ids, precision=precision)


def model_that_does_not_learn(spec: CausalLMVoice, device: str) -> LanguagePolicy:
    """The model that a voice names. UserError for one that is not there or cannot be used."""
    from ...agents.language.language_policy import LanguagePolicy
    from ...agents.language.model_checks import check_model
    from ...agents.language.model_files import load_language_model

    parts = load_language_model(spec.model, revision=spec.revision)
    model = LanguagePolicy(*parts, temperature=spec.temperature, top_p=spec.top_p)
    check_model(model)
    return model.requires_grad_(False).to(device)
