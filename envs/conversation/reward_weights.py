"""The weights of a world's reward terms: its class's own, and those that somebody has given."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..errors import UserError, unknown


def merge_weights(defaults: Mapping[str, float], given: Mapping[str, float]) -> dict[str, float]:
    """`defaults` with the weights that are `given`; `UserError` for other names, for what is no number, and where what
    is given leaves no reward at all."""
    for weights in (defaults, given):
        if not isinstance(weights, Mapping):
            raise UserError(f"weights are {weights!r:.80}; allowed is a mapping of names of reward terms to numbers")
        for name in weights:
            if not isinstance(name, str):
                raise UserError(f"weights name {name!r:.80}; allowed are the names of reward terms, which are texts")
    for name in given:
        if name not in defaults:
            raise UserError(unknown("reward term in weights", name, defaults))
    for name, weight in {**defaults, **given}.items():
        if not isinstance(weight, int | float) or not math.isfinite(weight):
            raise UserError(f"the weight of reward term {name!r} is {weight!r:.80}; allowed is a finite number")
    merged = {name: float(given.get(name, weight)) for name, weight in defaults.items()}
    if given and not any(merged.values()):
        raise UserError(f"every weight of the reward is 0 ({', '.join(merged)}): give one of them another value")
    return merged
