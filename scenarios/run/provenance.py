"""What made a part of a run: versions, machine, folder and command, and the code and data of the user's own worlds.

environment.json has a list of sessions, one for each time that the run was begun or gone on with, and each checkpoint
knows the session that wrote it. A resume compares that one with its own.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium

from ...envs.errors import UnknownWorld
from ..config.schema import Scenario
from .disk import disk_errors, write_json
from .run_directory import FORMAT, RunDirectory
from .sealed import BrokenSeal, read_sealed, sealed

PACKAGES = ("peripatos", "torch", "transformers", "gymnasium", "mujoco", "numpy", "scipy", "safetensors")
OURS = ("peripatos", "gymnasium")  # whose worlds have a version in their name
LISTED = 3  # differences of one kind that are named


def describe_session(scenario: Scenario, command: Iterable[str]) -> dict[str, Any]:
    """Versions, source revision, hardware, place and command, and the digests of the code and the data that the
    scenario names: what one needs to know to repeat this part of a run."""
    import torch

    cuda = torch.cuda.is_available()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.node(),
        "packages": dict(_versions(PACKAGES)),
        "git_revision": source_revision(),
        "cpus": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if cuda else None,
        "cwd": str(Path.cwd()),
        "command": list(command),
        "code": own_code(scenario),
        "data": own_data(scenario),
    }


def note_session(run: RunDirectory, session: Mapping[str, Any], before: Sequence[Mapping[str, Any]]) -> str | None:
    """Add a session to environment.json; `before` are those that a checkpoint knows. What was wrong with the file, in
    a sentence; None if nothing was."""
    path, damage = run.path / "environment.json", None
    try:
        sessions = read_sealed(path).get("sessions") if before or path.exists() else []
        if not isinstance(sessions, list):
            raise BrokenSeal(f"{path} is damaged: it lists no sessions")
    except BrokenSeal as problem:
        damage = f"{problem}; it is written again, with the sessions that the checkpoints know"
        sessions = before
    with disk_errors(run.path):
        write_json(path, sealed({"format": FORMAT, "sessions": [*sessions, session]}))
    return damage


@contextmanager
def where_it_was_begun(run: RunDirectory) -> Iterator[None]:
    """A world that is not found in here may be where the run was begun: the message says in which folder that was."""
    try:
        yield
    except UnknownWorld as problem:
        try:
            begun = read_sealed(run.path / "environment.json")["sessions"][0]["cwd"]
        except (BrokenSeal, LookupError, TypeError):
            raise problem from None
        if begun == str(Path.cwd()):
            raise
        raise UnknownWorld(f"{problem}; the run was begun in {begun}: give the command there") from problem


def what_changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One sentence for each kind of difference between two sessions that may make them end differently."""
    told = []
    names = {name: (value, now["packages"].get(name)) for name, value in then["packages"].items()}
    names |= {"python": (then["python"], now["python"])}
    versions = [f"{name} {old} → {new}" for name, (old, new) in names.items() if old != new]
    if versions:
        told.append(f"other versions than before: {', '.join(versions)}")
    places = {
        "machine": (f"{then['machine']} ({then['gpu'] or 'no GPU'})", f"{now['machine']} ({now['gpu'] or 'no GPU'})"),
        "number of threads": (then["torch_threads"], now["torch_threads"]),
    }
    for name, (old, new) in places.items():
        if old != new:
            told.append(f"another {name} than before: {old} → {new}")
    for kind, word in (("code", "module"), ("data", "file")):
        old, new = then[kind], now[kind]
        other = [name for name in old if name in new and new[name] != old[name]]
        gone = [name for name in old if name not in new and kind == "data"]
        if other or gone:
            shown = ", ".join([*other, *(f"{name} (gone)" for name in gone)][:LISTED])
            more = len(other) + len(gone) - LISTED
            rest = f" and {more} more" if more > 0 else ""
            made = "is made by another world" if kind == "code" else "is made from other data"
            told.append(f"the {word} {shown}{rest} has changed since: the rest of the run {made}")
    return told


def edited_since(run: RunDirectory, scenario: Scenario) -> list[str]:
    """The modules and files that the scenario names and that are not what they were when the run was last gone on
    with; none where nobody knows."""
    try:
        then = read_sealed(run.path / "environment.json")["sessions"][-1]
    except (BrokenSeal, LookupError, TypeError):
        return []
    both = [(then.get("code", {}), own_code(scenario)), (then.get("data", {}), own_data(scenario))]
    return [name for old, new in both for name in old if name in new and old[name] != new[name]]


def own_code(scenario: Scenario) -> dict[str, str]:
    """The SHA-256 of each module that the scenario names, and of those that were loaded from beside it; by name.
    Modules of Peripatos and Gymnasium are known by their versions."""
    found: dict[str, str] = {}
    for name in sorted({name for name in _named_modules(scenario) if _is_own(name)}):
        for module in _beside(name):
            digest = _digest(Path(str(module.__file__)))
            if digest is not None:
                found[module.__name__] = digest
    return found


def own_data(scenario: Scenario) -> dict[str, str]:
    """The SHA-256 of each file that an option of a world names, or `demonstrations`, by that name; of a folder of
    demonstrations those of all files in it."""
    found = {}
    for name in _named_files(scenario):
        digest = _digest(Path(name).expanduser())
        if digest is not None:
            found[name] = digest
    return found


def _named_files(scenario: Scenario) -> Iterator[str]:
    for text in _texts([world.options for world in _worlds(scenario)]):
        yield from _there(text)
    shown = [stage.demonstrations for stage in scenario.stages if stage.demonstrations is not None]
    for text in _texts([[one.chats, one.pairs, one.text] for one in shown]):
        for name in _there(text):
            path = Path(name).expanduser()
            yield from sorted(map(str, path.rglob("*"))) if path.is_dir() else [name]


def _there(text: str) -> list[str]:
    """The file or folder that a text names, alone or with a split behind it (FILE:test); none where it names none."""
    for name in (text, text.rpartition(":")[0]):
        try:
            if name and Path(name).expanduser().exists():
                return [name]
        except (OSError, ValueError, RuntimeError):  # no path at all
            continue
    return []


def _is_own(module: str) -> bool:
    package = module.partition(".")[0]
    return package not in OURS and package not in sys.stdlib_module_names


def _worlds(scenario: Scenario) -> list[Any]:
    return list(scenario.worlds) or [scenario.world]


def _named_modules(scenario: Scenario) -> Iterator[str]:
    """Those of the worlds, and of every `module:attribute` that the scenario says anywhere."""
    for world in _worlds(scenario):
        spec = gymnasium.registry.get(world.id)
        entry = spec.entry_point if spec is not None else None
        if isinstance(entry, str):
            yield entry.partition(":")[0]
        elif entry is not None:
            yield entry.__module__
    for text in _texts(scenario.model_dump(mode="json")):
        module, colon, _ = text.partition(":")
        if colon and all(part.isidentifier() for part in module.split(".")):
            yield module


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _beside(name: str) -> Iterator[ModuleType]:
    """The module `name`, where it is loaded, and its neighbours: of a package all its modules, of a single file those
    in its folder."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if module is None or file is None:
        return
    yield module
    folder, package = Path(file).parent, name.partition(".")[0]
    installed = "site-packages" in folder.parts
    for other in list(sys.modules.values()):
        place = getattr(other, "__file__", None)
        if not isinstance(place, str) or other is module or not isinstance(other, ModuleType):
            continue
        if other.__name__.partition(".")[0] == package or (not installed and Path(place).parent == folder):
            yield other


def _digest(path: Path) -> str | None:
    """None of what is no file: a pipe, which nobody may ever write to, has no end."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _versions(names: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    for name in names:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, None


def source_revision() -> str | None:
    """The commit of this source tree, with `+` if it was changed; None where there is no git."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None
