"""An audit of a world, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ...envs.auditing import Audit
from ..streams import data
from .text_table import print_lines, print_table

_SHOWN = 10  # strategies


def print_audit(audit: Audit) -> None:
    """The best strategies, the checks, and the one figure."""
    rows = [
        {"blind strategy": row.strategy, "reward": f"{row.reward:.3f}", "of the expert's": _share(row.share)}
        for row in audit.rows
        if row.played_again
    ]
    print_table(rows[:_SHOWN])
    print(file=data())
    print_table([{"check": r.check, "result": r.verdict, "detail": r.detail} for r in audit.results])
    print(file=data())
    print_lines(headline(audit))


def headline(audit: Audit) -> str:
    """The best blind reward above doing nothing, as a share of the expert's."""
    best = f"{audit.best.strategy}: {audit.best.reward:.3f} (doing nothing {audit.floor:.3f})"
    if audit.top is None:
        return f"no expert to compare with: this world has no oracle. The best blind strategy: {best}"
    expert = f"{audit.expert} ({audit.top:.3f})"
    return f"{_share(audit.best.share)} of the reward of {expert}, by the best blind strategy, {best}"


def audit_row(audit: Audit) -> dict[str, Any]:
    """The audit as JSON."""
    return {**asdict(audit), "best": asdict(audit.best), "passed": audit.passed}


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"
