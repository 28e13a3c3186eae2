"""A model's folder from a stranger: damaged or boastful files end in a sentence, before memory is spent on them."""

from __future__ import annotations

import json
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.model_files import load_language_model
from peripatos.agents.language.model_settings import check_settings
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.envs.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    LanguagePolicy(*tiny_llama(seed=0, hidden=16, layers=1, heads=2)).save(tmp_path)
    return tmp_path


def config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def header(folder: Path, change: Callable[[dict], object], length: int | None = None) -> None:
    """Another header in front of the same tensors."""
    path = folder / "model.safetensors"
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    claims = json.loads(data[8 : 8 + size])
    change(claims)
    text = json.dumps(claims).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data[8 + size :])


def first(claims: dict) -> dict:
    return next(tensor for name, tensor in claims.items() if name != "__metadata__")


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ({"vocab_size": 10**12}, "vocab_size is 1000000000000"),
        ({"hidden_size": 10**9}, "hidden_size"),
        ({"intermediate_size": 10**9}, "intermediate_size"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000"),
        ({"text_config": {"num_hidden_layers": 10**9}}, "num_hidden_layers"),
        ({"model_type": "no_such_model"}, "could not load"),
        ({"auto_map": {"AutoModelForCausalLM": "own--code.Model"}, "model_type": "own"}, "could not load"),
        ({"vocab_size": -1}, "vocab_size is -1; allowed is a whole number"),
        ({"hidden_size": "x"}, "hidden_size is .x.; allowed is a whole number"),
        ({"rms_norm_eps": -1}, "rms_norm_eps is -1; allowed is a number above 0"),
        ({"rms_norm_eps": 1e30}, "rms_norm_eps is 1e.30; allowed is a number above 0, up to 1"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps is nan"),
        ({"dtype": "float7"}, "dtype is 'float7'; allowed is one of float32, .* Did you mean 'float32'"),
        ({"dtype": 16}, "dtype is 16"),
        ({"rope_theta": -5}, "rope_theta is -5; allowed is a number above 0"),
        ({"rope_scaling": {"type": "yarnn", "factor": 2.0}}, "rope_scaling.type is 'yarnn', which is not known"),
        ({"rope_parameters": [1]}, r"rope_parameters is \[1\]; allowed is an object"),
        ({"attention_dropout": 5}, "attention_dropout is 5; allowed is a number from 0 to 1"),
        ({"head_dim": -4}, "head_dim is -4; allowed is a whole number from 1"),
        ({"head_dim": 7}, "config.json: RoPE requires an even"),
        ({"num_key_value_heads": 3}, "num_key_value_heads is 3; allowed is a divisor of num_attention_heads, 2"),
        ({"architectures": "LlamaForCausalLM"}, "architectures is 'LlamaForCausalLM'; allowed is a list"),
        ({"quantization_config": "x"}, "quantization_config is 'x'; allowed is an object"),
        ({"tie_word_embeddings": "yes"}, "config.json: tie_word_embeddings is 'yes'; allowed is true or false"),
        ({"hidden_act": 3}, "config.json: hidden_act is 3; allowed is text"),
        ({"layer_types": ["full"]}, "settings of the model .*config.json: The `layer_types` entries"),
        ({"model_type": 7}, "model_type is 7; allowed is the name of a kind of model"),
    ],
    ids=str,
)
def test_a_config_that_claims_what_the_weights_lack_is_refused(folder: Path, claim: dict, words: str) -> None:
    config(folder, **claim)
    with pytest.raises(UserError, match=words):
        load_language_model(str(folder))


@pytest.mark.parametrize(
    "change",
    [
        lambda claims: first(claims).update(shape=[10**9, 10**9]),
        lambda claims: first(claims).update(shape=[-1, 4]),
        lambda claims: first(claims).update(data_offsets=[0, 10**15]),
        lambda claims: first(claims).update(data_offsets=[10, 0]),
        lambda claims: first(claims).update(shape="x"),
        lambda claims: first(claims).update(dtype="no such type"),
        lambda claims: claims.update(x=1),
        lambda claims: first(claims).clear(),
    ],
)
def test_a_header_that_claims_what_the_file_lacks_is_refused(folder: Path, change: Callable[[dict], object]) -> None:
    header(folder, change)
    with pytest.raises(UserError):
        load_language_model(str(folder))


@pytest.mark.parametrize("length", [2**64 - 1, 2**40, 0, 3])
def test_a_header_of_another_length_than_it_claims_is_refused(folder: Path, length: int) -> None:
    header(folder, lambda claims: None, length)
    with pytest.raises(UserError):
        load_language_model(str(folder))


def test_files_that_are_too_large_are_not_read(folder: Path) -> None:
    with (folder / "tokenizer.json").open("r+b") as file:
        file.truncate(1 << 30)  # a hole: it takes no space
    with pytest.raises(UserError, match="has more than 512 MiB"):
        load_language_model(str(folder))
    with (folder / "tokenizer.json").open("r+b") as file:
        file.truncate(10)
    with (folder / "config.json").open("r+b") as file:
        file.truncate(5 << 20)
    with pytest.raises(UserError, match="has more than 4 MiB"):
        load_language_model(str(folder))


def test_weights_in_a_pickle_are_not_read(folder: Path) -> None:
    mark = folder / "mark"
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(f"cos\nsystem\n(S'touch {mark}'\ntR.".encode())
    with pytest.raises(UserError, match="pickles are not read"):
        load_language_model(str(folder))
    assert not mark.exists()


def test_code_beside_a_model_never_runs(folder: Path) -> None:
    mark = folder / "mark"
    (folder / "own.py").write_text(f"open({str(mark)!r}, 'w')\nclass Model: pass\nclass Config: pass\n")
    config(folder, model_type="own", auto_map={"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"})
    with pytest.raises(UserError):
        load_language_model(str(folder))
    names = folder / "tokenizer_config.json"
    names.write_text(json.dumps(json.loads(names.read_text()) | {"auto_map": {"AutoTokenizer": ["own.Model", None]}}))
    with pytest.raises(UserError):
        load_language_model(str(folder))
    assert not mark.exists()


def test_a_folder_that_is_damaged_anywhere_is_loaded_or_refused_with_a_sentence(folder: Path) -> None:
    """60 damages, each to one file: a few bytes, a cut, or another value in the JSON."""
    seed = int(os.environ.get("PERIPATOS_SEED", "0"))
    rng = random.Random(seed)
    files = {path: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    for number in range(60):
        path, good = rng.choice(list(files.items()))
        bad = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            bad[rng.randrange(min(len(bad), 4000))] = rng.randrange(256)
        path.write_bytes(bad[: rng.randrange(len(bad))] if rng.random() < 0.2 else bad)
        try:
            load_language_model(str(folder))
        except UserError:
            pass
        except BaseException as error:
            raise AssertionError(f"seed {seed}, {number}: {path.name}") from error
        path.write_bytes(good)


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        (
            {"architectures": ["NoSuchForCausalLM"]},
            r"architectures is \['NoSuchForCausalLM'\]; .*a llama is \[\"LlamaFor",
        ),
        ({"architectures": ["LlamaForCausalML"], "model_type": "x"}, r"of transformers .*mean 'LlamaForCausalLM'\?"),
        ({"quantization_config": {"quant_method": "gptqq"}}, r"quant_method is 'gptqq'; allowed is .*'gptq'\?"),
        ({"quantization_config": {"quant_method": 4}}, r"quant_method is 4; allowed is one of"),
    ],
)
def test_a_class_or_a_packing_that_nobody_knows_is_refused_and_not_passed_over(
    tmp_path: Path, claim: dict, words: str
) -> None:
    with pytest.raises(UserError, match=f"config.json: .*{words}"):
        check_settings(tmp_path / "config.json", {"model_type": "llama", **claim})


@pytest.mark.parametrize(
    "claim",
    [
        {"architectures": ["LlamaForCausalLM"]},
        {"architectures": ["MadeForMe", "LlamaForCausalLM"]},
        {"architectures": []},
        {"architectures": None},
        *[{"quantization_config": {"quant_method": name}} for name in ("gptq", "bitsandbytes", "fp8", None)],
    ],
)
def test_what_is_known_or_left_open_is_taken(tmp_path: Path, claim: dict) -> None:
    check_settings(tmp_path / "config.json", {"model_type": "llama", **claim})
