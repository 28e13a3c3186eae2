"""System-call filters: classic BPF programs for seccomp, assembled here and installed with ctypes.

Two filters stack, and the stricter answer wins. The *base* filter is an allow-list that the fork server takes on
once and that every program inherits for free; the *program* filter takes away what only the setup needed. Left
out: filtering by pathname or by memory contents, which seccomp cannot see.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from . import calls

_LOAD, _JUMP_EQUAL, _JUMP_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data; argument i lies at 16 + 8i, low word first

_CLONE_THREAD = 0x00010000
_CLONE_NEW = 0x7E020080  # every namespace flag, CLONE_NEWTIME included
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # isatty, window size, FIONREAD, blocking, close-on-exec
_SET_NAME, _GET_NAME = 15, 16

_SESSION_MAY = ("execve", "execveat", "setuid", "setgid", "setgroups", "setresuid", "setresgid")

_libc = ctypes.CDLL(None, use_errno=True)

Instruction = bytes


def _op(code: int, k: int, yes: int = 0, no: int = 0) -> Instruction:
    return struct.pack("HBBI", code, yes, no, k)


def _answer(verdict: int) -> Instruction:
    return _op(_RETURN, verdict)


def _argument(index: int) -> Instruction:
    return _op(_LOAD, 16 + 8 * index)


def _on(number: int, then: list[Instruction]) -> list[Instruction]:
    """If the call has this number, do `then`, which must return."""
    return [_op(_JUMP_EQUAL, number, 0, len(then)), *then]


def _one_of(index: int, values: tuple[int, ...]) -> list[Instruction]:
    """Allow if the low word of an argument is one of `values`, else EPERM."""
    tests = [_op(_JUMP_EQUAL, value, len(values) - i, 0) for i, value in enumerate(values)]
    return [_argument(index), *tests, _answer(_ERRNO | errno.EPERM), _answer(_ALLOW)]


def _preamble(architecture: int) -> list[Instruction]:
    # A 32-bit call enters with another architecture; the x32 numbers are in no list and end at EPERM.
    return [_op(_LOAD, _ARCHITECTURE), _op(_JUMP_EQUAL, architecture, 1, 0), _answer(_KILL), _op(_LOAD, _NUMBER)]


def _threads_only() -> list[Instruction]:
    """`clone` may make a thread and nothing else: not a process, not a namespace."""
    return [
        _argument(0),
        _op(_JUMP_SET, _CLONE_NEW, 2, 0),
        _op(_JUMP_SET, _CLONE_THREAD, 0, 1),
        _answer(_ALLOW),
        _answer(_ERRNO | errno.EPERM),
    ]


def base_filter() -> bytes:
    """The allow-list that the fork server takes on: everything that a program may do, and the setup."""
    numbers, architecture = calls.machine()
    program = _preamble(architecture)
    for name in (*calls.ALLOWED, *calls.SETUP):
        if name in numbers:
            program += _on(numbers[name], [_answer(_ALLOW)])
    program += _on(numbers["ioctl"], _one_of(1, _IOCTLS))
    program += _on(numbers["prlimit64"], _one_of(0, (0,)))
    # No flags but MSG_NOSIGNAL: urgent data on local sockets has been a way into the kernel.
    program += _on(numbers["sendto"], _one_of(3, (0, 0x4000)))
    program += _on(numbers["recvfrom"], _one_of(3, (0,)))
    # A socket may be asked for its type, its error, its protocol and its domain: never for its peer.
    program += _on(numbers["getsockopt"], _one_of(2, (3, 4, 38, 39)))
    # With ENOSYS the C library falls back from clone3, whose flags a filter cannot read, to clone.
    program += _on(numbers["clone3"], [_answer(_ERRNO | errno.ENOSYS)])
    for name in calls.HOSTILE:
        if name in numbers and name not in calls.SETUP:
            program += _on(numbers[name], [_answer(_KILL)])
    return b"".join([*program, _answer(_ERRNO | errno.EPERM)])


def program_filter(*, signals: bool) -> bytes:
    """What a program loses before its first line: the setup calls; with `signals` false, all signals too.

    Inside a process namespace of its own a program can signal only itself; without one it must not signal.
    """
    numbers, architecture = calls.machine()
    program = _preamble(architecture)
    program += _on(numbers["clone"], _threads_only())
    program += _on(numbers["prctl"], _one_of(0, (_SET_NAME, _GET_NAME)))
    # asyncio wakes itself through a pair of connected stream sockets; datagrams could be sent to an address.
    stream = (1, 1 | 0x80000, 1 | 0x800, 1 | 0x80800)
    program += _on(numbers["socketpair"], _one_of(1, stream))
    for name in ("sendmsg", "recvmsg", "pidfd_open", "pidfd_send_signal"):
        program += _on(numbers[name], [_answer(_ERRNO | errno.EPERM)])
    for name in calls.SETUP:
        if name in calls.HOSTILE or name.startswith("landlock"):
            program += _on(numbers[name], [_answer(_KILL)])
    if not signals:
        for name in ("kill", "tkill", "tgkill"):
            program += _on(numbers[name], [_answer(_ERRNO | errno.EPERM)])
    return b"".join([*program, _answer(_ALLOW)])


def session_filter() -> bytes:
    """For an agent's session, which may start programs: everything but new namespaces and what is hostile."""
    numbers, architecture = calls.machine()
    program = _preamble(architecture)
    refuse = [_argument(0), _op(_JUMP_SET, _CLONE_NEW, 0, 1), _answer(_ERRNO | errno.EPERM), _answer(_ALLOW)]
    program += _on(numbers["clone"], refuse)
    program += _on(numbers["clone3"], [_answer(_ERRNO | errno.ENOSYS)])
    # A file in memory that nobody has mapped belongs to no process, and would count against no limit.
    for name in (*calls.HOSTILE, "memfd_create"):
        if name in numbers and name not in _SESSION_MAY:
            program += _on(numbers[name], [_answer(_ERRNO | errno.EPERM)])
    return b"".join([*program, _answer(_ALLOW)])


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def install(filter_: bytes) -> None:
    """Put the calling process under `filter_`, for good. It must have given up new privileges before.

    Raises OSError where the kernel refuses.
    """
    program = _Program(len(filter_) // 8, filter_)
    set_seccomp, mode_filter = 22, 2
    if _libc.prctl(set_seccomp, mode_filter, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp was refused")
