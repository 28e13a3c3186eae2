"""The supervisor of a session: the first process of its sandbox, which starts what the agent asks for.

It reads requests from the host on descriptor 3: Python cells, shell commands, files to write and to read. The
agent's programs run as the same user but cannot harm it: signals do not reach the first process of a namespace from
within, its memory is closed, and no program inherits its descriptors. It keeps the clock for each request, cuts
long output, reaps what is left behind, and ends everything when the memory of all processes together is too much.
Between requests everything is held still: what a command left in the background goes on with the next one.

It never waits for the agent without a limit: it writes to no pipe, no socket without a time limit, and opens nothing
that waits for somebody. So it always notices that the host hung up, and all that it started ends with it.
"""

from __future__ import annotations

import errno
import os
import resource
import select
import signal
import socket
import stat
import struct
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import confine, filters, kernel
from .agreed import CONTROL, WORKSPACE
from .codec import Channel, Wire, frame

_QUIET_S = 15.0  # for killed processes to go
_CHECK_S = 0.1  # between looks at the memory in use
_PATIENCE_S = 4.0  # between asking a cell to stop and killing it
_HEARING_S = 1.0  # for a kernel to take in its next cell
_CHUNK = 256 << 10
_FIRST_REST_S, _LONGEST_REST_S = 0.25, 4.0  # between looks at what should be still
_FREE_S = 0.1  # of processor time that may be used in between, by what the clock counts in ticks
_ANSWER = 64  # bytes of a kernel's answer; a longer one is forged


class _Output:
    """The output of one request, of which the beginning and the end are kept."""

    def __init__(self, limit: int) -> None:
        self._limit, self._size, self._head, self._tail = limit, 0, b"", b""

    def add(self, data: bytes) -> None:
        self._size += len(data)
        room = max(0, self._limit // 2 - len(self._head))
        self._head += data[:room]
        self._tail = (self._tail + data[room:])[-(self._limit // 2) :]

    def read(self) -> dict[str, Wire]:
        cut = self._size - len(self._head) - len(self._tail)
        marker = f"\n[… {cut} bytes cut …]\n" if cut else ""
        head, tail = (part.decode("utf-8", "replace") for part in (self._head, self._tail))
        return {"output": head + marker + tail, "truncated": bool(cut)}


class Supervisor:
    """Answers one request at a time."""

    def __init__(self, channel: Channel, options: Mapping[str, Any]) -> None:
        self._channel, self._options = channel, options
        self._kernel: tuple[int, socket.socket, int] | None = None  # pid, channel, its output
        self._lost = False  # a kernel ended, and the agent has not been told yet

    def serve(self) -> None:
        """Until the host hangs up."""
        handlers = {"python": self._python, "shell": self._shell, "write": self._write, "read": self._read}
        while True:
            self._rest()
            request = self._channel.receive()
            _signal_everything(signal.SIGCONT)
            self._reap()
            answer: dict[str, Wire]
            try:
                answer = handlers[request["op"]](request)
            except OSError as error:
                answer = {"error": f"{type(error).__name__}: {error.strerror}"}
            self._channel.send(answer)

    def _rest(self) -> None:
        """Hold everything still until there is a request. What runs all the same, woken by a timer, is ended."""
        _signal_everything(signal.SIGSTOP)
        used, wait = self._processor_s(), _FIRST_REST_S
        while not select.select([CONTROL], [], [], wait)[0]:
            wait = min(2 * wait, _LONGEST_REST_S)
            if self._processor_s() > used + _FREE_S:
                _signal_everything(signal.SIGKILL)
                self._await_quiet()
                self._reap()
                used = self._processor_s()
            _signal_everything(signal.SIGSTOP)

    def _processor_s(self) -> float:
        """Processor time of all that has ever run in here but this process, as far as it is known."""
        self._reap()
        buried = resource.getrusage(resource.RUSAGE_CHILDREN)
        ticks = sum(map(_ticks, Path("/proc").glob("[0-9]*/stat")))
        return buried.ru_utime + buried.ru_stime + ticks / os.sysconf("SC_CLK_TCK")

    def _python(self, request: Mapping[str, Any]) -> dict[str, Wire]:
        pid, channel, output = self._kernel or self._start_kernel()
        text = _Output(self._options["output_bytes"])
        frames = Channel(channel.fileno())
        channel.settimeout(_HEARING_S)
        try:
            channel.sendall(frame({"code": request["code"]}))
            channel.settimeout(None)
        except OSError:  # it ended after its last cell, or somebody filled its channel and does not read
            status = "ended"
        else:
            status = self._watch(channel.fileno(), output, text, request["seconds"], pid)
        if status == "done":
            status = {True: "ok", False: "error", None: "ended"}[_fine(frames)]
        elif status == "time_limit":
            os.kill(pid, signal.SIGINT)
            if self._watch(channel.fileno(), output, text, _PATIENCE_S, pid) == "done" and _fine(frames) is not None:
                return self._report(status, text)
        _drain(output, text)
        if status not in ("ok", "error"):
            self._stop_kernel()
        return self._report(status, text)

    def _report(self, status: str, text: _Output, code: int | None = None) -> dict[str, Wire]:
        """What became of a cell or a command; a kernel that was lost meanwhile, or between two requests, is told."""
        self._reap()
        restarted, self._lost = self._lost, False
        return {"status": status, "code": code, "restarted": restarted, **text.read()}

    def _start_kernel(self) -> tuple[int, socket.socket, int]:
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.setpgid(0, 0)
                self._limit_child()
                kernel.serve(theirs.detach(), writing)
            finally:
                os._exit(1)
        theirs.close()
        os.close(writing)
        os.set_blocking(reading, False)
        # A cell may write half a frame to its channel, or fill it: waiting for the rest, or for room, has to end.
        for waiting in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, waiting, struct.pack("ll", 1, 0))
        self._kernel = (pid, ours, reading)
        return self._kernel

    def _stop_kernel(self) -> None:
        if self._kernel is not None:
            pid, channel, output = self._kernel
            self._kernel, self._lost = None, True
            _kill_group(pid)
            channel.close()
            os.close(output)

    def _limit_child(self) -> None:
        confine.limit(self._options["rlimits"])

    def _shell(self, request: Mapping[str, Any]) -> dict[str, Wire]:
        text = _Output(self._options["output_bytes"])
        process = subprocess.Popen(
            ["/bin/sh", "-c", request["code"]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=self._limit_child,
            start_new_session=True,
        )
        assert process.stdout is not None  # it is a pipe
        output = process.stdout.fileno()
        os.set_blocking(output, False)
        handle = os.pidfd_open(process.pid)
        status = self._watch(handle, output, text, request["seconds"], process.pid)
        _kill_group(process.pid)
        code = process.wait()
        _drain(output, text)
        os.close(handle)
        process.stdout.close()
        status = ("ok" if code == 0 else "error") if status == "done" else status
        return self._report(status, text, code)

    def _watch(self, finished: int, output: int, text: _Output, seconds: float, pid: int) -> str:
        """Collect output until `finished` is readable: "done", "time_limit" or "memory_limit"."""
        until = time.monotonic() + seconds
        waiting = select.poll()
        waiting.register(finished, select.POLLIN)
        waiting.register(output, select.POLLIN)
        waiting.register(CONTROL, select.POLLRDHUP)
        while True:
            left = until - time.monotonic()
            ready = {descriptor for descriptor, _ in waiting.poll(max(0.0, min(left, _CHECK_S)) * 1000)}
            if CONTROL in ready:
                raise EOFError("the host hung up")
            if output in ready and _drain(output, text):
                waiting.unregister(output)
            if _memory_in_use() > self._options["memory_bytes"]:
                _kill_group(pid)
                _signal_everything(signal.SIGKILL)
                self._await_quiet()
                return "memory_limit"
            if finished in ready:
                return "done"
            if left <= 0:  # by the look above, which came after: this process may have been paused
                return "time_limit"

    def _await_quiet(self) -> None:
        """Wait until what was killed is gone: its memory must not count against the next cell.

        The dead hold none, buried or not. Whoever watches still reads their last words and their exit codes.
        """
        until = time.monotonic() + _QUIET_S
        while _memory_in_use() and time.monotonic() < until:
            time.sleep(0.01)

    def _write(self, request: Mapping[str, Any]) -> dict[str, Wire]:
        flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if request["append"] else os.O_TRUNC)
        with _opened(request["path"], flags) as descriptor:
            data = bytes.fromhex(request["data"])
            while data:
                data = data[os.write(descriptor, data) :]
        return {"ok": True}

    def _read(self, request: Mapping[str, Any]) -> dict[str, Wire]:
        with _opened(request["path"], os.O_RDONLY) as descriptor:
            size = os.fstat(descriptor).st_size
            return {"size": size, "data": os.pread(descriptor, _CHUNK, request["offset"]).hex()}

    def _reap(self) -> None:
        """Bury orphans, which come to the first process of a namespace; the kernel's end is noticed on its channel."""
        known = self._kernel[0] if self._kernel else -1
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == known:
                self._stop_kernel()


def _fine(frames: Channel) -> bool | None:
    """Whether the cell came through, by the kernel's own word; None if it says nothing of the kind."""
    try:
        return bool(frames.receive(_ANSWER)["ok"])
    except (EOFError, OSError, ValueError, KeyError):
        return None


def _drain(output: int, text: _Output) -> bool:
    """Read what is there, a bounded amount at a time; true at the end of the stream."""
    for _ in range(64):
        try:
            data = os.read(output, 1 << 16)
        except BlockingIOError:
            return False
        if not data:
            return True
        text.add(data)
    return False


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _signal_everything(number: int) -> None:
    """To everything in the namespace but this process, which a signal to all spares."""
    try:
        os.kill(-1, number)
    except ProcessLookupError:
        return


@contextmanager
def _opened(path: str, flags: int) -> Iterator[int]:
    """A regular file below the workspace, through no link on the way to it, and without waiting for anybody.

    OSError if there is none; a pipe without a reader, for one, would be waited for.
    """
    *folders, name = path.split("/")
    guarded = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(WORKSPACE, os.O_PATH | os.O_DIRECTORY | guarded)
    try:
        for folder in filter(None, folders):
            inner = os.open(folder, os.O_PATH | os.O_DIRECTORY | guarded, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        file = os.open(name, flags | guarded, 0o644, dir_fd=descriptor)
    finally:
        os.close(descriptor)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        yield file
    finally:
        os.close(file)


def _ticks(process: Path) -> int:
    """Processor time of a process and of those that it buried, by its file `stat`."""
    try:
        fields = process.read_text().rpartition(")")[2].split()
    except OSError:  # it is gone
        return 0
    return 0 if process.parent.name == "1" else sum(map(int, fields[11:15]))


def _memory_in_use() -> int:
    """Bytes resident in all processes of the namespace but this one: a sample, so a best effort."""
    processes = (path for path in Path("/proc").glob("[0-9]*") if path.name != "1")
    return sum(map(_resident, processes)) * os.sysconf("SC_PAGE_SIZE")


def _resident(process: Path) -> int:
    """Pages of one process. Where its first thread has ended, its others are asked: they may still hold memory."""
    try:
        return _pages(process / "statm") or max(map(_pages, process.glob("task/*/statm")), default=0)
    except OSError:  # it was buried while its threads were listed
        return 0


def _pages(statm: Path) -> int:
    try:
        return int(statm.read_text().split()[1])
    except (OSError, IndexError):  # it is gone
        return 0


def main(options: Mapping[str, Any]) -> None:
    """Supervise until the host hangs up. SystemExit unless this is the first process of a namespace."""
    if os.getpid() != 1:
        # Among other processes, the watch would count them all, and the signal to everything would reach them.
        raise SystemExit("a session needs a process namespace of its own")
    os.set_inheritable(CONTROL, False)
    confine.own_view(options["uid"], options["gid"], {WORKSPACE: options["folder"], "/tmp": options["folder"]})
    with socket.socket(fileno=os.dup(CONTROL)) as control:
        confine.introduce(control)
    os.chdir(WORKSPACE)
    confine.hide_memory()
    confine.no_new_privileges()
    filters.install(filters.session_filter())
    channel = Channel(CONTROL)
    channel.send({"ready": True})
    try:
        Supervisor(channel, options).serve()
    except EOFError:
        return
