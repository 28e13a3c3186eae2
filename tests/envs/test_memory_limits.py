"""What limits this process's memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from peripatos.envs import memory_limits
from peripatos.envs.memory_limits import left_memory, usable_memory


def test_less_is_left_than_may_be_had() -> None:
    assert 1 << 20 < left_memory() <= usable_memory() < 1 << 44


@pytest.mark.parametrize(("most", "used", "left"), [("4096", "1000", 3096), ("4096", "5000", 0), ("4096", None, 4096)])
def test_the_control_group_counts(most: str, used: str | None, left: int, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "memory.max").write_text(most)
    if used is not None:
        (tmp_path / "memory.current").write_text(used)
    monkeypatch.setattr(memory_limits, "_GROUPS", tmp_path)
    assert (usable_memory(), left_memory()) == (4096, left)


def test_a_limit_of_its_own_counts() -> None:
    code = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (1 << 33, 1 << 33))
from peripatos.envs.memory_limits import left_memory, usable_memory
assert usable_memory() <= 1 << 33
assert left_memory() < 1 << 33
"""
    subprocess.run([sys.executable, "-c", code], check=True)
