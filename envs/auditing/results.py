"""What an audit found: rows of strategies, and results of checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

MOST_BLIND = 0.15
"""The share of an expert's reward above doing nothing that a blind strategy may earn."""

Verdict = Literal["passed", "FAILED", "not decided"]


@dataclass(frozen=True)
class Row:
    """One strategy: its mean reward, and what that is of an expert's, both above doing nothing."""

    strategy: str
    reward: float
    played_again: bool  # on episodes that it was not chosen by
    share: float | None = None  # None: there is no expert to compare with


@dataclass(frozen=True)
class Result:
    """One check."""

    check: str
    verdict: Verdict
    detail: str


@dataclass(frozen=True)
class Audit:
    """The findings about one world.

    Attributes:
        kind: "conversation" or "control".
        floor: mean reward of doing nothing.
        top: mean reward of the expert; None where there is none.
        expert: who that is; empty where there is none.
        rows: strategies, the best first; those that were played again come before those that were only screened.
        results: the checks.
    """

    kind: str
    floor: float
    top: float | None
    expert: str
    rows: Sequence[Row]
    results: Sequence[Result]

    @property
    def best(self) -> Row:
        """The best blind strategy."""
        return self.rows[0]

    @property
    def passed(self) -> bool:
        """No check failed. What could not be decided has not failed."""
        return all(result.verdict != "FAILED" for result in self.results)


def decided(check: str, passed: bool | None, detail: str) -> Result:
    """A result; None is neither passed nor failed."""
    return Result(check, "not decided" if passed is None else "passed" if passed else "FAILED", detail)


def ranked(rows: Sequence[Row], floor: float, top: float | None) -> list[Row]:
    """The rows with their shares, the best first."""
    gap = None if top is None or top <= floor else top - floor
    shared = [replace(row, share=None if gap is None else (row.reward - floor) / gap) for row in rows]
    return sorted(shared, key=lambda row: (not row.played_again, -row.reward))


def gameability(rows: Sequence[Row], floor: float, top: float | None) -> Result:
    """Whether the best blind strategy earns little enough."""
    best = rows[0]
    shown = f"best: {best.strategy}, {best.reward:.3f}; doing nothing {floor:.3f}"
    if top is None:
        return decided("gameability gap", None, f"{shown}; no expert to compare with")
    if best.share is None:
        return decided("gameability gap", False, f"{shown}; the expert earns no more than nothing: {top:.3f}")
    detail = f"{best.share:.1%} of the expert's {top:.3f} ({shown}); allowed are {MOST_BLIND:.0%}"
    return decided("gameability gap", best.share <= MOST_BLIND, detail)
