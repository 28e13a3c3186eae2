"""How much memory this process may have, and how much of that is left: the least of what limits it.

the machine                 /proc/meminfo
its control groups          memory.max, memory.current (version 2); limit_in_bytes, usage_in_bytes (version 1)
its own address space       RLIMIT_AS, /proc/self/statm
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def usable_memory() -> int:
    """Bytes that this process may have."""
    return min(most for most, _ in _limits())


def left_memory() -> int:
    """Bytes that this process can still take, page cache included."""
    return max(0, min(left for _, left in _limits()))


def _limits() -> Iterator[tuple[int, int]]:
    """Each limit in bytes, and what is left to it; where nobody says what is used, all of it."""
    machine = _PAGE * os.sysconf("SC_PHYS_PAGES")
    yield machine, _available(machine)
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    if soft != resource.RLIM_INFINITY:
        yield soft, soft - _address_space()
    for folder in dict.fromkeys((_GROUPS, _own_group())):
        yield from _limit_of(folder / "memory.max", folder / "memory.current")
    version_1 = _GROUPS / "memory"
    yield from _limit_of(version_1 / "memory.limit_in_bytes", version_1 / "memory.usage_in_bytes")


def _limit_of(limit: Path, used: Path) -> Iterator[tuple[int, int]]:
    with suppress(OSError, ValueError):  # "max", or no such file
        most = left = int(limit.read_text(encoding="ascii"))
        with suppress(OSError, ValueError):
            left -= int(used.read_text(encoding="ascii"))
        yield most, left


def _address_space() -> int:
    """Bytes of it that this process has taken."""
    with suppress(OSError, ValueError):
        return _PAGE * int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return 0


def _own_group() -> Path:
    """The folder of this process's control group, version 2."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            if line.startswith("0::/"):
                return _GROUPS / line.removeprefix("0::/")
    return _GROUPS


def _available(otherwise: int) -> int:
    """What the kernel would give."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return otherwise
