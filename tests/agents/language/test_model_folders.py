"""Mistakes in model folders: each is one sentence that names the file or the tensor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from broken_models import (
    cut,
    good_model,
    in_two_parts,
    model,
    more_tokens,
    renamed,
    settings,
    spoiled,
    weights,
    without,
)

from peripatos.agents.language.model_files import load_language_model
from peripatos.agents.language.model_names import check_model_is_there
from peripatos.envs.errors import UserError


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


Q = "model.layers.1.self_attn.q_proj.weight"
FOUND_BEFORE = [
    (empty, "is empty, so it has no config.json"),
    (without("config.json"), r"has no config\.json"),
    (without("tokenizer.json"), r"has no tokenizer: there is no tokenizer\.json"),
    (without("model.safetensors"), r"has no weights: there is no \*\.safetensors"),
    (renamed("model.safetensors", "pytorch_model.bin"), r"only pytorch_model\.bin, and pickles are not read"),
    (renamed("config.json", "adapter_config.json"), "holds an adapter .LoRA. .*merge it"),
    (in_two_parts, r"lacks 1 of the 2 files of weights .*: model-2\.safetensors"),
    (cut("model.safetensors"), r"model\.safetensors.*cut"),
    (cut("config.json"), r"config\.json cannot be read"),
    (settings("config.json", num_hidden_layers=1000), r"num_hidden_layers is 1000"),
]
FOUND_LOADING = [
    (cut("tokenizer.json"), r"tokenizer\.json is damaged"),
    (settings("config.json", model_type="no_such"), "no_such"),
    (settings("config.json", hidden_size=64), r"config\.json does not fit its weights: .* has the shape"),
    (settings("config.json", num_hidden_layers=1), r"more layers than its config\.json says: model\.layers\.1"),
    (
        settings("config.json", num_hidden_layers=3),
        r"lacks weights that a LlamaForCausalLM has: model\.layers\.2.*random numbers",
    ),
    (weights(lambda tensors: tensors.pop(Q)), f"lacks weights .*: {Q}"),
    (spoiled(Q, float("nan")), f"not finite .*: {Q}"),
    (spoiled("model.norm.weight", float("inf")), r"not finite .*: model\.norm\.weight"),
    (spoiled("lm_head.weight", float("-inf")), r"not finite .*: lm_head\.weight"),
    (more_tokens, r"has more tokens than the model, 2 beyond its \d+: '<extra>' is number"),
]


@pytest.mark.parametrize(("damage", "words"), FOUND_BEFORE)
def test_what_a_folder_lacks_is_said_before_anything_is_loaded(tmp_path, damage, words):
    folder = tmp_path / "model"
    model(damage)(folder)
    for ask in (check_model_is_there, load_language_model):
        with pytest.raises(UserError, match=words):
            ask(str(folder))


@pytest.mark.parametrize(("damage", "words"), FOUND_LOADING)
def test_what_is_wrong_inside_is_said_when_it_is_loaded(tmp_path, damage, words):
    folder = tmp_path / "model"
    model(damage)(folder)
    with pytest.raises(UserError, match=words):
        load_language_model(str(folder))


def test_a_whole_folder_is_loaded_and_a_file_is_no_folder():
    loaded, _ = load_language_model(str(good_model()))
    assert torch.isfinite(loaded.lm_head.weight).all()
    with pytest.raises(UserError, match=r"is a file; a model is a folder"):
        load_language_model(str(good_model() / "config.json"))
