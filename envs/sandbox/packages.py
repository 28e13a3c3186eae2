"""Installed packages that judged programs may import: which folders the sandbox shows for them.

A package is this environment's. The fork server imports it before it confines anything, so each program has it loaded,
as it has the standard library, and what a program does to it ends with the program. A folder that the sandbox's user
may not look into (below /root, for example) is copied to one where it may, for as long as this process lives. Left out:
packages that start threads when they are imported, for a fork server has one; what a package needs besides itself.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from functools import cache
from importlib import metadata
from pathlib import Path

from .verdicts import SandboxUnavailable


@cache
def folders_of(name: str, abi: str) -> tuple[Path, ...]:
    """The folders of an installed package, `numpy` and `numpy.libs`, which anybody may read.

    Raises SandboxUnavailable for a package that programs on a Python of this `abi` cannot have.
    """
    try:
        found = metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        raise SandboxUnavailable(f"the package {name!r} is not installed here, so programs cannot have it") from None
    if abi != sys.implementation.cache_tag:
        raise SandboxUnavailable(
            f"{name} is installed for {sys.implementation.cache_tag}, and judged programs run on {abi}"
        )
    tops = {file.parts[0] for file in found.files or () if len(file.parts) > 1 and file.parts[0] != ".."}
    folders = [Path(str(found.locate_file(top))) for top in sorted(tops) if not top.endswith(".dist-info")]
    folders = [folder for folder in folders if folder.is_dir() and folder.name != "__pycache__"]
    if not any(folder.name == name for folder in folders):
        raise SandboxUnavailable(f"the package {name!r} has no folder of its name, so programs cannot have it")
    return tuple(map(_open_to_all, folders))


def _open_to_all(folder: Path) -> Path:
    """The folder, or a copy of it where the one unprivileged user may not get to it."""
    folder = folder.resolve()
    if os.geteuid() != 0 or all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents)):
        return folder
    place = Path(tempfile.mkdtemp(prefix="peripatos-packages-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    place.chmod(0o755)
    return Path(shutil.copytree(folder, place / folder.name, ignore=shutil.ignore_patterns("tests", "__pycache__")))
