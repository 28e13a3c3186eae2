"""TensorBoard: every number of a run over updates, in the folder `tensorboard/` of the run.

    tensorboard --logdir runs

Metrics keep their names; evaluations are `validation/…` and `test/…`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..run.listeners import Silence

AXES = ("update", "env_steps", "action_units", "seconds")


class TensorBoard(Silence):
    """Writes event files."""

    def __init__(self, path: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(path / "tensorboard"))

    def began(self, path: Path, scenario: Mapping[str, Any]) -> None:
        """The scenario, as text."""
        import json

        self._writer.add_text("scenario", f"```json\n{json.dumps(scenario, indent=2)}\n```")

    def row(self, row: Mapping[str, Any]) -> None:
        """The update's numbers."""
        self._write("", row)

    def evaluated(self, row: Mapping[str, Any]) -> None:
        """The evaluation's numbers."""
        self._write(f"{row['set']}/", row)

    def ended(self, summary: Mapping[str, Any]) -> None:
        """Everything is on disk."""
        self._writer.close()

    def _write(self, group: str, row: Mapping[str, Any]) -> None:
        for name, value in row.items():
            if isinstance(value, int | float) and name not in ("update", "seconds"):
                self._writer.add_scalar(f"{group}{name}", value, row["update"])
