"""One sign that something is wrong with what is learned: when it holds, and what is said of it.

Nothing here knows a run: rows of metrics and settings come in, sentences go out. `health` and `drifts` are tables of
them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...algorithms.methods import Method
from ...algorithms.optimizer import OptimizerSettings

Row = Mapping[str, object]
FIRST = ("policy/logp", "value/loss", "episodes/cut", "episodes/malformed")  # what signs compare with the first row


@dataclass(frozen=True)
class Facts:
    """What a sign may know besides the row."""

    stage: str
    method: Method
    settings: OptimizerSettings
    first: Row = field(default_factory=dict)  # the stage's first row
    gated: bool = False  # whether the stage has a `collect.gate`

    def key(self, name: str) -> str:
        """`stages.learn.optimizer.lr`"""
        return f"stages.{self.stage}.{name}"

    def lr(self, row: Row, words: str = "lower") -> str:
        """The advice that most signs end with."""
        here = f"{number(row, 'optimizer/lr'):.3g}"
        return f"{words} {self.key('optimizer.lr')} (it is {self.settings.lr:g}, and was {here} here)"


@dataclass(frozen=True)
class Sign:
    """One row of the table."""

    name: str
    holds: Callable[[Row, Facts], bool]
    says: Callable[[Row, Facts], str]
    updates: int = 5  # in a row


def number(row: Row, name: str) -> float:
    """NaN where the row has no such number, which no comparison is true of."""
    value = row.get(name)
    return float(value) if isinstance(value, int | float) else math.nan


def not_solved(row: Row) -> bool:
    """Whether there is more to learn, as far as the row can tell."""
    return not number(row, "success/rate") >= 0.9


def own(facts: Facts) -> bool:
    return facts.method.source == "own"
