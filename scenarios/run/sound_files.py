"""Whether the numbers in a checkpoint's files can be worked with: read from the files, for what was said is not what
lies on the disk."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open


def find_unsound_file(folder: Path) -> str | None:
    """`policy/policy.safetensors has numbers that are not finite (actor.0.weight)`, of the first such file; None if all
    are finite. A file that cannot be read is said to be so."""
    for path in sorted(folder.rglob("*.safetensors")):
        name = path.relative_to(folder).as_posix()
        try:
            with safe_open(path, framework="pt") as file:
                for key in file.keys():  # noqa: SIM118 (it is no mapping)
                    tensor = file.get_tensor(key)
                    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                        return f"{name} has numbers that are not finite ({key})"
        except (OSError, SafetensorError) as problem:
            return f"{name} cannot be read: {problem}"
    return None
