"""What has to lie in a model's folder, looked at before anything of it is loaded."""

from __future__ import annotations

import json
from pathlib import Path

from ...envs.errors import UserError, nearest

_INDEX = "model.safetensors.index.json"
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt", "tekken.json")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.h5", "*.msgpack")
_WANTED = "a model's folder holds config.json, tokenizer.json and *.safetensors"


def check_parts_are_there(folder: Path) -> None:
    """`UserError` for a folder that lacks its configuration, its tokenizer or some of its weights."""
    try:
        names = sorted(file.name for file in folder.iterdir())
    except OSError as error:
        raise UserError(f"the model's folder {folder} cannot be read: {error.strerror or error}") from error
    if not names:
        raise UserError(f"{folder} is empty, so it has no config.json; {_WANTED}")
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


def damaged_json(folder: Path) -> str | None:
    """The first `*.json` of a folder that holds no JSON, and why, for a loader that failed without naming it."""
    for file in sorted(folder.glob("*.json")):
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            return f"{file} is damaged: {error}"
        if not isinstance(found, dict) and file.name != "vocab.json":
            return f"{file} is damaged: it holds no JSON object, but {type(found).__name__}"
    return None


def _no_config(folder: Path, names: list[str]) -> str:
    if "adapter_config.json" in names:
        return (
            f"{folder} holds an adapter (LoRA) and no whole model: merge it into its base model first (in peft, "
            "merge_and_unload and save_pretrained), and name that folder"
        )
    if any(name.endswith(".gguf") for name in names):
        file = next(name for name in names if name.endswith(".gguf"))
        return f"{folder} has no config.json; name the GGUF file in it: {folder / file}"
    if "scenario.yaml" in names or "progress.json" in names:
        return (
            f"{folder} has no config.json: it is of a run, not a model; to begin with a run's agent, use agent.origin"
        )
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
