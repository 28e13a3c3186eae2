"""What a faulty world gives costs its episode, or is left out and said: no wrong number, no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from faulty_worlds import FAULTS, Fault, play, preload

_SEEN: set[tuple[str, ...]] = set()


def _is_first(fault: Fault) -> bool:
    """One of each field and outcome is tried each time; and whatever a world does to its process, in one kind."""
    key = (fault.kind, fault.field, fault.expected, fault.moment, fault.value if fault.field == "does" else "")
    first = key not in _SEEN and not (fault.kind == "control" and fault.field == "does" and "exit" not in fault.value)
    _SEEN.add(key)
    return first


CASES = [
    pytest.param(fault, id=fault.name, marks=() if _is_first(fault) else pytest.mark.exhaustive) for fault in FAULTS
]


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    preload()


@pytest.mark.parametrize("fault", CASES)
def test_a_fault_ends_as_it_should(fault: Fault, tmp_path: Path) -> None:
    ended = play(fault, tmp_path)
    assert ended.became == fault.expected, ended.err[-2000:]
    if ended.code == 0:
        assert ended.out.lstrip().startswith("{"), "stdout is for data alone"


BODIES = [pytest.param(fault, id=fault.name) for fault in FAULTS if fault.kind == "control"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("fault", BODIES)
def test_a_fault_ends_in_processes_as_it_does_here(fault: Fault, tmp_path: Path) -> None:
    ended = play(fault, tmp_path, workers=2)
    assert ended.became == fault.expected, ended.err[-2000:]
