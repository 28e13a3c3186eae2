"""Starting the fork server in a sandbox: which interpreter, which layers, which command line.

Tiers, best first. `bubblewrap`: its own namespaces and read-only view of a few system folders around the server,
and more namespaces around each program. `landlock`: no namespaces, so processes and their use of memory for files
cannot be bounded as well; only on request. `none`: no isolation at all, for measuring and for desperate machines.

As root, the server first becomes a real unprivileged user: a user namespace alone would leave it the kernel's root.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TypedDict

from . import inside
from .inside.agreed import CONTROL, DEVICES, PACKAGES, READY, WORKSPACE
from .packages import folders_of
from .verdicts import Limits, SandboxUnavailable

NOBODY = 65534
START_S = 60.0  # for a sandbox to say hello, which takes a tenth of a second where nobody else works
_END_S = 20.0  # for what was killed to be gone
UNSAFE_VARIABLE = "PERIPATOS_UNSAFE_NO_ISOLATION"
_JUDGE_MODULES = (
    *("agreed", "calls", "codec", "filters", "confine", "program"),
    *("operators", "candidate", "raised", "remote", "unheard", "examiner", "driver", "forkserver"),
)
_SESSION_MODULES = ("agreed", "calls", "codec", "filters", "confine", "kernel", "cells")

# Reads {"sources", "options"} and makes the package `inside` of it; no file of ours need be visible in the sandbox.
_BOOTSTRAP = """
import json, os, sys, types
text, at = b"", 0
while True:
    part = os.pread({payload}, 1 << 20, at)
    if not part: break
    text += part; at += len(part)
for spare in {spare}: os.close(spare)
os.close({payload})
if {control} != 3: os.dup2({control}, 3); os.close({control})
work = json.loads(text)
package = sys.modules["inside"] = types.ModuleType("inside")
package.__path__ = []
for name, source in work["sources"]:
    module = types.ModuleType("inside." + name)
    module.__package__ = "inside"
    sys.modules[module.__name__] = module
    setattr(package, name, module)
    exec(compile(source, "<inside." + name + ">", "exec"), module.__dict__)
module.main(work["options"])
"""

_PROBE = (
    "import os, sys; print(sys.version_info >= (3, 9), os.path.dirname(os.__file__), sys.base_prefix, "
    "sys.implementation.cache_tag, sep='\\n')"
)


@dataclass(frozen=True)
class Interpreter:
    """A Python that the unprivileged user can run, and the folders it needs to see."""

    path: str
    library: str
    prefix: str
    abi: str  # "cpython-311"


@dataclass(frozen=True)
class Tier:
    """How programs are isolated."""

    name: str  # "bubblewrap", "landlock" or "none"
    isolated: bool


@dataclass(frozen=True)
class Program:
    """A bubblewrap, and where it came from.

    `libraries` are given for one that lies in a virtual environment: such a folder may be closed to the sandbox's user
    (below /root, for example), so the files are opened here and handed over as descriptors.
    """

    path: str
    source: str  # "PERIPATOS_BWRAP", "system" or "wheel"
    libraries: tuple[str, ...] | None = None

    @contextmanager
    def handed(self) -> Iterator[tuple[str, tuple[int, ...], dict[str, str]]]:
        """What to execute, the descriptors that the child must inherit for it, and its environment."""
        if self.libraries is None:
            yield self.path, (), {}
            return
        with ExitStack() as stack:
            descriptors = []
            for path in (self.path, *self.libraries):
                descriptors.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
                stack.callback(os.close, descriptors[-1])
            program, *libraries = (f"/proc/self/fd/{descriptor}" for descriptor in descriptors)
            yield program, tuple(descriptors), {"LD_PRELOAD": ":".join(libraries)}


BUBBLEWRAP, LANDLOCK, NONE = Tier("bubblewrap", True), Tier("landlock", True), Tier("none", False)


def identity() -> tuple[int, int]:
    """The user and group that the sandbox runs as: the caller's own, or nobody's if the caller is root."""
    return (NOBODY, NOBODY) if os.geteuid() == 0 else (os.geteuid(), os.getegid())


class Privileges(TypedDict, total=False):
    """Arguments of Popen that say who the child is."""

    user: int
    group: int
    extra_groups: list[int]


def privileges() -> Privileges:
    """Arguments to Popen that make the child a real unprivileged user if this process is root."""
    if os.geteuid() != 0:
        return Privileges()
    uid, gid = identity()
    return Privileges(user=uid, group=gid, extra_groups=[])


@cache
def interpreter() -> Interpreter:
    """The first Python ≥ 3.9 that the sandbox's user can run: this one, or else the system's.

    Raises SandboxUnavailable; an interpreter below /root, for example, is closed to everyone but root.
    """
    if sys.platform != "linux":
        raise SandboxUnavailable(f"untrusted programs are isolated by namespaces of Linux, and this is {sys.platform}")
    own = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    tried = list(dict.fromkeys([own, "/usr/bin/python3", "/usr/local/bin/python3"]))
    for path in tried:
        try:
            answer = subprocess.run(
                [path, "-I", "-S", "-c", _PROBE],
                capture_output=True,
                text=True,
                timeout=START_S,
                cwd="/",
                env={},
                **privileges(),
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        lines = answer.stdout.splitlines()
        if answer.returncode == 0 and lines and lines[0] == "True":
            return Interpreter(os.path.realpath(path), *lines[1:])
    raise SandboxUnavailable(
        f"no Python that user {identity()[0]} may run: tried {', '.join(tried)}. Install a system Python ≥ 3.9 "
        "(on Debian: apt-get install python3), or move this one out of a private folder."
    )


def _view(python: Interpreter) -> list[str]:
    """bwrap arguments for a read-only view of the interpreter, its standard library and the system's libraries."""
    arguments: list[str] = []
    for folder in ("/lib", "/lib64", "/usr/lib", "/usr/lib64"):
        if Path(folder).is_symlink():
            arguments += ["--symlink", str(Path(folder).readlink()), folder]
        elif Path(folder).is_dir():
            arguments += ["--ro-bind", folder, folder]
    seen = ("/usr/lib", "/usr/lib64", "/lib", "/lib64")
    for path in (python.path, python.library, *map(str, Path(python.prefix).glob("lib/libpython*"))):
        if not path.startswith(tuple(f"{folder}/" for folder in seen)):
            arguments += ["--ro-bind", path, path]
    # Installed packages are nobody's business: they may hold the very tasks that are judged.
    for folder in (
        f"{python.library}/site-packages",
        f"{python.library}/dist-packages",
        "/usr/lib/python3/dist-packages",
    ):
        if Path(folder).is_dir():
            arguments += ["--tmpfs", folder, "--remount-ro", folder]
    return arguments


def _devices() -> list[str]:
    return [part for name in DEVICES for part in ("--dev-bind", f"/dev/{name}", f"/dev/{name}")]


def _judge_arguments(python: Interpreter, packages: Sequence[str]) -> list[str]:
    """bwrap's arguments for a judge: nothing but the interpreter is there, and the packages that were asked for."""
    return [
        "--unshare-all", "--unshare-user", "--as-pid-1", "--new-session", "--clearenv",
        *_view(python), "--proc", "/proc", "--tmpfs", "/dev", *_devices(), "--remount-ro", "/dev",
        "--dir", "/tmp", "--dir", "/empty", "--symlink", "/tmp", "/var/tmp", *packages,
        "--remount-ro", "/", "--chdir", "/", "--setenv", "HOME", "/tmp", "--setenv", "PYTHONHASHSEED", "0",
        "--setenv", "OPENBLAS_NUM_THREADS", "1", "--setenv", "OMP_NUM_THREADS", "1", "--",
    ]  # fmt: skip


def _options(tier: Tier, limits: Limits, python: Interpreter, packages: Sequence[str]) -> dict[str, object]:
    """What the fork server is told; see its `Confinement`."""
    uid, gid = identity()
    return {
        "namespaces": tier is BUBBLEWRAP,
        "landlock": tier is LANDLOCK,
        "filters": tier.isolated,
        "uid": uid,
        "gid": gid,
        "scratch_mb": limits.scratch_mb,
        "rlimits": rlimits(limits),
        "readable": ["/usr/lib", "/lib", "/lib64", "/usr/lib64", python.library],
        "packages": list(packages),
    }


def rlimits(limits: Limits) -> dict[str, int]:
    """The kernel's limits for one program, but that of the processor, which comes with its job."""
    return {
        "AS": limits.memory_mb << 20,
        "FSIZE": 16 << 20,
        "NOFILE": 64,
        "NPROC": limits.threads,
        "CORE": 0,
        "MEMLOCK": 0,
        "MSGQUEUE": 0,
        "RTPRIO": 0,
    }


class Sandbox:
    """A process that was started, perhaps behind bubblewrap, and the host's end of its control socket."""

    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket) -> None:
        self.process, self.channel = process, channel
        self._first = -1  # a handle on the first process inside

    def meet(self, seconds: float) -> None:
        """Wait for the handle on the first process inside. SandboxUnavailable if none comes."""
        outer = os.pidfd_open(self.process.pid)
        try:
            waiting = select.poll()
            waiting.register(outer, select.POLLIN)
            waiting.register(self.channel, select.POLLIN)
            ready = [descriptor for descriptor, _ in waiting.poll(seconds * 1000)]
            if self.channel.fileno() not in ready:
                raise SandboxUnavailable("it ended at once" if ready else "it says nothing")
            word, handles, _, _ = socket.recv_fds(self.channel, 1, 1)
            if handles:
                self._first = handles[0]
            if word != READY or not handles:
                raise SandboxUnavailable("it ended without a word" if not word else "it did not say hello")
            if select.select([outer], [], [], 0)[0]:  # from its first word on, what is inside ends with bubblewrap
                raise SandboxUnavailable("bubblewrap ended while it started")
        except OSError as error:
            raise SandboxUnavailable(f"it ended: {error}") from error
        finally:
            os.close(outer)

    def end(self) -> None:
        """End the first process inside, by which the kernel ends all others there; a second time is harmless.

        To end bubblewrap alone would not do: what it started need not notice. Before the first process could be met,
        it is in the group of bubblewrap's, or will end by itself when it finds the socket closed.
        """
        self.channel.close()
        if self._first >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._first, signal.SIGKILL)
            waiting = select.poll()
            waiting.register(self._first, select.POLLIN)
            waiting.poll(_END_S * 1000)
            os.close(self._first)
            self._first = -1
        if self.process.returncode is None:  # not buried yet, so its number is nobody else's
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_END_S)


def start(tier: Tier, limits: Limits, program: Program | None, packages: Sequence[str] = ()) -> Sandbox:
    """Start a fork server, behind `program` in the tier that needs one, which has `packages` loaded.

    Raises SandboxUnavailable when there is no interpreter to run, the program cannot be executed, or a package cannot
    be given to programs.
    """
    python = interpreter()
    folders = [folder for name in packages for folder in folders_of(name, python.abi)]
    binds = [part for folder in folders for part in ("--ro-bind", str(folder), f"{PACKAGES}/{folder.name}")]
    arguments = _judge_arguments(python, binds) if program else []
    options = _options(tier, limits, python, packages)
    return _run_inside(program, arguments, python, _JUDGE_MODULES, options, socket.SOCK_SEQPACKET)


def start_session(program: Program, options: Mapping[str, object]) -> Sandbox:
    """Start the supervisor of a session. Raises the same as `start`."""
    python = interpreter()
    uid, gid = identity()
    options = {**options, "uid": uid, "gid": gid}
    return _run_inside(program, _session_arguments(python), python, _SESSION_MODULES, options, socket.SOCK_STREAM)


def _run_inside(
    program: Program | None,
    arguments: Sequence[str],
    python: Interpreter,
    modules: Sequence[str],
    options: Mapping[str, object],
    kind: socket.SocketKind,
) -> Sandbox:
    """Run `main(options)` of the last of our inside modules, behind `program` if there is one.

    The other end of the sandbox's socket is its descriptor 3.
    """
    folder = resources.files(inside)
    sources = [(name, (folder / f"{name}.py").read_text(encoding="utf-8")) for name in modules]
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    payload = os.memfd_create("payload")
    try:
        os.write(payload, json.dumps({"sources": sources, "options": options}).encode())
        with program.handed() if program else nullcontext(("", (), {})) as (executable, spare, environment):
            bootstrap = _BOOTSTRAP.format(payload=payload, control=theirs.fileno(), spare=spare)
            prefix = [executable, *arguments] if program else []
            process = subprocess.Popen(
                [*prefix, python.path, "-s", "-S", "-B", "-X", "utf8", "-c", bootstrap],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(payload, theirs.fileno(), *spare),
                cwd="/",
                env={"PYTHONHASHSEED": "0", **environment},
                start_new_session=True,
                **privileges(),
            )
    except BaseException as error:
        ours.close()
        if program and isinstance(error, OSError):
            raise SandboxUnavailable(f"{program.path} cannot be executed: {error.strerror}") from error
        raise
    finally:
        os.close(payload)
        theirs.close()
    return Sandbox(process, ours)


def _session_arguments(python: Interpreter) -> list[str]:
    """bwrap's arguments for a session: programs may be started there. The supervisor makes the folders to write in."""
    folders = [part for name in ("/usr/bin", "/usr/share") for part in ("--ro-bind", name, name)]
    for folder in ("/bin", "/sbin"):
        if Path(folder).is_symlink():
            folders += ["--symlink", str(Path(folder).readlink()), folder]
        elif Path(folder).is_dir():
            folders += ["--ro-bind", folder, folder]
    return [
        "--unshare-all", "--unshare-user", "--as-pid-1", "--new-session", "--clearenv",
        *folders, *_view(python), "--ro-bind-try", "/etc/alternatives", "/etc/alternatives",
        "--proc", "/proc", "--tmpfs", "/dev", *_devices(), "--remount-ro", "/dev",
        "--dir", "/tmp", "--dir", WORKSPACE, "--remount-ro", "/", "--chdir", "/",
        "--setenv", "HOME", WORKSPACE, "--setenv", "PATH", "/usr/bin:/bin",
        "--setenv", "LANG", "C.UTF-8", "--",
    ]  # fmt: skip


assert CONTROL == 3, "the bootstrap text says 3"
