"""Language models by name, and the engines that draw from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...envs.errors import UserError, nearest
from ..config.voices import CausalLMVoice

if TYPE_CHECKING:
    from ...agents.language.chat_template import Renderer
    from ...agents.language.language_policy import LanguagePolicy, Precision
    from ...agents.protocols import Engine


def check_model_is_there(model: str) -> None:
    """UserError for a path to nothing, and for a folder that is no model's. Hub ids and packages are looked up only
    when the model is loaded."""
    path = Path(model).expanduser()
    local = path.is_absolute() or model.startswith((".", "~")) or path.suffix == ".gguf"
    if local and not model.startswith("package:") and not path.exists():
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(f"there is no model folder or .gguf file {model!r}.{nearest(path.name, beside)}")
    if path.is_dir() and not model.startswith("package:"):
        from ...agents.language.model_files import check_local_model

        check_local_model(model)


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
