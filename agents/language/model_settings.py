"""What a model's config.json may say, looked at before anything of it is loaded: each setting by the kind of its name.

    layers, sides, heads         whole numbers from 1
    *_eps, *_epsilon             numbers above 0, up to 1
    *_theta                      numbers above 0
    *dropout, *pdrop             numbers from 0 to 1
    *_token_id                   whole numbers within the vocabulary; a negative one stands for none
    dtype                        a type of numbers that torch has
    num_key_value_heads          a divisor of num_attention_heads
    architectures                classes that the installed transformers has
    quant_method                 one that the installed transformers can read

The last two a loader passes over without a word: it goes by model_type, and reads what it cannot undo as it is.
Lists have one value for each layer, and are left to the loader of the model's kind, as the rest is; `configured` says
with file and key what such a loader says.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from ...envs.errors import UserError, nearest
from ...envs.quantities import shown

_LAYERS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers")
_SIZES = ("vocab_size", "hidden_size", "intermediate_size", "max_position_embeddings", "head_dim")
_WHOLE = (*_LAYERS, *_SIZES, "num_attention_heads", "num_key_value_heads")
_SPECIAL = ("eos_token_id", "bos_token_id", "pad_token_id", "decoder_start_token_id")
_DTYPES = ("float32", "float16", "bfloat16", "auto")
_OBJECTS = ("rope_parameters", "rope_scaling", "quantization_config", "text_config")
_IN_WORDS = {"bool": "true or false", "str": "text", "int": "a whole number", "float": "a number with a point"}
_FIELD = re.compile(r"[Vv]alidation error for field '(?P<key>\w+)'")
_RULE = re.compile(r"Class validation error for validator '\w+': \w+: ")
_WANTED = re.compile(r"Field '\w+' expected (?P<kind>\w+), got \w+ \(value: ")


def check_settings(file: Path, config: Mapping[str, Any]) -> None:
    """UserError for a value in config.json, or in one of its parts, that no model could have."""
    if not isinstance(config.get("model_type", ""), str):
        raise _refused(file, "model_type", config["model_type"], 'the name of a kind of model, such as "llama"')
    for part in _parts(config):
        for key, value in part.items():
            allowed = None if value is None else _unless_fitting(key, value)
            if allowed is not None:
                raise _refused(file, key, value, allowed)
        _check_heads(file, part)
        _check_known(file, part)
    _check_special(file, config)


def configured(file: Path, error: Exception) -> str | None:
    """What a loader says of a setting in config.json, with the file, the key and its value; None if it names none."""
    words = " ".join(str(error).split())
    found = _FIELD.search(words)
    if found is None:
        rule = _RULE.match(words)
        return f"{file}: {words[rule.end() :]}" if rule else None
    key = found["key"]
    values = [part[key] for part in _parts(_read(file) or {}) if key in part]
    kinds = [_IN_WORDS[one["kind"]] for one in _WANTED.finditer(words) if one["kind"] in _IN_WORDS]
    if not values or not kinds:
        return f"{file}: {words}"
    return str(_refused(file, key, values[0], " or ".join(dict.fromkeys(kinds))))


def _parts(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The settings themselves, and those of the part that reads text in a model of several."""
    yield config
    if isinstance(part := config.get("text_config"), Mapping):
        yield part


def _refused(file: Path, key: str, value: object, allowed: str) -> UserError:
    return UserError(f"{file}: {key} is {shown(value)}; allowed is {allowed}")


def _unless_fitting(key: str, value: object) -> str | None:
    """What the setting `key` may be, unless `value` is that."""
    if key == "architectures":
        named = isinstance(value, list) and all(isinstance(one, str) for one in value)
        return None if named else 'a list of names, such as ["LlamaForCausalLM"]'
    if key in _OBJECTS:
        return None if isinstance(value, Mapping) else "an object, {…}"
    if isinstance(value, list | Mapping):
        return None
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if key in _WHOLE:
        return None if isinstance(number, int) and number >= 1 else "a whole number from 1"
    if key.endswith(("_eps", "_epsilon")):
        return None if 0 < number <= 1 else "a number above 0, up to 1"
    if key.endswith("_theta"):
        return None if 0 < number < math.inf else "a number above 0"
    if key.endswith(("dropout", "pdrop")):
        return None if 0 <= number <= 1 else "a number from 0 to 1"
    if key in ("dtype", "torch_dtype"):
        name = str(value).removeprefix("torch.")
        known = name == "auto" or isinstance(getattr(torch, name, None), torch.dtype)
        return None if known else f"one of {', '.join(_DTYPES)}.{nearest(name, _DTYPES)}"
    return None


def _check_heads(file: Path, config: Mapping[str, Any]) -> None:
    """UserError for heads among which the keys cannot be shared out."""
    heads, shared = config.get("num_attention_heads"), config.get("num_key_value_heads")
    if isinstance(heads, int) and isinstance(shared, int) and heads % shared:
        raise _refused(file, "num_key_value_heads", shared, f"a divisor of num_attention_heads, {heads}")


def _check_known(file: Path, config: Mapping[str, Any]) -> None:
    """UserError for classes of models, or a way to pack weights, of which the installed transformers knows nothing."""
    import transformers

    classes = config.get("architectures") or ()
    there = transformers.__all__  # pyright: ignore[reportAttributeAccessIssue] (a lazy module makes it)
    if classes and not set(classes) & set(there):
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as OWN

        kind, near = str(config.get("model_type")), nearest(classes[0], OWN.values())
        hint = f'; a {kind} is ["{OWN[kind]}"]' if kind in OWN else f".{near}"
        raise _refused(file, "architectures", classes, f"a class of transformers {transformers.__version__}{hint}")
    method = (config.get("quantization_config") or {}).get("quant_method")
    if method is not None:
        from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING

        known = sorted({"bitsandbytes", *map(str, AUTO_QUANTIZATION_CONFIG_MAPPING)})
        if method not in known:
            allowed = f"one of {', '.join(known)}.{nearest(str(method), known)}"
            raise _refused(file, "quantization_config.quant_method", method, allowed)


def _check_special(file: Path, config: Mapping[str, Any]) -> None:
    text = config.get("text_config")
    size = (text if isinstance(text, Mapping) else config).get("vocab_size")
    if not isinstance(size, int):
        return
    for other in (file, file.with_name("generation_config.json")):
        for name in _SPECIAL:
            given = ((config if other == file else _read(other)) or {}).get(name)
            for number in given if isinstance(given, list) else [given]:
                if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number >= size):
                    raise UserError(
                        f"{other}: {name} is {shown(given)}; allowed are whole numbers from 0 to {size - 1}"
                    )


def _read(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
