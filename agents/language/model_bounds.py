"""What a model's folder may ask for, looked at before anything of it is loaded: sizes of files, and claims of headers.

    *.json, *.model, *.jinja …     at most 512 MiB each: tokenizers of known models have up to 40
    config.json                    at most 4 MiB; it claims no more layers and no larger sides than the weights hold
    *.safetensors                  a header of at most 100 MB, whose tensors lie within the file, one behind the other

Weights in pickles are not read at all. A folder without weights is left to its loader, which says so.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...envs.errors import UserError
from .model_settings import check_settings

MAX_FILE = 512 << 20  # bytes, of what is not weights
MAX_CONFIG = 4 << 20
MAX_HEADER = 100_000_000  # bytes; the format's own limit
_WEIGHTS = (".safetensors", ".gguf", ".bin", ".pt", ".pth", ".h5", ".msgpack", ".onnx")
_POINTER = b"version https://git-lfs"
_SIZES = ("vocab_size", "hidden_size", "intermediate_size")
_WHOLE = ("I", "U", "BOOL")  # types of safetensors
_LAYERS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers")


def check_folder(folder: Path) -> None:
    """UserError for a model's folder that is too large to be read, or whose config claims what its weights lack."""
    for file in sorted(folder.iterdir()):
        if not file.is_file():
            continue
        if file.suffix not in _WEIGHTS and file.stat().st_size > MAX_FILE:
            raise UserError(f"{file} has more than {MAX_FILE >> 20} MiB, which no tokenizer needs")
        _check_that_it_was_fetched(file)
    config = _config(folder / "config.json")
    if config is not None:
        check_settings(folder / "config.json", config)
    shapes = [shape for file in sorted(folder.glob("*.safetensors")) for shape in tensor_shapes(file)]
    if not shapes or config is None:
        return
    largest = max(max(shape, default=1) for shape in shapes)
    for part in (config, *(value for value in config.values() if isinstance(value, Mapping))):
        for name in _LAYERS:
            _at_most(folder, part, name, len(shapes), "tensors are there")
        for name in _SIZES:
            _at_most(folder, part, name, largest, "is the longest side of its weights")


def _check_that_it_was_fetched(file: Path) -> None:
    """UserError for a file of a model that is empty, or stands for one that was not fetched."""
    if file.suffix not in (".json", ".safetensors", ".model"):
        return
    try:
        with file.open("rb") as stream:
            begins = stream.read(len(_POINTER))
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}") from error
    if not begins:
        raise UserError(f"{file} is empty; get it anew")
    if begins == _POINTER:
        raise UserError(f"{file} is a pointer of git lfs, not the file itself; fetch it with: git lfs pull")


def tensor_shapes(file: Path) -> Iterator[tuple[int, ...]]:
    """The shapes in the header of a safetensors file. UserError if the header claims what the file does not hold."""
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > min(MAX_HEADER, size - 8):
                raise UserError(
                    f"{file} claims a header of {length} bytes, and has {size}: it was cut, or is no safetensors file"
                )
            header = json.loads(stream.read(length))
        tensors = {name: tensor for name, tensor in header.items() if name != "__metadata__"}
        for name, tensor in tensors.items():
            begin, end = tensor["data_offsets"]
            shape = tuple(int(side) for side in tensor["shape"])
            if not (0 <= begin <= end <= size - 8 - length and all(side >= 0 for side in shape)):
                raise UserError(
                    f"{file}: the tensor {name!r:.80} does not lie within the file, which was cut: get it anew"
                )
            if math.prod(shape) > 8 * (end - begin):  # no type of number is smaller than a bit
                raise UserError(f"{file}: the tensor {name!r:.80} claims {shape}, and has {end - begin} bytes")
            if name.endswith("weight") and str(tensor["dtype"]).startswith(_WHOLE):
                raise UserError(
                    f"{file}: the tensor {name!r:.80} is of type {tensor['dtype']}, whole numbers; weights of a model "
                    "that learns are floating point (F32, BF16, F16): take one that is not quantised"
                )
            yield shape
    except UserError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, struct.error) as problem:
        raise UserError(f"{file} is no safetensors file: {type(problem).__name__}: {problem}") from problem


def _config(file: Path) -> dict[str, Any] | None:
    if not file.is_file():
        return None
    if file.stat().st_size > MAX_CONFIG:
        raise UserError(f"{file} has more than {MAX_CONFIG >> 20} MiB")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise UserError(f"{file} cannot be read: {problem}") from problem
    if not isinstance(config, dict):
        raise UserError(f"{file} is no configuration of a model: it holds a {type(config).__name__}, not an object")
    return config


def _at_most(folder: Path, config: Mapping[str, Any], name: str, most: int, what: str) -> None:
    claimed = config.get(name)
    if isinstance(claimed, int | float) and claimed > most:
        raise UserError(f"{folder / 'config.json'}: {name} is {claimed}, and {most} {what}")
