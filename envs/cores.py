"""How many threads may work at once in this process."""

from __future__ import annotations

import os
import sys


def usable_cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def allowed_threads() -> int:
    """One for each core, or as many as OMP_NUM_THREADS says, where it says fewer: whoever shares a machine sets it."""
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # it may be a list, one for each level
    return min(usable_cores(), int(said)) if said.isdecimal() and int(said) else usable_cores()
