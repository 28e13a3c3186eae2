"""Folders of language models as strangers have them: a good one, and what happens to one."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from peripatos.agents.language.tiny_llama import tiny_llama

Damage = Callable[[Path], None]
SIZES = {"seed": 0, "hidden": 32, "layers": 2, "heads": 2}


@cache
def good_model() -> Path:
    """The folder of a whole model; nobody writes into it."""
    folder = Path(tempfile.mkdtemp(prefix="model-")) / "good"
    for part in tiny_llama(**SIZES):
        part.save_pretrained(folder)
    return folder


def model(*damages: Damage) -> Damage:
    """Makes a copy of the good one at a path, with what has happened to it."""

    def make(path: Path) -> None:
        shutil.copytree(good_model(), path)
        for damage in damages:
            damage(path)

    return make


def cut(name: str, share: float = 0.5) -> Damage:
    """A file of which only the beginning is there."""
    return lambda folder: (folder / name).write_bytes(_beginning((folder / name).read_bytes(), share)) and None


def without(*names: str) -> Damage:
    """Some files are not there."""

    def remove(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return remove


def renamed(old: str, new: str) -> Damage:
    """A file has another name."""
    return lambda folder: (folder / old).rename(folder / new) and None


def written(name: str, content: str | bytes) -> Damage:
    """A file has another content."""
    raw = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(raw) and None


def settings(name: str, **changes: Any) -> Damage:
    """Other values in a JSON file; without those that are None."""

    def change(folder: Path) -> None:
        values = {**json.loads((folder / name).read_text()), **changes}
        (folder / name).write_text(json.dumps({key: value for key, value in values.items() if value is not None}))

    return change


def weights(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Other tensors."""

    def changed(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return changed


def spoiled(name: str, value: float) -> Damage:
    """One number of a tensor is another."""
    return weights(lambda tensors: tensors[name].view(-1)[-1].fill_(value))


def more_tokens(folder: Path) -> None:
    """A tokenizer that has tokens which the model lacks."""
    tokenizer = tiny_llama(**SIZES)[1]
    tokenizer.add_tokens(["<extra>", "ä"])
    tokenizer.save_pretrained(folder)


def in_two_parts(folder: Path) -> None:
    """An index of two files of weights, of which the second is missing."""
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    names = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))


def template(text: str | None) -> Damage:
    """Another chat template, or none."""

    def change(folder: Path) -> None:
        settings("tokenizer_config.json", chat_template=None)(folder)
        (folder / "chat_template.jinja").unlink(missing_ok=True)
        if text is not None:
            (folder / "chat_template.jinja").write_text(text)

    return change


def no_permission(path: Path) -> None:
    """A folder that cannot be read (by anyone but root)."""
    path.chmod(0o000)


def _beginning(raw: bytes, share: float) -> bytes:
    return raw[: int(len(raw) * share)]
