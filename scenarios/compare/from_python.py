"""What `peripatos.compare` is given from Python, as the command has it. UserError for what is nothing of the kind."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeGuard

from ...envs.errors import UserError
from ...envs.quantities import shown
from ..config.loading import Given


def scenario_names(given: object) -> list[str]:
    """Names and paths."""
    several = [given] if isinstance(given, str | Path) else given
    if not _is_list_of(several, str, Path):
        raise UserError(
            f"scenarios is {shown(given)}; allowed are a name or a path, such as 'cartpole-ppo', and a list"
        )
    return [str(one) for one in several]


def method_names(given: object) -> list[str] | None:
    """Names of methods; None where none are given."""
    several = [given] if isinstance(given, str) else given
    if several is not None and not _is_list_of(several, str):
        raise UserError(f"methods is {shown(given)}; allowed is a list of names, such as ['ppo', 'grpo']")
    return None if several is None else [str(one) for one in several]


def folder(given: object) -> Path:
    """Of the comparison."""
    if not isinstance(given, str | Path):
        raise UserError(f"out is {shown(given)}; allowed is a folder, such as 'runs/compare'")
    return Path(given)


def as_flags(overrides: object) -> list[str]:
    """Overrides by dotted key, as flags would give them."""
    example = "'stages.learn.budget.updates'"
    if not isinstance(overrides, Mapping):
        raise UserError(
            f"overrides is {shown(overrides)}; allowed is a mapping of dotted keys, such as {{{example}: 10}}"
        )
    return [_as_flag(key, value, example) for key, value in overrides.items()]


def _as_flag(key: object, value: object, example: str) -> Given:
    if not isinstance(key, str) or "=" in key or not all(part.strip() for part in key.split(".")):
        raise UserError(f"the key {key!r} of the overrides is no dotted key, such as {example}")
    try:
        given = Given(f"{key}={json.dumps(value, allow_nan=False)}")
    except (TypeError, ValueError) as problem:
        allowed = "numbers, texts, True, False and None, and lists and mappings of these"
        raise UserError(f"override {key!r} is {shown(value)}; allowed are {allowed}") from problem
    given.flag = f"override {key!r}"
    return given


def _is_list_of(given: object, *kinds: type) -> TypeGuard[Sequence[str | Path]]:
    return isinstance(given, Sequence) and not isinstance(given, bytes) and all(isinstance(one, kinds) for one in given)
