"""Makes mistakes, and judges what was said."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from mistake_cases import Case, Content

LATE = 10.0  # seconds of work after which a mistake is told too late
LATE_BY_THE_CLOCK = 60.0  # where others work as well; most of it was waiting
HANGS = 300.0
MEMORY = 10 << 30  # bytes of address space: some mistakes ask for more than any machine has
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "COLUMNS": "120",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PERIPATOS_FOLDERS": "",  # of scenarios that this process has read
    "PERIPATOS_TRUST": "",
}


@dataclass(frozen=True)
class Verdict:
    """How a case ended: `word` is "repairable" (or "fine", where nothing is wrong), or what is amiss."""

    case: Case
    exit: int | None
    seconds: float
    worked: float  # seconds of processor time
    out: str
    err: str

    @property
    def missing(self) -> list[str]:
        """What should have been said and was not."""
        unsaid = [need for need in self.case.needs if not re.search(need, self.err, re.I | re.S)]
        return unsaid + [need for need in self.case.needs_stdout if not re.search(need, self.out, re.I | re.S)]

    @property
    def word(self) -> str:
        """repairable, fine, traceback, hang, silent, refused, late, unclear."""
        if "Traceback (most recent call last)" in self.err:
            return "traceback"
        if self.exit is None:
            return "hang"
        if self.exit not in self.case.exits:
            return "silent" if self.exit == 0 else f"exit {self.exit}"
        if self.missing:
            return "unclear"
        if (self.worked > LATE or self.seconds > LATE_BY_THE_CLOCK) and self.exit:
            return "late"
        return "repairable" if self.case.mistake else "fine"

    @property
    def good(self) -> bool:
        """Whether nothing is amiss."""
        return self.word in ("repairable", "fine")

    def __str__(self) -> str:
        said = f"exit {self.exit} after {self.seconds:.1f} s, {self.worked:.1f} s of work; not said: {self.missing}"
        return f"{self.case.name}: {self.word}; {said}\n{self.err}"


class Zygote:
    """Types commands in processes that have everything imported, see zygote.py; a context."""

    def __init__(self, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("zygote.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ENVIRONMENT, **environment},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self._process.communicate()

    def type(self, argv: Sequence[str], folder: Path, said: Path, seconds: float = HANGS) -> dict[str, Any]:
        """How `argv` ended, typed in `folder`; what it wrote is in the folder `said`."""
        asked = {"argv": list(argv), "cwd": str(folder), "said": str(said), "seconds": seconds, "memory": MEMORY}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


class Maker(Zygote):
    """Makes mistakes one after the other, each in a folder of its own below `work`; a context."""

    def __init__(self, work: Path) -> None:
        super().__init__()
        self._work, self._count = work, 0
        self._ready: dict[Any, Path] = {}

    def make(self, case: Case, *more: str) -> Verdict:
        """What comes of it; `more` is typed behind the rest."""
        folder = self._new_folder(case.name)
        key = (case.before, tuple(case.files.items()))
        if case.before and key not in self._ready:
            self._ready[key] = self._new_folder(f"{case.name}.before")
            _write(self._ready[key], case.files)
            for argv in case.before:
                done = self._type(argv, self._ready[key])
                assert done["exit"] == 0, (self._ready[key].with_suffix(".said") / "stderr").read_text()
        if case.before:
            shutil.copytree(self._ready[key], folder, dirs_exist_ok=True)
        else:
            _write(folder, case.files)
        done = self._type([*case.argv, *more], folder)
        said = folder.with_suffix(".said")
        out, err = ((said / name).read_text(encoding="utf-8", errors="replace") for name in ("stdout", "stderr"))
        return Verdict(case, done["exit"], done["seconds"], done["worked"], out, err)

    def _new_folder(self, name: str) -> Path:
        self._count += 1
        folder = self._work / f"{self._count:04d}-{name.replace('.', '-')}"
        folder.mkdir(parents=True)
        folder.with_suffix(".said").mkdir()
        return folder

    def _type(self, argv: Any, folder: Path) -> dict[str, Any]:
        return self.type(argv, folder, folder.with_suffix(".said"))


def _write(folder: Path, files: Any) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_one(path, content)


def _write_one(path: Path, content: Content) -> None:
    if isinstance(content, str):
        path.write_bytes(content.encode())  # as it is: line endings are mistakes, too
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)


def new_maker() -> Maker:
    """One whose folders lie in a new temporary folder."""
    return Maker(Path(tempfile.mkdtemp(prefix="mistakes-")))
