"""System-call filters: classic BPF programs for seccomp, assembled here and installed with ctypes.

Two filters stack, and the stricter answer wins. The *base* filter is an allow-list that the fork server takes on
once and that every program inherits for free; the *program* filter takes away what only the setup needed. Left
out: filtering by pathname or by memory contents, which seccomp cannot see.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterable, Mapping

from . import calls

_LOAD, _JUMP_EQUAL, _JUMP_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data; argument i lies at 16 + 8i, low word first

_CLONE_THREAD = 0x00010000
_CLONE_NEW = 0x7E020080  # every namespace flag, CLONE_NEWTIME included
_SET_NAME, _GET_NAME = 15, 16

# Where programs and the host's other processes of the same user live side by side.
_SHARED = [
    "kill",
    "tkill",
    "tgkill",
    "chmod",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "utime",
    "utimes",
    "utimensat",
    "futimesat",
    "truncate",
]

_libc = ctypes.CDLL(None, use_errno=True)

Instruction = bytes


def _op(code: int, k: int, yes: int = 0, no: int = 0) -> Instruction:
    return struct.pack("HBBI", code, yes, no, k)


def _answer(verdict: int) -> Instruction:
    return _op(_RETURN, verdict)


def _refuse() -> Instruction:
    return _answer(_ERRNO | errno.EPERM)


def _argument(index: int) -> Instruction:
    return _op(_LOAD, 16 + 8 * index)


def _on(number: int, then: list[Instruction]) -> list[Instruction]:
    """If the call has this number, do `then`, which must return."""
    return [_op(_JUMP_EQUAL, number, 0, len(then)), *then]


def _one_of(index: int, values: tuple[int, ...]) -> list[Instruction]:
    """Allow if the low word of an argument is one of `values`, else EPERM."""
    tests = [_op(_JUMP_EQUAL, value, len(values) - i, 0) for i, value in enumerate(values)]
    return [_argument(index), *tests, _refuse(), _answer(_ALLOW)]


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
        _refuse(),
    ]


def _rule(rule: calls.Rule) -> list[Instruction]:
    """What a rule says of the low word of its argument; EPERM for any other value."""
    lines = [_argument(rule.argument)]
    for values, verdict in ((rule.values, _ALLOW), (rule.unkept, _ERRNO)):
        for value in values:
            lines += [_op(_JUMP_EQUAL, value, 0, 1), _answer(verdict)]
    return [*lines, _refuse()]


def _allow(names: Iterable[str], rules: Mapping[str, calls.Rule], numbers: Mapping[str, int]) -> list[Instruction]:
    program: list[Instruction] = []
    for name in names:
        if name in numbers and name not in rules:
            program += _on(numbers[name], [_answer(_ALLOW)])
    for name, rule in rules.items():
        if name in numbers:
            program += _on(numbers[name], _rule(rule))
    for name, number in calls.ABSENT.items():
        program += _on(numbers[name], [_answer(_ERRNO | number)])
    return program


def base_filter() -> bytes:
    """The allow-list that the fork server takes on: everything that a program may do, and the setup."""
    numbers, architecture = calls.machine()
    program = _preamble(architecture)
    program += _allow((*calls.COMMON, *calls.SETUP), calls.JUDGE_RULES, numbers)
    for name in calls.HOSTILE:
        if name in numbers and name not in calls.SETUP:
            program += _on(numbers[name], [_answer(_KILL)])
    return b"".join([*program, _refuse()])


def program_filter(*, signals: bool) -> bytes:
    """What a program loses before its first line: the setup calls.

    In namespaces of its own a program can signal only itself, and change only files of its own. Elsewhere, without
    `signals`, it loses what reaches others of the same user: signals, and modes, times and lengths of files by name.
    """
    numbers, architecture = calls.machine()
    program = _preamble(architecture)
    program += _on(numbers["clone"], _threads_only())
    program += _on(numbers["prctl"], _one_of(0, (_SET_NAME, _GET_NAME)))
    # asyncio wakes itself through a pair of connected stream sockets; datagrams could be sent to an address.
    stream = (1, 1 | 0x80000, 1 | 0x800, 1 | 0x80800)
    program += _on(numbers["socketpair"], [_argument(0), _op(_JUMP_EQUAL, 1, 1, 0), _refuse(), *_one_of(1, stream)])
    refused = ["sendmsg", "recvmsg", "pidfd_open", "pidfd_send_signal", "setsid"]
    for name in refused if signals else [*refused, *_SHARED]:
        if name in numbers:
            program += _on(numbers[name], [_refuse()])
    for name in calls.SETUP:
        if name in calls.HOSTILE or name.startswith("landlock"):
            program += _on(numbers[name], [_answer(_KILL)])
    return b"".join([*program, _answer(_ALLOW)])


def session_filter() -> bytes:
    """For an agent's session, which may start programs: an allow-list too, so that a new call is not allowed."""
    numbers, architecture = calls.machine()
    program = _preamble(architecture)
    program += _on(numbers["clone"], [_argument(0), _op(_JUMP_SET, _CLONE_NEW, 0, 1), _refuse(), _answer(_ALLOW)])
    # Not memfd_create: a file in memory that nobody has mapped belongs to no process, and counts against no limit.
    program += _allow((*calls.COMMON, *calls.SESSION), calls.SESSION_RULES, numbers)
    return b"".join([*program, _refuse()])


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
