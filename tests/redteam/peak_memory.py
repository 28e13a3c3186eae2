"""How much memory this process took at most since a moment, whatever it held before."""

from __future__ import annotations

from pathlib import Path

STATUS = Path("/proc/self/status")


def _kibibytes(field: str) -> int:
    return next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith(field))


class PeakMemory:
    """Begins to watch when it is made."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # the kernel's high-water mark begins anew here
        self._before = _kibibytes("VmRSS:")

    def grown_mb(self) -> float:
        """The highest since then, above what there was."""
        return (_kibibytes("VmHWM:") - self._before) / 1024
