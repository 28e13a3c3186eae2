"""The most memory that a run's process held: noted beside its folder when it ends, and read by the table of costs."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from ..run.disk import write_text


def note_peak(folder: Path) -> None:
    """Write down what this process held at most, in MiB; or what an earlier one did, which the run in `folder` goes on
    from, if that was more."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes of what the system counts in
    now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    write_text(_file(folder), f"{max(now, read_peak(folder) or 0.0):.0f}\n")


def read_peak(folder: Path) -> float | None:
    """MiB; None where nothing was noted."""
    try:
        return float(_file(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _file(folder: Path) -> Path:
    return folder.with_suffix(".peak")
