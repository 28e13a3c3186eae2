"""Mistakes in model folders: each is one sentence that names the file or the tensor."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from peripatos.agents.language.model_files import check_local_model, load_language_model
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.envs.errors import UserError


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "good"
    model, tokenizer = tiny_llama(seed=0, hidden=32, layers=2, heads=2)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def cut(name):
    return lambda f: (f / name).write_bytes((f / name).read_bytes()[: (f / name).stat().st_size // 2])


def without(name):
    return lambda f: (f / name).unlink()


def config(**changes):
    def change(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))

    return change


def weights(change):
    def changed(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return changed


def spoil(name, value):
    return weights(lambda tensors: tensors[name].view(-1)[-1].fill_(value))


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def adapter(folder: Path) -> None:
    (folder / "config.json").rename(folder / "adapter_config.json")


def sharded(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    names = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def more_tokens(folder: Path) -> None:
    tokenizer = tiny_llama(seed=0, hidden=32, layers=2, heads=2)[1]
    tokenizer.add_tokens(["<extra>", "ä"])
    tokenizer.save_pretrained(folder)


Q = "model.layers.1.self_attn.q_proj.weight"
FOUND_BEFORE = [
    (empty, "is empty, so it has no config.json"),
    (without("config.json"), r"has no config\.json"),
    (without("tokenizer.json"), r"has no tokenizer: there is no tokenizer\.json"),
    (without("model.safetensors"), r"has no weights: there is no \*\.safetensors"),
    (pickled, r"only pytorch_model\.bin, and pickles are not read"),
    (adapter, "holds an adapter .LoRA. .*merge it"),
    (sharded, r"lacks 1 of the 2 files of weights .*: model-2\.safetensors"),
    (cut("model.safetensors"), r"model\.safetensors.*cut"),
    (cut("config.json"), r"config\.json cannot be read"),
    (config(num_hidden_layers=1000), r"num_hidden_layers is 1000"),
]
FOUND_LOADING = [
    (cut("tokenizer.json"), r"tokenizer\.json is damaged"),
    (config(model_type="no_such"), "no_such"),
    (config(hidden_size=64), r"config\.json does not fit its weights: .* has the shape"),
    (config(num_hidden_layers=1), r"more layers than its config\.json says: model\.layers\.1"),
    (config(num_hidden_layers=3), r"lacks weights that a LlamaForCausalLM has: model\.layers\.2.*random numbers"),
    (weights(lambda tensors: tensors.pop(Q)), f"lacks weights .*: {Q}"),
    (spoil(Q, float("nan")), f"not finite .*: {Q}"),
    (spoil("model.norm.weight", float("inf")), r"not finite .*: model\.norm\.weight"),
    (spoil("lm_head.weight", float("-inf")), r"not finite .*: lm_head\.weight"),
    (more_tokens, r"has 2 tokens that the model lacks, which has \d+: '<extra>' is number"),
]


@pytest.mark.parametrize(("damage", "words"), FOUND_BEFORE)
def test_what_a_folder_lacks_is_said_before_anything_is_loaded(good, tmp_path, damage, words):
    folder = shutil.copytree(good, tmp_path / "model")
    damage(folder)
    for ask in (check_local_model, load_language_model):
        with pytest.raises(UserError, match=words):
            ask(str(folder))


@pytest.mark.parametrize(("damage", "words"), FOUND_LOADING)
def test_what_is_wrong_inside_is_said_when_it_is_loaded(good, tmp_path, damage, words):
    folder = shutil.copytree(good, tmp_path / "model")
    damage(folder)
    with pytest.raises(UserError, match=words):
        load_language_model(str(folder))


def test_a_whole_folder_is_loaded_and_a_file_is_no_folder(good):
    model, _ = load_language_model(str(good))
    assert torch.isfinite(model.lm_head.weight).all()
    with pytest.raises(UserError, match=r"is a file; a model is a folder"):
        load_language_model(str(good / "config.json"))
