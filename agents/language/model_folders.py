"""What has to lie in a model's folder, looked at before anything of it is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...envs.errors import UserError, nearest
from .model_settings import configured

_INDEX = "model.safetensors.index.json"
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt", "tekken.json")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.h5", "*.msgpack")
_MOST_WORDS, _MOST_NAMES = 400, 5  # characters of a loader's own words; folders that are listed
_WANTED = "a model's folder holds config.json, tokenizer.json and *.safetensors"


def check_parts_are_there(folder: Path) -> None:
    """`UserError` for a folder that lacks its configuration, its tokenizer or some of its weights."""
    try:
        names = sorted(file.name for file in folder.iterdir())
    except OSError as error:
        raise UserError(f"the model's folder {folder} cannot be read: {error.strerror or error}") from error
    if not names:
        raise UserError(f"{folder} is empty, so it has no config.json; {_WANTED}")
    _check_adapter(folder, names)
    if "config.json" not in names:
        raise UserError(_no_config(folder, names))
    if not any(name in names for name in _TOKENIZERS):
        raise UserError(
            f"{folder} has no tokenizer: there is no tokenizer.json; copy it from where the model came from"
        )
    if _INDEX in names:
        _check_shards(folder, names)
    elif not any(name.endswith(".safetensors") for name in names):
        pickles = [file.name for pattern in _PICKLES for file in sorted(folder.glob(pattern))]
        found = (
            f"only {pickles[0]}, and pickles are not read: save it as safetensors" if pickles else "no *.safetensors"
        )
        raise UserError(f"{folder} has no weights: there is {found}")


def why(error: Exception, folder: Path | None) -> str:
    """Why a loader failed, in a few words: a loader may fail without naming the file, or name all that it knows."""
    words = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, KeyError | IndexError | AttributeError | TypeError):
        words = f"{type(error).__name__}: {words}"
    words = words if len(words) <= _MOST_WORDS else f"{words[:_MOST_WORDS]} …"
    if folder is None:
        return words
    settings, file = _settings(folder), folder / "config.json"
    kind = settings.get("model_type")
    if "Unrecognized configuration class" in words:
        return f"{file}: model_type is {kind!r}, which is no causal language model"
    if "does not recognize this architecture" in words:
        words = f"{file}: model_type is {kind!r}, which the installed transformers does not know; a newer one may"
    if "auto_map" in settings:
        words = f"{words} (config.json asks for code of the model's own, and code from a model never runs here)"
    if isinstance(error, KeyError):
        words = next(
            (
                f"{file}: {key} is {value!r}, which is not known"
                for key, value in _within(settings)
                if error.args == (value,)
            ),
            words,
        )
    return _damaged_json(folder) or configured(file, error) or words


def _within(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every key with its value, those of parts behind those of what they belong to."""
    for key, value in settings.items():
        yield f"{above}{key}", value
        if isinstance(value, Mapping):
            yield from _within(value, f"{above}{key}.")


def _settings(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """What config.json, or the file `name`, holds; empty where it cannot be read."""
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _damaged_json(folder: Path) -> str | None:
    """The first `*.json` of a folder that holds no JSON, and why."""
    for file in sorted(folder.glob("*.json")):
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            return f"{file} is damaged: {error}"
        if not isinstance(found, dict) and file.name != "vocab.json":
            return f"{file} is damaged: it holds no JSON object, but {type(found).__name__}"
        if file.name == "tokenizer.json" and "model" not in found:
            return f"{file} is damaged: it has no 'model', the tokens that it knows"
    return None


def _check_adapter(folder: Path, names: list[str]) -> None:
    whole = [name for name in names if name.endswith(".safetensors") and not name.startswith("adapter_")]
    if any(name.startswith("adapter_") for name in names) and not ("config.json" in names and whole):
        base = _settings(folder, "adapter_config.json").get("base_model_name_or_path")
        wanted = f"its base model, {base!r}," if isinstance(base, str) and base else "its base model"
        raise UserError(
            f"{folder} holds an adapter (LoRA) and no whole model: merge it into {wanted} first (peripatos export RUN "
            "--merged, or in peft merge_and_unload and save_pretrained), and name that folder"
        )


def _no_config(folder: Path, names: list[str]) -> str:
    if any(name.endswith(".gguf") for name in names):
        file = next(name for name in names if name.endswith(".gguf"))
        return f"{folder} has no config.json; name the GGUF file in it: {folder / file}"
    if "scenario.yaml" in names or "progress.json" in names:
        run = folder if "scenario.yaml" in names else folder.parent.parent
        return f"{folder} is of a run, and no model; to begin as a run's agent, write agent: {{from: {run}}}"
    if inside := sorted(file.parent.name for file in folder.glob("*/config.json")):
        return f"{folder} has no config.json; in it are the folders of models {', '.join(inside[:_MOST_NAMES])}"
    return f"{folder} has no config.json; {_WANTED}.{nearest('config.json', names)}"


def _check_shards(folder: Path, names: list[str]) -> None:
    index = folder / _INDEX
    try:
        files = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index} is damaged: {type(error).__name__}: {error}") from error
    missing = [str(name) for name in files if name not in names]
    if missing:
        raise UserError(
            f"{folder} lacks {len(missing)} of the {len(files)} files of weights that {_INDEX} names: {missing[0]}"
            + (", …" if len(missing) > 1 else "")
        )
