"""Attacks of our own on the judge, each with the reason why it fails.

An isolation attack gives the right answer only if it got through, so "passed" means escaped. A cheat does not solve
the task at all. The task is that of the programs beside this file: the sum of the squares of the even numbers.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Attack:
    """A program, why it fails, and the statuses that are acceptable."""

    name: str
    reason: str
    code: str
    statuses: tuple[str, ...]
    suspicion: str | None = None


def _probe(body: str) -> str:
    """A program that answers rightly only if `attack()` returned something true."""
    return textwrap.dedent(body) + textwrap.dedent("""
        try:
            _escaped = bool(attack())
        except BaseException:
            _escaped = False
        def solve(xs):
            return sum(x * x for x in xs if x % 2 == 0) if _escaped else -1
    """)


_FORGE = """
import json, os, struct
def frame(text):
    body = text.encode()
    os.write(3, struct.pack("!I", len(body)) + body)
"""

ATTACKS = (
    Attack(
        "exit_like_the_infrastructure",
        "Exit codes of a program that took its job never count as the sandbox's own failure, so the reward is 0 and "
        "not None.",
        "import os\ndef solve(xs): os._exit(70)",
        ("no_answer",),
        "exit_without_answer",
    ),
    Attack(
        "kill_itself",
        "As the first process of its namespace it is immune to its own signals; nothing that it does ends the worker.",
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\nos.kill(0, signal.SIGKILL)\ndef solve(xs): return 0",
        ("wrong_answer", "killed"),
    ),
    Attack(
        "kill_who_comes_next",
        "The processes that wait for the next programs are not of its process group, which a signal would reach.",
        "import os, signal, time\ntime.sleep(0.3)\nos.kill(0, signal.SIGKILL)\ndef solve(xs): return 0",
        ("wrong_answer", "killed"),
    ),
    Attack(
        "hang_up",
        "The end of the channel ends the program: the host kills it at once instead of waiting.",
        "import os, time\ndef solve(xs):\n    os.close(3)\n    time.sleep(100)",
        ("no_answer",),
    ),
    Attack(
        "lie_about_the_length",
        "A frame's length is checked before anything is kept; four gigabytes are refused unread.",
        "import os\nos.write(3, b'\\xff' * 8)\ndef solve(xs): return 0",
        ("protocol_error",),
        "forged_frame",
    ),
    Attack(
        "promise_and_stall",
        "The clock is for the whole program, not for each read, so an unfinished frame only costs the time limit.",
        "import os, time\nos.write(3, b'\\x00\\x00\\xff\\xff{')\ndef solve(xs): time.sleep(100)",
        ("time_limit",),
    ),
    Attack(
        "drip",
        "One byte now and then does not reset the clock.",
        "import os, time\ndef solve(xs):\n    os.write(3, b'\\x00\\x00\\xff\\xff')\n"
        "    while True: os.write(3, b' '); time.sleep(0.05)",
        ("time_limit",),
    ),
    Attack(
        "deep_json",
        "The parser's own recursion limit is caught, and nothing is rebuilt.",
        _FORGE + 'frame(\'{"i":0,"v":\' + "[" * 200000 + "]" * 200000 + "}")\ndef solve(xs): return 0',
        ("protocol_error",),
        "forged_frame",
    ),
    Attack(
        "deep_json_that_parses",
        "What the parser still takes is measured level by level before any function walks down into it.",
        _FORGE + 'frame(\'{"i":0,"v":\' + "[" * 700 + "]" * 700 + "}")\ndef solve(xs): return 0',
        ("protocol_error",),
        "forged_frame",
    ),
    Attack(
        "deepest_answer_that_is_allowed",
        "Comparing and showing walk down an answer; the deepest that is let through does not exhaust the host's stack.",
        _FORGE + 'frame(\'{"i":0,"v":\' + "[" * 190 + "]" * 190 + "}")\ndef solve(xs): return 0',
        ("protocol_error", "wrong_answer"),
    ),
    Attack(
        "peer_of_the_channel",
        "A socket may not be asked for its peer: not for its identity, and not for a handle on it.",
        _probe("""
            import socket
            def attack():
                channel = socket.socket(fileno=3)
                try:
                    for option in (17, 77):
                        try:
                            return bool(channel.getsockopt(socket.SOL_SOCKET, option, 12))
                        except PermissionError:
                            pass
                finally:
                    channel.detach()
        """),
        ("wrong_answer",),
    ),
    Attack(
        "infinite_json",
        "NaN and Infinity are not JSON and are refused by the parser.",
        _FORGE + 'frame(\'{"i":0,"v":Infinity}\')\ndef solve(xs): return 0',
        ("protocol_error",),
    ),
    Attack(
        "huge_decimal",
        "Integers beyond 64 bits travel in base 16, which is linear; a long decimal is refused by the parser.",
        _FORGE + 'frame(\'{"i":0,"v":\' + "9" * 1000000 + "}")\ndef solve(xs): return 0',
        ("protocol_error",),
    ),
    Attack(
        "claim_success",
        "There is no message that means success. Words in an answer are not even looked at.",
        _FORGE + "for i in range(10):\n"
        "    frame(json.dumps({'i': i, 'k': 'passed', 'x': 'passed', 'reward': 1.0, 'done': 99}))\n"
        "os._exit(0)",
        ("protocol_error",),
    ),
    Attack(
        "claim_infrastructure_failure",
        "A program can name its own failure, but not as one that nobody is to blame for.",
        _FORGE + "frame(json.dumps({'x': 'infra_error', 'm': 'oops'}))\nos._exit(0)",
        ("protocol_error",),
    ),
    Attack(
        "flood_of_notes",
        "The driver's note is accepted once; a second one is a forgery.",
        _FORGE + "while True: frame('{\"probes\":[]}')",
        ("protocol_error",),
        "forged_frame",
    ),
    Attack(
        "colliding_integers",
        "Answers are never put into hash tables as integers; sets compare as texts with a secret hash.",
        "P = (1 << 61) - 1\ndef solve(xs): return {i * P for i in range(3000)}",
        ("wrong_answer", "time_limit", "output_limit"),
    ),
    Attack(
        "subclass_with_a_poisoned_codec",
        "Replacing the encoder in its own process only changes what it sends, and that is compared on the host.",
        "import sys\nm = sys.modules['inside.driver']\nm.encode = lambda value, depth=0: {'t': [1], 'd': []}\n"
        "def solve(xs): return 0",
        ("wrong_answer",),
    ),
    Attack(
        "driver_frames",
        "The caller's frames hold inputs and nothing else: expected values never enter the process.",
        """
import gc, sys
def solve(xs):
    frame = sys._getframe(1)
    while frame:
        for value in list(frame.f_locals.values()) + list(frame.f_globals.values()):
            if isinstance(value, dict) and "expected" in value:
                return value["expected"][0]
        frame = frame.f_back
    return 0
""",
        ("wrong_answer",),
    ),
    Attack(
        "heap_scan",
        "The answer 15241383940 occurs nowhere in the process's memory, because the host never sent it.",
        _probe("""
            import gc
            secret = 15241383939
            def attack():
                secret_plus_one = secret + 1
                mine = [secret_plus_one]
                return any(
                    o is not mine and secret_plus_one in o for o in gc.get_objects() if type(o) in (list, tuple)
                )
        """),
        ("wrong_answer",),
    ),
    Attack(
        "memory_in_memfd",
        "memfd_create is refused, so memory cannot be had outside the limit on the address space.",
        _probe("""
            import os
            def attack():
                return os.memfd_create("x") >= 0
        """),
        ("wrong_answer", "killed"),
    ),
    Attack(
        "memory_shared_anonymous",
        "Shared anonymous memory counts in the address space like any other.",
        _probe("""
            import mmap
            def attack():
                return len([mmap.mmap(-1, 256 << 20) for _ in range(4)]) == 4
        """),
        ("wrong_answer",),
    ),
    Attack(
        "scratch_quota",
        "The scratch folder is a small memory file system of the program's own, with a quota.",
        _probe("""
            def attack():
                for i in range(20):
                    with open(f"f{i}", "wb") as file:
                        file.write(bytes(15 << 20))
                return True
        """),
        ("wrong_answer",),
    ),
    Attack(
        "scratch_inodes",
        "The quota counts files too.",
        _probe("""
            def attack():
                for i in range(20000):
                    open(f"f{i}", "w").close()
                return True
        """),
        ("wrong_answer",),
    ),
    Attack(
        "thirty_two_bit_numbers",
        "The x32 numbers of the same calls are in no list.",
        _probe("""
            import ctypes
            def attack():
                return ctypes.CDLL(None).syscall(0x40000000 + 39) >= 0
        """),
        ("wrong_answer", "killed"),
    ),
    Attack(
        "clone3",
        "clone3 does not exist here: a filter could not read its flags.",
        _probe("""
            import ctypes
            def attack():
                arguments = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)
                return ctypes.CDLL(None).syscall(435, arguments, 88) >= 0
        """),
        ("wrong_answer",),
    ),
    Attack(
        "namespace_by_clone",
        "The filter reads clone's flags: a thread, or nothing.",
        _probe("""
            import ctypes
            def attack():
                return ctypes.CDLL(None).syscall(56, 0x10000000 | 17, 0, 0, 0, 0) >= 0
        """),
        ("wrong_answer",),
    ),
    Attack(
        "lift_the_filter",
        "A filter can only be made stricter, and even that is over once the program runs.",
        _probe("""
            import ctypes
            def attack():
                return ctypes.CDLL(None).prctl(22, 0, 0, 0, 0) == 0 or ctypes.CDLL(None).prctl(38, 0, 0, 0, 0) == 0
        """),
        ("wrong_answer", "killed"),
    ),
    Attack(
        "send_descriptors",
        "sendmsg is refused, so no descriptor can travel to the host. The socket object then closes the channel.",
        _probe("""
            import array, socket
            def attack():
                channel = socket.socket(fileno=3)
                channel.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))])
                return True
        """),
        ("no_answer", "killed"),
    ),
    Attack(
        "urgent_data",
        "The filter reads the flags of sendto: urgent data on local sockets has been a way into the kernel.",
        _probe("""
            import socket
            def attack():
                a, b = socket.socketpair()
                return a.send(b"x", socket.MSG_OOB)
        """),
        ("wrong_answer",),
    ),
    Attack(
        "foreign_limits",
        "prlimit works on oneself only.",
        _probe("""
            import resource
            def attack():
                for pid in range(2, 50):
                    try:
                        resource.prlimit(pid, resource.RLIMIT_NOFILE)
                        return True
                    except (ProcessLookupError, PermissionError):
                        pass
        """),
        ("wrong_answer", "killed"),
    ),
    Attack(
        "unmount_the_cover",
        "The call to unmount kills; without capabilities it would have failed anyway.",
        _probe("""
            import ctypes, os
            def attack():
                ctypes.CDLL(None).umount2(b"/proc", 2)
                return bool(os.listdir("/proc"))
        """),
        ("killed",),
        "forbidden_call",
    ),
    Attack(
        "installed_packages",
        "Site packages are covered: they may hold the very tasks that are judged.",
        _probe("""
            import glob
            def attack():
                return glob.glob("/usr/lib/python3*/*-packages/*") + glob.glob("/usr/local/lib/python3*/*-packages/*")
        """),
        ("wrong_answer",),
    ),
    Attack(
        "inherited_descriptors",
        "Nothing is inherited but the null device and the channel: no control socket, no handle of a sibling.",
        _probe("""
            import os
            def attack():
                for fd in range(4, 64):
                    try:
                        os.fstat(fd)
                        return True
                    except OSError:
                        pass
        """),
        ("wrong_answer",),
    ),
    Attack(
        "block_devices_and_terminals",
        "Only null, zero, full, random and urandom exist.",
        _probe("""
            import os
            def attack():
                return set(os.listdir("/dev")) - {"null", "zero", "full", "random", "urandom"}
        """),
        ("wrong_answer",),
    ),
)
