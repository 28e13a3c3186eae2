"""Making a process that can do next to nothing: namespaces, mounts, capabilities, limits; or Landlock.

One `clone` with all the namespace flags makes the program's process the first of its own process namespace, so
that killing it kills everything it ever started. The C library has no call for that, hence the raw system call,
wrapped in the interpreter's own fork hooks.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import signal
import socket
import stat
from collections.abc import Callable, Mapping, Sequence

from .agreed import DEVICES, READY

# PyDLL keeps the interpreter's lock: the child of `clone` must be born holding it.
_libc = ctypes.PyDLL(None, use_errno=True)

_NEW_USER, _NEW_PID, _NEW_MOUNT, _NEW_IPC = 0x10000000, 0x20000000, 0x00020000, 0x08000000
_PARENT, _CHILD_SETTID, _CHILD_CLEARTID = 0x00008000, 0x01000000, 0x00200000
_NOSUID, _NODEV, _RDONLY, _REMOUNT, _BIND, _RELATIME = 2, 4, 1, 32, 4096, 1 << 21
_KEPT = 2 | 4 | 8 | 1024 | 2048  # flags of a mount that have the same number in `statvfs`; nobody may clear them here
_ST_RELATIME = 4096
_GET_TID_ADDRESS, _SET_NO_NEW_PRIVS, _SET_PDEATHSIG, _SET_DUMPABLE = 40, 38, 1, 4

SCRATCH = "/tmp"


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def forker(*, namespaces: bool) -> Callable[[], int]:
    """A function like `os.fork`, whose child is a child of the caller's parent, in fresh user, process, mount and ipc
    namespaces if asked.

    The network is the server's, in which there is nothing: a program has no call that names an address, and a
    namespace for each costs a fifth of all the time. What it needs is made here, once: a call leaves the memory of the
    caller as it was, so that no child can tell how many were born before it. It raises OSError where the kernel
    refuses. The calling process must have one thread.
    """
    flags = _PARENT | (_NEW_USER | _NEW_PID | _NEW_MOUNT | _NEW_IPC if namespaces else 0) | signal.SIGCHLD
    # The C library caches the thread's number at an address which the kernel can be told to update, as its own
    # fork does. A kernel built without checkpoint support does not tell the address; the stale number is harmless
    # until the C library's recursive locks meet a thread that happens to have it.
    address = ctypes.c_ulong(0)
    if _libc.prctl(_GET_TID_ADDRESS, ctypes.byref(address)) == 0 and address.value:
        flags |= _CHILD_SETTID | _CHILD_CLEARTID
    tid = ctypes.c_void_p(address.value)
    arm = platform.machine() == "aarch64"
    call = (220, flags, None, None, None, tid) if arm else (56, flags, None, None, tid, None)

    def fork() -> int:
        ctypes.pythonapi.PyOS_BeforeFork()
        pid = _libc.syscall(*call)
        if pid == 0:
            ctypes.pythonapi.PyOS_AfterFork_Child()
        else:
            ctypes.pythonapi.PyOS_AfterFork_Parent()
        return _check(pid, "clone into new namespaces")

    return fork


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def enter_namespaces(uid: int, gid: int, scratch_mb: int) -> None:
    """In the child of a `forker(namespaces=True)`: an unprivileged identity, an empty scratch folder, no /proc.

    The scratch folder is the only writable place; it lives in memory, with a quota, and dies with the namespace.
    """
    os.setsid()  # a signal to one's process group reaches all in it, whatever their namespaces
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"1000 {uid} 1")
    _write("/proc/self/gid_map", f"1000 {gid} 1")
    options = f"size={scratch_mb}m,nr_inodes=4096,mode=700".encode()
    _check(_libc.mount(b"tmpfs", SCRATCH.encode(), b"tmpfs", _NOSUID | _NODEV, options), "mount scratch")
    _check(_libc.mount(b"/empty", b"/proc", None, _BIND, None), "hide /proc")
    os.chdir(SCRATCH)
    drop_capabilities()


def own_view(uid: int, gid: int, folders: Mapping[str, str]) -> None:
    """For the first process of a sandbox, with one thread: a view of its own of what all sandboxes would share.

    The device nodes are the host's. Read-only they still read and write, and nobody can set their times, which any
    program on the machine could read. Each of `folders` becomes a fresh folder in memory, with those mount options.
    """
    _check(_libc.unshare(_NEW_USER | _NEW_MOUNT), "unshare the view")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{uid} {uid} 1")
    _write("/proc/self/gid_map", f"{gid} {gid} 1")
    for name in DEVICES:
        path = f"/dev/{name}"
        found = os.statvfs(path).f_flag
        flags = _REMOUNT | _BIND | _RDONLY | found & _KEPT | (_RELATIME if found & _ST_RELATIME else 0)
        _check(_libc.mount(None, path.encode(), None, flags, None), f"make {path} read-only")
    for path, options in folders.items():
        _check(_libc.mount(b"tmpfs", path.encode(), b"tmpfs", _NOSUID | _NODEV, options.encode()), f"mount {path}")
    own_null()
    drop_capabilities()
    die_with_parent()  # which is bubblewrap


def introduce(control: socket.socket) -> None:
    """Send the host a handle on this process, which is the first of its namespace: its end is the end of all in it."""
    handle = os.pidfd_open(os.getpid())
    socket.send_fds(control, [READY], [handle])
    os.close(handle)


def own_null() -> None:
    """An open /dev/null of this process's own as standard input, output and error.

    Flags, owner, signal and locks belong to what was opened, not to the descriptor: one that is inherited is shared.
    """
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for standard in range(3):
        os.dup2(null, standard)
    os.close(null)


def drop_capabilities() -> None:
    """Give up every capability. With no-new-privileges, none can come back."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    number = 91 if platform.machine() == "aarch64" else 126
    _check(_libc.syscall(number, header, (ctypes.c_uint32 * 6)()), "capset")


def no_new_privileges() -> None:
    """No later exec can gain what this process lacks; seccomp and Landlock ask for it."""
    _check(_libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def die_with_parent() -> None:
    """SIGKILL when the parent's thread ends. A change of identity would take it back."""
    _check(_libc.prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "pdeathsig")


def hide_memory() -> None:
    """Close this process's memory to others of the same user, in /proc too."""
    _check(_libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0), "dumpable")


def limit(limits: Mapping[str, int]) -> None:
    """Hard limits by name (`{"AS": bytes}` for RLIMIT_AS); they can be lowered and never raised again."""
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))


# Landlock: its numbers are the same on every machine.
_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_READ_FILE = 1 << 0 | 1 << 2  # execute, read
_READ = _READ_FILE | 1 << 3  # and list a folder
_DEVICE = 1 << 1 | 1 << 2  # write, read


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("access", ctypes.c_uint64), ("descriptor", ctypes.c_int32))


def landlock_version() -> int:
    """The kernel's Landlock version; OSError where there is none."""
    return _check(_libc.syscall(_CREATE, None, 0, 1), "landlock")


def enter_landlock(readable: Sequence[str]) -> None:
    """Forbid every file access but reading below `readable` and using /dev/null; forbid TCP.

    From version 6 on, signals and abstract sockets to the outside are forbidden too.
    """
    version = landlock_version()
    files = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    rules = _Ruleset(files, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _check(_libc.syscall(_CREATE, ctypes.byref(rules), size, 0), "landlock ruleset")
    for path in [*readable, "/dev/null", "/dev/urandom"]:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ENOENT:
                continue
            raise
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        access = _DEVICE if path.startswith("/dev/") else _READ if folder else _READ_FILE
        rule = _PathRule(access, descriptor)
        _check(_libc.syscall(_ADD_RULE, ruleset, 1, ctypes.byref(rule), 0), f"landlock rule for {path}")
        os.close(descriptor)
    _check(_libc.syscall(_RESTRICT, ruleset, 0), "landlock restrict")
    os.close(ruleset)
