"""Options of a conversation world's reset, besides the split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import UserError


def place_of(options: Mapping[str, Any]) -> tuple[int, int] | None:
    """Run and group, where the caller numbers its episodes."""
    given = [options[name] for name in ("run", "group") if name in options]
    if not given:
        return None
    if len(given) != 2 or not all(isinstance(number, int) and number >= 0 for number in given):
        raise UserError(
            f"the reset options are {options!r:.120}; run and group are two whole numbers from 0, given together"
        )
    return given[0], given[1]
