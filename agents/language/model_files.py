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
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from ...envs.errors import UserError
from .gguf_bounds import check_gguf
from .model_bounds import check_folder
from .model_folders import check_parts_are_there, why
from .model_names import check_model_is_there, located
from .model_weights import check_finite, check_loaded, check_tokens


def load_language_model(model: str, *, revision: str | None = None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The fp32 model and its tokenizer. `model` is a folder, a `.gguf` file, `package:NAME` for a GGUF file inside
    an installed package, or a hub id (with an optional revision).

    `UserError` says what was looked for and what is wrong with it.
    """
    check_model_is_there(model, revision)
    path = located(model)
    if path is not None and path.is_file():
        path = _unpacked(path)
        check_parts_are_there(path)
        check_folder(path)
    what, source = "settings of the model", model if path is None else str(path)
    with _quiet():
        try:
            AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=False)
            what = "tokenizer of the model"
            tokenizer = AutoTokenizer.from_pretrained(source, revision=revision, trust_remote_code=False)
            what = "model"
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
            raise UserError(f"could not load the {what} {model!r}: {why(error, path)}") from error
    loaded, report = found
    check_loaded(model, loaded, report)
    check_finite(model, loaded)
    check_tokens(model, loaded, tokenizer)
    return loaded, tokenizer


def load_tokenizer(model: str, *, revision: str | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer alone, of a model that `load_language_model` reads."""
    path = located(model)
    path = _unpacked(path) if path is not None and path.is_file() else path
    try:
        return AutoTokenizer.from_pretrained(path or model, revision=revision, trust_remote_code=False)
    except Exception as error:  # of files of a stranger's, whose readers raise what they like
        raise UserError(f"could not load the tokenizer of the model {model!r}: {why(error, path)}") from error


def vocabulary(model: str, *, revision: str | None = None) -> int:
    """How many tokens a model gives probabilities to, which may be more than its tokenizer has."""
    path = located(model)
    path = _unpacked(path) if path is not None and path.is_file() else path
    try:
        config = AutoConfig.from_pretrained(path or model, revision=revision, trust_remote_code=False)
    except Exception as error:  # of files of a stranger's, whose readers raise what they like
        raise UserError(f"could not load the settings of the model {model!r}: {why(error, path)}") from error
    return config.get_text_config().vocab_size


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the tables that transformers prints of weights which do not fit: they are told in a sentence."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _unpacked(file: Path) -> Path:
    """A folder with the de-quantised model of a GGUF file: made once, under `PERIPATOS_CACHE`."""
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
        raise UserError(f"could not read {file}: {why(error, None)}") from error
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
