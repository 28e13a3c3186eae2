"""JSON objects that carry their own SHA-256, so that one changed byte of their file is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...envs.errors import UserError

SEAL = "sha256"


class BrokenSeal(UserError):
    """A file is not as it was written; the message names the file and says how."""


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """`value`, which strict JSON can hold, with its digest."""
    return {**value, SEAL: _seal(json.loads(json.dumps(value)))}


def read_sealed(path: Path) -> dict[str, Any]:
    """What was sealed. BrokenSeal for a file that is missing, no such JSON, or changed."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as problem:
        raise BrokenSeal(f"{path} is missing") from problem
    except OSError as problem:
        raise BrokenSeal(f"{path} cannot be read: {problem.strerror}") from problem
    except (ValueError, RecursionError) as problem:
        raise BrokenSeal(f"{path} is damaged: it is no JSON ({problem})") from problem
    if not isinstance(found, dict) or SEAL not in found:
        raise BrokenSeal(f"{path} is damaged: it is not what a run writes there")
    if found[SEAL] != _seal(found):
        raise BrokenSeal(f"{path} is damaged: its contents have changed since it was written")
    del found[SEAL]
    return found


def _seal(value: Mapping[str, Any]) -> str:
    rest = {key: item for key, item in value.items() if key != SEAL}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
