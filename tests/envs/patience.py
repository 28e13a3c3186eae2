"""How long a judged program may take in a test.

Any process may be paused for seconds on a busy machine. So a program that ends by itself has a minute; only one that
never would has less, and of that nothing is asked but to be ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from peripatos.envs.sandbox import Judge, Limits

PATIENT = Limits(wall_s=60, total_s=600, cpu_s=20)


@contextmanager
def hurried(judge: Judge, wall_s: float = 1.0) -> Iterator[Judge]:
    """The same judge, with its processes, in a hurry: for programs that may never end."""
    before, judge.limits = judge.limits, replace(judge.limits, wall_s=wall_s, cpu_s=1)
    try:
        yield judge
    finally:
        judge.limits = before
