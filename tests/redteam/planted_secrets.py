"""What the attacks look for: a secret in the environment, in files, in sockets, in memory and in a process."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

SECRET = "REDTEAM-CANARY-5f1c"
CANARY = Path("/tmp/redteam_canary.txt")
_FILES = (CANARY, Path("/dev/shm/redteam_canary"), Path("/tmp/redteam_canary_touch"))
_SOCKET = "/tmp/redteam_canary.sock"


def _serve(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = server.accept()
            client.sendall(SECRET.encode())
            client.close()


def _echo(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            _, address = server.recvfrom(100)
            if address is None:  # shut down
                return
            server.sendto(SECRET.encode(), address)


def _sockets() -> Iterator[socket.socket]:
    """Listening sockets; where another run already listens, there is something to be found as well."""
    Path(_SOCKET).unlink(missing_ok=True)
    for family, address in (
        (socket.AF_INET, ("127.0.0.1", 47811)),
        (socket.AF_UNIX, "\0redteam_canary"),
        (socket.AF_UNIX, _SOCKET),
    ):
        server = socket.socket(family)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(address)
        except OSError:
            server.close()
            continue
        server.listen(8)
        threading.Thread(target=_serve, args=(server,), daemon=True).start()
        yield server
    Path(_SOCKET).chmod(0o777)
    datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with contextlib.suppress(OSError):
        datagram.bind(("127.0.0.1", 47812))
        threading.Thread(target=_echo, args=(datagram,), daemon=True).start()
    yield datagram


@pytest.fixture(scope="module")
def planted() -> Iterator[None]:
    """Plant everything, and take it away again. What is planted has fixed names, which the attacks know: another run on
    this machine has to wait for it.
    """
    with (Path(tempfile.gettempdir()) / f"redteam-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield from _planted()


def _planted() -> Iterator[None]:
    os.environ["REDTEAM_CANARY"] = SECRET
    for file in _FILES:
        file.write_text(SECRET)
        file.chmod(0o666)
    sockets = list(_sockets())
    libc = ctypes.CDLL(None)
    segment = libc.shmget(0x5EC0DE, 4096, 0o1666)
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(7200)", "redteam_canary_proc"])
    yield
    sleeper.kill()
    sleeper.wait()
    if segment >= 0:
        libc.shmctl(segment, 0, None)
    for server in sockets:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
    for file in (*_FILES, Path(_SOCKET)):
        file.unlink(missing_ok=True)
    del os.environ["REDTEAM_CANARY"]
