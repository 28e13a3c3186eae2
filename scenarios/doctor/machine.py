"""The state of this machine, as a table to be pasted into a bug report: `peripatos doctor` without a model.

Each row is found out by trying: packages are asked for their versions, a sandbox is started and tested, a picture is
drawn (in another process, because a broken driver takes its process along). Nothing personal is in it: no variables
but those that change what we do, and no name of a user, a home or a host. Left out: whether the machine is fast.
"""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path

from packaging.requirements import Requirement

from ...envs.cores import usable_cores
from ...envs.sandbox import Judge, SandboxUnavailable
from ..run.provenance import source_revision

VARIABLES = ("CUDA_VISIBLE_DEVICES", "HF_HOME", "HF_HUB_OFFLINE", "MUJOCO_GL", "NO_COLOR", "OMP_NUM_THREADS")
SECRET = re.compile(r"TOKEN|KEY|SECRET|PASS", re.IGNORECASE)
FOR_DEVELOPERS = ("bench", "test")  # extras that no user of a scenario misses
DRAW = """
import gymnasium, os, sys
import peripatos.envs
world = gymnasium.make("peripatos/CartpoleSwingup-v0", render_mode="rgb_array")
world.reset(seed=0)
picture = world.render()
world.close()
print(os.environ.get("MUJOCO_GL", "the default"), *picture.shape, int(picture.max()) - int(picture.min()))
"""
DRAW_SECONDS = 30.0


@dataclass(frozen=True)
class MachineFinding:
    """One line of the report. A *fatal* one keeps Peripatos from working at all."""

    what: str
    result: str
    detail: str = ""
    fatal: bool = False


def examine_machine() -> list[MachineFinding]:
    """Everything that is worth knowing about this machine. Raises nothing: what cannot be found out says so."""
    ours = distribution("peripatos")
    found = [*_system(), *_packages(ours), _sandbox(), _drawing([sys.executable, "-c", DRAW]), _cuda(), _threads()]
    found += [*_extras(ours, "-c constraints.txt -e ." if _editable(ours) else "peripatos"), *_variables(os.environ)]
    hide = _Hider.of_this_machine()
    return [replace(f, what=hide(f.what), result=hide(f.result), detail=hide(f.detail)) for f in found]


def _system() -> Iterator[MachineFinding]:
    revision = source_revision()
    yield MachineFinding("peripatos", version("peripatos"), f"revision {revision}" if revision else "")
    too_old = sys.version_info < (3, 11)
    where = "in a virtual environment" if sys.prefix != sys.base_prefix else "not in a virtual environment"
    yield MachineFinding("Python", platform.python_version(), f"{platform.python_implementation()}, {where}", too_old)
    libc = " ".join(platform.libc_ver())
    yield MachineFinding("system", platform.system(), f"{platform.release()} {platform.machine()} {libc}".strip())
    yield MachineFinding("processors", f"{usable_cores()} of {os.cpu_count()}", _memory())


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB of memory"
    except (ValueError, OSError, AttributeError):
        return ""


def _requirements(ours: Distribution, extra: str = "") -> list[Requirement]:
    """What `ours` needs here: without extras, or what the extra of that name adds."""
    every = [Requirement(text) for text in ours.requires or ()]
    here = [need for need in every if need.marker is None or need.marker.evaluate({"extra": extra})]
    return [need for need in here if ("extra" in str(need.marker or "")) == bool(extra)]


def _installed(need: Requirement) -> str | None:
    try:
        return version(need.name)
    except PackageNotFoundError:
        return None


def _packages(ours: Distribution) -> Iterator[MachineFinding]:
    """The packages that must be there, each with its version."""
    for need in sorted(_requirements(ours), key=lambda need: need.name.lower()):
        have = _installed(need)
        if have is None:
            yield MachineFinding(need.name, "missing", f"needed: {need.specifier}", fatal=True)
        elif not need.specifier.contains(have, prereleases=True):
            yield MachineFinding(need.name, have, f"needed: {need.specifier}", fatal=True)
        else:
            yield MachineFinding(need.name, have)


def _sandbox() -> MachineFinding:
    """The tier of this machine: behind what programs can be judged here, and whether it holds."""
    try:
        return _tier("")
    except (SandboxUnavailable, OSError) as error:
        refused = error if isinstance(error, SandboxUnavailable) else f"bubblewrap cannot be started: {error}"
    try:
        return replace(_tier(", only with allow_degraded=True", allow_degraded=True), detail=str(refused))
    except (SandboxUnavailable, OSError):
        return MachineFinding("sandbox", "no", str(refused))


def _tier(condition: str, *, allow_degraded: bool = False) -> MachineFinding:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the weaker tier is what is asked about
        with Judge(workers=1, allow_degraded=allow_degraded) as judge:
            told = judge.describe()
    report = told["self_test"]
    assert isinstance(report, dict)
    behind = f"{told['source']}, {told['program']}; " if told.get("program") else ""
    held = ", ".join(sorted(str(name) for name, outcome in report.items() if outcome == "blocked"))
    return MachineFinding("sandbox", f"tier {told['backend']}{condition}", f"{behind}self-test: blocked {held}")


def _drawing(command: Sequence[str], seconds: float = DRAW_SECONDS) -> MachineFinding:
    """Whether a robot can be drawn, tried by `command` in a process of its own."""
    advice = "Debian: apt-get install libegl1, or libosmesa6 with MUJOCO_GL=osmesa"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return MachineFinding("drawing", "no", f"no picture after {seconds:g} s; {advice}")
    except OSError as error:
        return MachineFinding("drawing", "no", f"no process can be started: {error}")
    words = done.stdout.split()
    if done.returncode == 0 and len(words) >= 5 and words[-1] != "0":
        return MachineFinding("drawing", " ".join(words[:-4]), f"{words[-3]} × {words[-4]} pixels")
    if done.returncode < 0:
        return MachineFinding("drawing", "no", f"signal {-done.returncode} ended the process that tried; {advice}")
    said = done.stderr.strip().splitlines() or ["the picture is empty"]
    return MachineFinding("drawing", "no", f"{said[-1][:300]}; {advice}")


def _cuda() -> MachineFinding:
    try:
        import torch

        built = torch.version.cuda
        if not torch.cuda.is_available():
            return MachineFinding("CUDA", "no", f"torch is built for {built or 'the CPU'}")
        cards = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        return MachineFinding(
            "CUDA", str(built), ", ".join(f"{c.name} {c.total_memory / 2**30:.0f} GiB" for c in cards)
        )
    except (ImportError, OSError, RuntimeError, AssertionError) as error:
        return MachineFinding("CUDA", "no", " ".join(str(error).split())[:300])


def _threads() -> MachineFinding:
    try:
        import torch

        return MachineFinding("torch threads", str(torch.get_num_threads()), f"of torch {torch.__version__}")
    except (ImportError, OSError) as error:
        return MachineFinding("torch threads", "no", f"torch cannot be imported: {error}", fatal=True)


def _extras(ours: Distribution, source: str) -> Iterator[MachineFinding]:
    """Each optional part, and how it is installed where it is missing."""
    for extra in sorted(ours.metadata.get_all("Provides-Extra") or ()):
        if extra in FOR_DEVELOPERS:
            continue
        needs = _requirements(ours, extra)
        missing = [need.name for need in needs if _installed(need) is None]
        old = [n.name for n in needs if (have := _installed(n)) and not n.specifier.contains(have, prereleases=True)]
        if missing or old:
            lacking = [*missing, *(f"{name} (too old)" for name in old)]
            detail = f"without {', '.join(lacking)}: pip install {_quoted(source, extra)}"
            yield MachineFinding(f"extra {extra}", "no", detail)
        else:
            yield MachineFinding(f"extra {extra}", "yes", ", ".join(f"{n.name} {_installed(n)}" for n in needs))


def _quoted(source: str, extra: str) -> str:
    """`-c constraints.txt -e '.[mcp]'`, `'peripatos[mcp]'`: the last word with the extra, quoted for a shell."""
    *before, last = source.split()
    return " ".join([*before, f"'{last}[{extra}]'"])


def _editable(ours: Distribution) -> bool:
    """Whether it is installed from a source tree, in which constraints.txt lies."""
    origin = json.loads(ours.read_text("direct_url.json") or "{}")
    return bool(origin.get("dir_info", {}).get("editable"))


def _variables(environment: Mapping[str, str]) -> Iterator[MachineFinding]:
    """Those that change what we do."""
    for name in sorted(environment):
        if name in VARIABLES or name.startswith("PERIPATOS_"):
            yield MachineFinding(name, "set" if SECRET.search(name) else environment[name])


@dataclass(frozen=True)
class _Hider:
    """Replaces what would tell who and where somebody is."""

    home: str
    user: str
    host: str

    @classmethod
    def of_this_machine(cls) -> _Hider:
        try:
            user = getpass.getuser()
        except (OSError, KeyError):  # a user without a name
            user = ""
        return cls(os.environ.get("HOME") or str(Path.home()), user, socket.gethostname())

    def __call__(self, text: str) -> str:
        if len(self.home) > 1:
            text = re.sub(rf"{re.escape(self.home.rstrip('/'))}(?![\w.-])", "~", text)
        for name, instead in ((self.user, "USER"), (self.host, "HOST")):
            if len(name) > 1 and name != "root":
                text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", instead, text)
        return text
