"""The live self-test: a program that tries to get out, run before the first untrusted one.

It runs as a judge's programs do and as a session's cells do.

A backend is chosen by what it stops on this machine today, never by its version. Each probe answers whether it got
through; anything but "blocked" refuses the backend. The host plants what the probes look for. That the probes
themselves work is shown by running them without isolation, where they must get through (a test does that).
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .frames import Deadline, Hangup, Malformed
from .inside.codec import Wire
from .launch import BUBBLEWRAP, Tier, identity
from .supervised import Supervised
from .worker import Worker, WorkerDied

_PROBE_S = 30.0  # a probe takes milliseconds; one that is late refuses a good sandbox for as long as the process lives

_PROGRAM = """
import ctypes, os, signal, socket

def read(path):
    with open(path) as file:
        return bool(file.read())

def touch_device(_):
    os.utime("/dev/full")
    return True

def standard_times(_):
    os.utime(0)
    return True

def signal_for(_):
    import fcntl
    fcntl.fcntl(0, fcntl.F_SETSIG, 42)
    return fcntl.fcntl(0, fcntl.F_GETSIG) == 42

def signal_by_owner(pid):
    import fcntl
    ours, theirs = socket.socketpair()
    fcntl.fcntl(ours, fcntl.F_SETOWN, pid)
    return True

def change_mode(path):
    os.chmod(path, 0o666)
    return True

def change_times(path):
    os.utime(path, (1, 1))
    return True

def hypervisor(_):
    socket.socket(40, socket.SOCK_STREAM).close()
    return True

def second_door(_):
    return ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(0x40000000 + 39)) != -1 or ctypes.get_errno() == 38

def connect(port):
    socket.create_connection(("127.0.0.1", port), timeout=1).close()
    return True

def fork(_):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return True

def see(pid):
    return os.path.exists("/proc/%d" % pid) and bool(os.listdir("/proc/%d" % pid))

def signal_host(pid):
    os.kill(pid, 0)
    return True

def write(folder):
    os.close(os.open(os.path.join(folder, "peripatos-probe"), os.O_WRONLY | os.O_CREAT, 0o600))
    os.unlink(os.path.join(folder, "peripatos-probe"))
    return True

def write_shared(_):
    for folder in ("/dev/shm", "/var/tmp/x", "/run", "/", "/usr/lib"):
        try:
            return write(folder)
        except OSError:
            pass
    return False

def become_root(_):
    os.setuid(0)
    return True

def namespace(_):
    return ctypes.CDLL(None).unshare(0x10000000) == 0

def remember(mark):
    found = os.path.exists(mark)
    try:
        os.close(os.open(mark, os.O_WRONLY | os.O_CREAT, 0o666))
    except OSError:
        pass
    return found

def shared(namespaces):
    return any(os.stat("/proc/self/ns/" + name).st_ino == inode for name, inode in namespaces.items())

def probe(name, argument):
    try:
        return bool(globals()[name](argument))
    except Exception:
        return False
"""


@contextmanager
def _planted() -> Iterator[tuple[str, str, int]]:
    """A folder that anyone may write to, a file in it that anyone may read, and a port that takes connections.

    Not below /tmp, if that can be helped: sandboxes have one of their own, and would not see what they could reach.
    """
    place = next((path for path in ("/var/tmp", "/dev/shm") if os.access(path, os.W_OK | os.X_OK)), None)
    with (
        tempfile.TemporaryDirectory(prefix="peripatos-", dir=place) as folder,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        canary = Path(folder) / "canary"
        Path(folder).chmod(0o777)
        canary.write_text("canary")
        canary.chmod(0o644)
        yield folder, str(canary), server.getsockname()[1]


def refusal_of(report: Mapping[str, str]) -> str:
    """Why a report refuses what was tested; empty if it does not."""
    opened = sorted(name for name, outcome in report.items() if outcome == "open")
    failed = sorted(name for name, outcome in report.items() if outcome not in ("open", "blocked"))
    if opened:
        return f"failed the self-test on {', '.join(opened)}"
    if failed:
        return f"could not run the self-test ({failed[0]} {report[failed[0]]})"
    return ""


def _own_file(folder: str) -> str:
    """A file that belongs to the user the sandbox runs as."""
    path = Path(folder) / "own"
    path.write_text("own")
    path.chmod(0o600)
    os.chown(path, *identity())
    return str(path)


def self_test(worker: Worker, tier: Tier) -> dict[str, str]:
    """Run every probe in a process of its own: `{probe: "blocked" | "open" | what went wrong}`."""
    with _planted() as (folder, canary, port):
        mark = f"/tmp/{Path(folder).name}-mark"
        probes: list[tuple[str, Wire]] = [
            ("read", canary),
            ("connect", port),
            ("fork", 0),
            ("see", os.getpid()),
            ("write", folder),
            ("write_shared", 0),
            ("become_root", 0),
            ("namespace", 0),
            ("remember", mark),
            ("remember", mark),
            ("touch_device", 0),
            ("signal_for", 0),
            ("hypervisor", 0),
            ("second_door", 0),
        ]
        if tier is BUBBLEWRAP:
            probes.append(("standard_times", 0))
        else:
            own = _own_file(folder)
            probes += [("signal_host", os.getpid()), ("signal_by_owner", os.getpid())]
            probes += [("change_mode", own), ("change_times", own)]
        report = {name: _outcome(worker, name, argument) for name, argument in probes}
        Path(mark).unlink(missing_ok=True)
        return report


def session_self_test(sandbox: Supervised) -> dict[str, str]:
    """The probes of what a session forbids too, as cells: in there no second wall stands around each program.

    Processes are not looked for by their number, which may be one of the session's own as well.
    """
    own = {name: Path(f"/proc/self/ns/{name}").stat().st_ino for name in ("ipc", "mnt", "net", "pid", "user")}
    with _planted() as (folder, canary, port):
        probes: list[tuple[str, object]] = [
            ("read", canary),
            ("connect", port),
            ("write", folder),
            ("write_shared", 0),
            ("become_root", 0),
            ("namespace", 0),
            ("shared", own),
            ("touch_device", 0),
            ("standard_times", 0),
            ("signal_for", 0),
            ("hypervisor", 0),
            ("second_door", 0),
        ]
        return {f"session_{name}": _outcome_of_cell(sandbox, name, argument) for name, argument in probes}


def _outcome_of_cell(sandbox: Supervised, name: str, argument: object) -> str:
    code = f"{_PROGRAM}\nprint('open' if probe({name!r}, {argument!r}) else 'blocked')"
    try:
        answer = sandbox.ask({"op": "python", "code": code, "seconds": _PROBE_S}, 2 * _PROBE_S)
    except (Deadline, Malformed, Hangup, OSError) as error:
        return f"failed: {error!r}"
    output = str(answer.get("output")).strip()
    return output if output in ("open", "blocked") else f"failed: {output[-100:]}"


def _outcome(worker: Worker, name: str, argument: Wire) -> str:
    try:
        process = worker.take()
    except WorkerDied as error:
        return f"failed: {error}"
    try:
        deadline = time.monotonic() + _PROBE_S
        inputs: list[Wire] = [[name, argument]]
        process.begin({"kind": "function", "code": _PROGRAM, "entry": "probe", "inputs": inputs, "cpu": 5}, deadline)
        message = process.receive(deadline)
        if message.get("v") is False:
            return "blocked"
        return "open" if message.get("v") is True else f"failed: {json.dumps(message)[:100]}"
    except Hangup:
        return "blocked"  # the filter killed the program
    except (Deadline, Malformed, WorkerDied) as error:
        return f"failed: {error}"
    finally:
        process.end()
        process.close()
