"""The names of the system calls and what becomes of each: data, for the filters in `filters.py`.

COMMON calls are harmless inside the namespaces, whatever their arguments; RULES say which arguments of others are.
HOSTILE ones have no place in an honest program and kill it at once, which leaves a trace (SIGSYS) that the host sees.
Whatever is in no list fails with EPERM, so that a program which merely tries something (`os.system("clear")`) can go
on. SETUP is what the fork server itself needs to prepare a program's process; the program loses it before its first
line runs.

Left out on purpose, though harmless at first sight, for they tell one program what another did: `getrusage` and
`mincore` (which pages are in the cache), `fadvise64` and `readahead` (which put them there, or away), `sysinfo` (how
much memory is free), `inotify` (what others read). `tests/envs/sandbox/test_nothing_remains.py` tries every call that
is in a list.
"""

from __future__ import annotations

import errno
import platform
from dataclasses import dataclass

_NUMBERS = """
accept 43 202, accept4 288 242, access 21 -1, acct 163 89, add_key 248 217, adjtimex 159 171, alarm 37 -1,
arch_prctl 158 -1, bind 49 200, bpf 321 280, brk 12 214, capget 125 90, capset 126 91, chdir 80 49, chmod 90 -1,
chown 92 -1, chroot 161 51, clock_adjtime 305 266, clock_getres 229 114, clock_gettime 228 113,
clock_nanosleep 230 115, clock_settime 227 112, clone 56 220, clone3 435 435, close 3 57, close_range 436 436,
connect 42 203, copy_file_range 326 285, creat 85 -1, delete_module 176 106, dup 32 23, dup2 33 -1, dup3 292 24,
epoll_create 213 -1, epoll_create1 291 20, epoll_ctl 233 21, epoll_pwait 281 22, epoll_pwait2 441 441,
epoll_wait 232 -1, eventfd 284 -1, eventfd2 290 19, execve 59 221, execveat 322 281, exit 60 93,
exit_group 231 94, faccessat 269 48, faccessat2 439 439, fadvise64 221 223, fallocate 285 47,
fanotify_init 300 262, fchdir 81 50, fchmod 91 52, fchmodat 268 53, fchmodat2 452 452, fchown 93 55,
fchownat 260 54, fcntl 72 25, fdatasync 75 83, fgetxattr 193 10, finit_module 313 273, flistxattr 196 13,
flock 73 32, fork 57 -1, fremovexattr 199 16, fsconfig 431 431, fsetxattr 190 7, fsmount 432 432,
fsopen 430 430, fspick 433 433, fstat 5 80, fstatfs 138 44, fsync 74 82, ftruncate 77 46, futex 202 98,
futex_waitv 449 449, futimesat 261 -1, get_robust_list 274 100, getcpu 309 168, getcwd 79 17, getdents 78 -1,
getdents64 217 61, getegid 108 177, geteuid 107 175, getgid 104 176, getgroups 115 158, getitimer 36 102,
getpeername 52 205, getpgid 121 155, getpgrp 111 -1, getpid 39 172, getppid 110 173, getpriority 140 141,
getrandom 318 278, getresgid 120 150, getresuid 118 148, getrlimit 97 163, getrusage 98 165, getsid 124 156,
getsockname 51 204, getsockopt 55 209, gettid 186 178, gettimeofday 96 169, getuid 102 174, getxattr 191 8,
init_module 175 105, io_uring_enter 426 426, io_uring_register 427 427, io_uring_setup 425 425, ioctl 16 29,
ioperm 173 -1, iopl 172 -1, kcmp 312 272, kexec_file_load 320 294, kexec_load 246 104, keyctl 250 219,
kill 62 129, landlock_add_rule 445 445, landlock_create_ruleset 444 444, landlock_restrict_self 446 446,
lchown 94 -1, lgetxattr 192 9, link 86 -1, linkat 265 37, listen 50 201, listxattr 194 11, llistxattr 195 12,
lookup_dcookie 212 18, lremovexattr 198 15, lseek 8 62, lsetxattr 189 6, lstat 6 -1, madvise 28 233,
mbind 237 235, membarrier 324 283, memfd_create 319 279, memfd_secret 447 447, migrate_pages 256 238,
mincore 27 232, mkdir 83 -1, mkdirat 258 34, mknod 133 -1, mknodat 259 33, mlock 149 228, mlock2 325 284,
mmap 9 222, modify_ldt 154 -1, mount 165 40, mount_setattr 442 442, move_mount 429 429, move_pages 279 239,
mprotect 10 226, mq_open 240 180, mremap 25 216, msgctl 71 187, msgget 68 186, msgrcv 70 188, msgsnd 69 189,
msync 26 227, munlock 150 229, munmap 11 215, name_to_handle_at 303 264, nanosleep 35 101, newfstatat 262 79,
open 2 -1, open_by_handle_at 304 265, open_tree 428 428, openat 257 56, openat2 437 437, pause 34 -1,
perf_event_open 298 241, personality 135 92, pidfd_getfd 438 438, pidfd_open 434 434, pidfd_send_signal 424 424,
pipe 22 -1, pipe2 293 59, pivot_root 155 41, poll 7 -1, ppoll 271 73, prctl 157 167, pread64 17 67,
preadv 295 69, preadv2 327 286, prlimit64 302 261, process_madvise 440 440, process_vm_readv 310 270,
process_vm_writev 311 271, pselect6 270 72, ptrace 101 117, pwrite64 18 68, pwritev 296 70, pwritev2 328 287,
quotactl 179 60, read 0 63, readlink 89 -1, readlinkat 267 78, readv 19 65, reboot 169 142, recvfrom 45 207,
recvmmsg 299 243, recvmsg 47 212, removexattr 197 14, rename 82 -1, renameat 264 38, renameat2 316 276,
request_key 249 218, restart_syscall 219 128, rmdir 84 -1, rseq 334 293, rt_sigaction 13 134,
rt_sigpending 127 136, rt_sigprocmask 14 135, rt_sigqueueinfo 129 138, rt_sigreturn 15 139,
rt_sigsuspend 130 133, rt_sigtimedwait 128 137, sched_get_priority_max 146 125, sched_get_priority_min 147 126,
sched_getaffinity 204 123, sched_getparam 143 121, sched_getscheduler 145 120, sched_setaffinity 203 122,
sched_setparam 142 118, sched_setscheduler 144 119, sched_yield 24 124, seccomp 317 277, select 23 -1,
semctl 66 191, semget 64 190, semop 65 193, semtimedop 220 192, sendfile 40 71, sendmmsg 307 269,
sendmsg 46 211, sendto 44 206, set_robust_list 273 99, set_tid_address 218 96, setdomainname 171 162,
setfsgid 123 152, setfsuid 122 151, setgid 106 144, setgroups 116 159, sethostname 170 161, setitimer 38 103,
setns 308 268, setpgid 109 154, setpriority 141 140, setregid 114 143, setresgid 119 149, setresuid 117 147,
setreuid 113 145, setrlimit 160 164, setsid 112 157, setsockopt 54 208, settimeofday 164 170, setuid 105 146,
setxattr 188 5, shmat 30 196, shmctl 31 195, shmget 29 194, shutdown 48 210, sigaltstack 131 132,
signalfd 282 -1, signalfd4 289 74, socket 41 198, socketpair 53 199, splice 275 76, stat 4 -1, statfs 137 43,
statx 332 291, swapoff 168 225, swapon 167 224, symlink 88 -1, symlinkat 266 36, sync_file_range 277 84,
sysinfo 99 179, syslog 103 116, tee 276 77, tgkill 234 131, time 201 -1, timer_create 222 107,
timer_delete 226 111, timer_getoverrun 225 109, timer_gettime 224 108, timer_settime 223 110,
timerfd_create 283 85, timerfd_gettime 287 87, timerfd_settime 286 86, times 100 153, tkill 200 130,
truncate 76 45, umask 95 166, umount2 166 39, uname 63 160, unlink 87 -1, unlinkat 263 35, unshare 272 97,
userfaultfd 323 282, utime 132 -1, utimensat 280 88, utimes 235 -1, vfork 58 -1, vmsplice 278 75, wait4 61 260,
waitid 247 95, write 1 64, writev 20 66"""
# name, number on x86-64, number on arm64 (-1: that machine has no such call)

_MACHINES = {"x86_64": (1, 0xC000003E), "aarch64": (2, 0xC00000B7)}

# Calls that leave nothing behind, whatever their arguments are.
_COMMON = """
    access alarm arch_prctl brk chdir chmod clock_getres clock_gettime clock_nanosleep close close_range creat dup
    dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 exit
    exit_group faccessat faccessat2 fallocate fchdir fchmod fchmodat fchmodat2 fdatasync fstat fstatfs
    fsync ftruncate futimesat get_robust_list getcpu getcwd getdents getdents64 getegid geteuid getgid
    getgroups getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid
    getrlimit getsid getsockname gettid gettimeofday getuid kill link linkat lseek lstat
    membarrier mkdir mkdirat mmap mprotect mremap msync munmap nanosleep newfstatat open openat
    pause pipe pipe2 poll ppoll pread64 preadv pselect6 pwrite64 pwritev read readlink readlinkat
    readv rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask
    rt_sigreturn rt_sigsuspend rt_sigtimedwait sched_get_priority_max sched_get_priority_min sched_getaffinity
    sched_getparam sched_getscheduler sched_yield select sendfile set_robust_list set_tid_address setitimer
    setrlimit shutdown sigaltstack stat statfs symlink symlinkat tgkill time times tkill truncate
    umask uname unlink unlinkat utime utimensat utimes wait4 waitid write writev
"""

# What an agent's session may do besides: start programs, talk among them, look at itself.
_SESSION = """
    accept accept4 bind capget chown connect copy_file_range execve execveat fchown fchownat fgetxattr flistxattr
    fork getrusage getxattr lchown lgetxattr listen listxattr llistxattr mknod mknodat mlock mlock2 munlock
    pidfd_open recvfrom recvmmsg recvmsg rt_sigqueueinfo sched_setaffinity sched_setparam sched_setscheduler
    sendmmsg sendmsg sendto setgid setgroups setpgid setpriority setresgid setresuid setsid setsockopt setuid
    signalfd signalfd4 sysinfo timer_create timer_delete timer_getoverrun timer_gettime timer_settime
    timerfd_create timerfd_gettime timerfd_settime vfork getsockopt prlimit64 futex
"""

_HOSTILE = """
    acct add_key adjtimex bpf capset chroot clock_adjtime clock_settime delete_module execve execveat
    fanotify_init finit_module fsconfig fsmount fsopen fspick init_module io_uring_enter io_uring_register
    io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl landlock_create_ruleset memfd_secret
    modify_ldt mount mount_setattr move_mount mq_open msgctl msgget msgrcv msgsnd name_to_handle_at
    open_by_handle_at open_tree perf_event_open personality pidfd_getfd pidfd_send_signal pivot_root
    process_madvise process_vm_readv process_vm_writev ptrace quotactl reboot request_key seccomp semctl
    semget semop semtimedop setdomainname setfsgid setfsuid setgid setgroups sethostname setns setregid
    setresgid setresuid setreuid settimeofday setuid shmat shmctl shmget swapoff swapon syslog umount2
    unshare userfaultfd vmsplice"""

_SETUP = """
    capset clone landlock_add_rule landlock_create_ruleset landlock_restrict_self mount pidfd_open
    prctl recvmsg seccomp sendmsg setgroups setsid socketpair unshare
"""
# Calls that are answered as by an older kernel, or a plainer file system, so that whoever makes them falls back: from
# clone3, whose flags a filter cannot read, to clone; from two that tell too much, namely which names were looked up,
# and the number of a mount, which counts those of the whole machine; from attributes, whose memory nobody counts.
ABSENT = {
    **dict.fromkeys(("clone3", "openat2", "statx"), errno.ENOSYS),
    **dict.fromkeys(("fremovexattr", "fsetxattr", "lremovexattr", "lsetxattr"), errno.ENOTSUP),
    **dict.fromkeys(("removexattr", "setxattr"), errno.ENOTSUP),
}
COMMON, SESSION, HOSTILE, SETUP = _COMMON.split(), _SESSION.split(), _HOSTILE.split(), _SETUP.split()

_LOCKS = (5, 6, 7, 36, 37, 38)  # F_GETLK to F_OFD_SETLKW
_FUTEX_PRIVATE, _FUTEX_CLOCK = 128, 256
# A thread's end is waited for by a futex that is not private; nothing else is, but to wake who waits elsewhere.
_FUTEXES = (0, 9, 9 | _FUTEX_CLOCK, *(op | more for op in range(14) for more in (_FUTEX_PRIVATE, 384)))
_TERMINALS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # isatty, size, FIONREAD, blocking, close-on-exec


@dataclass(frozen=True)
class Rule:
    """A call whose answer depends on one argument: allowed for `values`, for `unkept` a success that does nothing."""

    argument: int
    values: tuple[int, ...]
    unkept: tuple[int, ...] = ()


RULES = {
    # Not who shall get a signal and which (what is open may be shared, a process of the host be named), no leases, no
    # notices of what others do. A lock would be seen by everybody who can open the file, the device nodes among them.
    "fcntl": Rule(1, (0, 1, 2, 3, 4, 1030, 1032), _LOCKS),
    "flock": Rule(1, (), (*range(16),)),
    # Not what moves pages of a file out of the cache (20, 21, 25), or finds equal ones (12, 13).
    "madvise": Rule(2, (0, 1, 2, 3, 4, 8, 10, 11, 14, 15, 16, 17)),
    # Flags would say whether a page is in the cache, or take it out.
    "preadv2": Rule(5, (0,)),
    "pwritev2": Rule(5, (0,)),
    "ioctl": Rule(1, _TERMINALS),
}
JUDGE_RULES = {
    **RULES,
    "futex": Rule(1, _FUTEXES),
    "prlimit64": Rule(0, (0,)),
    # No flags but MSG_NOSIGNAL: urgent data on local sockets has been a way into the kernel.
    "sendto": Rule(3, (0, 0x4000)),
    "recvfrom": Rule(3, (0,)),
    # A socket may be asked for its type, its error, its protocol and its domain: never for its peer.
    "getsockopt": Rule(2, (3, 4, 38, 39)),
}
SESSION_RULES = {
    **RULES,
    "ioctl": Rule(1, (*_TERMINALS, 0x540F, 0x5410, 0x40049409, 0x8910, 0x8912, 0x8913, 0x8915, 0x8927, 0x8933)),
    # Local, IPv4, IPv6 and netlink, which namespaces cover; others, such as the hypervisor's, they do not.
    "socket": Rule(0, (1, 2, 10, 16)),
    "socketpair": Rule(0, (1,)),
    # Names, death signals, dumpable, new privileges, orphans, timers' slack, the own thread's address, big pages.
    "prctl": Rule(0, (1, 2, 3, 4, 15, 16, 21, 23, 29, 30, 36, 37, 38, 39, 40, 41, 42, 0x53564D41)),
}


def machine() -> tuple[dict[str, int], int]:
    """The numbers of this machine's system calls by name, and its audit architecture.

    Raises OSError on a processor for which no table was written.
    """
    name = platform.machine()
    if name not in _MACHINES:
        raise OSError(f"no table of system calls for {name!r}: known are {sorted(_MACHINES)}")
    column, architecture = _MACHINES[name]
    rows = [entry.split() for entry in _NUMBERS.replace("\n", " ").split(",")]
    return {row[0]: int(row[column]) for row in rows if int(row[column]) >= 0}, architecture
