"""Nothing that a program does can be read by a later one: every call of the allow-lists is tried, and every known way.

The calls come from the lists themselves, so that one that is added is tried too: each is made many times, with
arguments that point at what programs share (device nodes, libraries, the standard descriptors); then another program
looks at everything that it can see, which must be what it saw before.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import PATIENT, hurried

from peripatos.envs.sandbox import Judge, SandboxUnavailable, Session, SessionLimits
from peripatos.envs.sandbox.inside import calls

pytestmark = pytest.mark.sandbox

LOOK = """
import ctypes, errno, fcntl, os, resource, signal, sys

libc = ctypes.CDLL(None, use_errno=True)

def tried(act, *arguments):
    try:
        return repr(act(*arguments))
    except BaseException as error:
        return type(error).__name__ + str(getattr(error, "errno", ""))

def times(path):
    found = os.stat(path)
    return found.st_mode, found.st_nlink, found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns, found.st_rdev

def lock(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return tried(fcntl.flock, descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB), tried(fcntl.lockf, descriptor, 6)
    finally:
        os.close(descriptor)

def numbers_in_frames():
    found, frame = [], sys._getframe()
    while frame:
        for name, value in frame.f_locals.items():
            if type(value) in (int, float):
                found.append((frame.f_code.co_name, name, value))
            for inner, content in getattr(value, "__dict__", {}).items() if name in ("self", "server") else ():
                found.append((name, inner, repr(content)[:40]))
        frame = frame.f_back
    return [entry for entry in found if entry[1] not in ("found", "descriptor", "i")]

DEVICES = ["/dev/" + name for name in ("null", "zero", "full", "random", "urandom")]

def look():
    seen = {path: tried(times, path) for path in [*DEVICES, os.__file__, "/usr/lib", "/dev", "/"]}
    seen.update({"lock " + path: lock(path) for path in [*DEVICES, os.__file__]})
    for standard in range(3):
        for command in (fcntl.F_GETFD, fcntl.F_GETFL, 9, 11, 16, 1025):
            seen["fcntl %d %d" % (standard, command)] = tried(fcntl.fcntl, standard, command)
        seen["place %d" % standard] = tried(os.lseek, standard, 0, 1)
    seen["files"] = [tried(os.listdir, path) for path in ("/tmp", "/dev", "/dev/shm", "/var/tmp", "/run", "/empty")]
    seen["descriptors"] = [n for n in range(64) if tried(os.fstat, n)[0] == "o"]
    seen["room"] = tried(lambda: os.statvfs("/tmp")[2:9])
    seen["limits"] = [tried(resource.getrlimit, kind) for kind in range(16)]
    seen["mask"] = tried(signal.pthread_sigmask, signal.SIG_BLOCK, [])
    seen["handlers"] = [tried(signal.getsignal, number) for number in range(1, 65)]
    seen["timers"] = [tried(signal.getitimer, which) for which in range(3)]
    seen["identity"] = os.getpid(), os.getuid(), os.umask(0o22), os.getcwd(), os.sched_getaffinity(0)
    seen["environment"] = sorted(os.environ.items())
    return {name: repr(value) for name, value in seen.items()}
"""

LOOK_AT_MEMORY = (
    LOOK
    + """
import gc
NEW = [[bytes(size) for _ in range(40)] for size in range(0, 480, 16)]  # 40 of each of the allocator's sizes

def solve():
    places = [id(new) - id(None) for news in NEW for new in news]
    counts = sys.getrefcount(None), sys.getallocatedblocks(), gc.get_count()
    return [hash(tuple(places)), *counts, hash(repr(numbers_in_frames()))]
"""
)
# Whose ends are told apart by whoever buries them: by status, by signal, by memory, by time.
ENDS = (
    "def solve(): return 1",
    "import os\ndef solve(): os._exit(77)",
    "import ctypes\ndef solve(): ctypes.string_at(0)",
    "def solve(): return len(b'x' * (40 << 20))",
    "import time\ndef solve(): time.sleep(0.1)",
)

PLANT = """
import ctypes, os, random, signal
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
room = ctypes.create_string_buffer(4096)
vector = (ctypes.c_void_p * 4)(ctypes.addressof(room), 64, 0, 0)
paths = [ctypes.create_string_buffer(p.encode()) for p in
         ("/dev/full", "/dev/null", "/dev/zero", os.__file__, "/usr/lib", "/tmp/x", ".", "/dev/shm/x", "")]
opened = [os.open(p, f) for p, f in (("/dev/full", 2), ("/dev/null", 2), (os.__file__, 0), ("/usr/lib", 0))]
POINTERS = [ctypes.addressof(b) for b in paths] * 2 + [ctypes.addressof(room), ctypes.addressof(vector), 0]
NUMBERS = [0, 1, 2, *opened, *opened, -100, *range(3, 48), 63, 64, 128, 1024, 1025, 1026, 1031, 4096, 0o777, 0xFFFF, -1]

def plant(number, seed, most=120):
    rng = random.Random(seed)
    for _ in range(most):
        arguments = [rng.choice(POINTERS if rng.random() < 0.4 else NUMBERS) for _ in range(6)]
        if 3 in arguments[:1]:  # the channel to the host
            arguments[0] = 0
        libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) for a in arguments))
"""

NUMBERS, _ = calls.machine()
JUDGED = sorted(name for name in {*calls.COMMON, *calls.JUDGE_RULES, *calls.SETUP, *calls.ABSENT} if name in NUMBERS)
IN_SESSIONS = sorted(name for name in {*calls.COMMON, *calls.SESSION, *calls.SESSION_RULES} if name in NUMBERS)
SEED = int(os.environ.get("PERIPATOS_SEED", 0))  # another one tries other arguments


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(workers=1, limits=PATIENT) as judge:
        yield judge


def seen_by_a_program(judge: Judge) -> list[str]:
    """Names of what a program sees, each with a digest."""
    code = f"{LOOK}\nimport hashlib\nseen = sorted(look().items())\n" + (
        "def solve(n):\n    name, value = seen[n] if n < len(seen) else ('', '')\n"
        "    return name + ' ' + hashlib.sha256(value.encode()).hexdigest()[:20]\n"
    )
    verdict = judge.function(code, "solve", [((i,), "") for i in range(60)], partial=True)
    assert {test.status for test in verdict.tests} == {"wrong_answer"}, verdict
    return [test.got for test in verdict.tests]


def times_on_the_host() -> list[tuple[int, int]]:
    paths = [Path("/dev") / name for name in ("null", "zero", "full", "random", "urandom")]
    return [(path.stat().st_mtime_ns, path.stat().st_mode) for path in paths]


def test_no_call_of_a_judged_program_leaves_anything_that_a_later_one_can_see(judge: Judge) -> None:
    before, outside = seen_by_a_program(judge), times_on_the_host()
    assert seen_by_a_program(judge) == before, "what a program sees must not change by itself"
    for name in JUDGED:
        code = PLANT + f"\ndef solve():\n    plant({NUMBERS[name]}, {SEED})"
        with hurried(judge, 0.6):
            judge.function(code, "solve", [((), None)])
        changed = set(seen_by_a_program(judge)) - set(before)
        assert not changed, f"{name} left something (seed {SEED}): {changed}"
        assert times_on_the_host() == outside, f"{name} changed a device node (seed {SEED})"
    assert seen_by_a_program(judge) == before


def test_no_call_of_a_session_leaves_anything_that_another_can_see(judge: Judge) -> None:
    limits = SessionLimits(cell_s=600, output_kb=256)  # each number takes a moment, and the machine may be busy
    before, outside = seen_by_a_program(judge), times_on_the_host()
    with Session(limits) as other, Session(limits) as session:
        look = LOOK + "\nimport json; shown = look(); shown.pop('identity'); print(json.dumps(shown))"
        first = other.python(look).output
        session.python(PLANT)
        numbers = {name: NUMBERS[name] for name in IN_SESSIONS if name not in ("kill", "tkill", "tgkill")}
        cell = session.python(
            f"for number in {list(numbers.values())}:\n"
            "    if (pid := os.fork()) == 0:\n"
            f"        os.setsid(); signal.alarm(0); plant(number, {SEED}, 60); os._exit(0)\n"
            "    import time; time.sleep(0.05); os.kill(-1, 9); os.waitpid(pid, 0)\n"
        )
        assert cell.status == "ok", (cell, SEED)
        assert other.python(look).output == first, SEED
    assert times_on_the_host() == outside, SEED
    assert seen_by_a_program(judge) == before, SEED


def test_a_program_cannot_tell_how_many_were_judged_before_it_nor_how_they_ended() -> None:
    """Not even from where its objects lie. What was allocated and freed before its birth would show there."""
    with Judge(workers=1, limits=PATIENT) as judge:
        got = []
        for i in range(15):
            verdict = judge.function(LOOK_AT_MEMORY, "solve", [((), None)])
            got.append(verdict.tests[0].got)
            assert verdict.status == "wrong_answer", verdict
            judge.function(ENDS[i % len(ENDS)], "solve", [((), 1)])
    assert len(set(got)) == 1, got


SYSCALL = "import ctypes, errno, os\nlibc = ctypes.CDLL(None, use_errno=True)\nlibc.syscall.restype = ctypes.c_long\n"
# Each tries a way to remember or to find out, and answers whether it worked.
WAYS = {
    "a signal for a descriptor": "import fcntl\nfcntl.fcntl(0, 10, 42); return fcntl.fcntl(0, 11) == 42",
    "an owner for a descriptor": "import fcntl\nfcntl.fcntl(0, 8, os.getpid()); return True",
    "a lease": "import fcntl\nf = open('/tmp/x', 'w'); fcntl.fcntl(f, 1024, 1); return True",
    "a notice": "import fcntl\nd = os.open('/usr/lib', 0); fcntl.fcntl(d, 1026, 1); return True",
    "the size of a pipe": "import fcntl\nr, w = os.pipe(); fcntl.fcntl(r, 1031, 1 << 16); return True",
    "times of a device": "os.utime('/dev/full', (1, 1)); return True",
    "times of a device, by a descriptor": "os.utime(0, (1, 1)); return True",
    "times of a device, opened": "os.utime(os.open('/dev/zero', os.O_RDWR)); return True",
    "mode of a device": "os.chmod('/dev/full', 0o600); return True",
    "an attribute of a file": "os.setxattr('/tmp', 'user.x', b'1'); return True",
    "pages out by advice": "os.posix_fadvise(os.open(os.__file__, 0), 0, 0, 4); return True",
    "pages in by advice": "os.posix_fadvise(os.open(os.__file__, 0), 0, 0, 3); return True",
    "pages that are there, by a flag": (
        "d = os.open(os.__file__, 0)\nos.preadv(d, [bytearray(9)], 0, os.RWF_NOWAIT)\nreturn True"
    ),
    "pages out after reading": "d = os.open(os.__file__, 0); os.preadv(d, [bytearray(9)], 0, 0x80); return True",
    "pages that were not there": "import resource\nreturn resource.getrusage(0).ru_majflt >= 0",
    "pages out by madvise": "return madvise(21) == 0",
    "pages cold by madvise": "return madvise(20) == 0",
    "equal pages by madvise": "return madvise(12) == 0",
    "mincore": "return libc.syscall(27, page(), 4096, ctypes.create_string_buffer(9)) == 0",
    "cachestat": "return libc.syscall(451, os.open(os.__file__, 0), bytes(16), bytes(64), 0) != -1",
    "names that were looked up": (
        "how = (ctypes.c_uint64 * 3)(0, 0, 0x20)\nreturn libc.syscall(437, -100, b'/usr/lib', how, 24) != -1 or "
        "ctypes.get_errno() in (2, 11)"
    ),
    "the number of a mount": "return libc.syscall(332, -100, b'/', 0, 0x4000, ctypes.create_string_buffer(256)) == 0",
    "free memory": "return libc.syscall(99, ctypes.create_string_buffer(256)) == 0",
    "who else reads": "return libc.syscall(294, 0) != -1",
    "a message queue": "return libc.syscall(240, b'/x', 66, 0o600, 0) != -1",
    "a segment": "return libc.syscall(29, 77, 4096, 0o1600) != -1",
    "a key": "return libc.syscall(248, b'user', b'x', b'y', 1, -4) != -1",
    "a timer": "return libc.syscall(222, 0, 0, ctypes.create_string_buffer(8)) == 0",
    "somebody who waits elsewhere": "return libc.syscall(202, page(), 1, 9, 0, 0, 0) != -1",
    "the bill of others": "return libc.syscall(441 + 10, 0) != -1",
    "a socket of the hypervisor's": "return libc.syscall(41, 40, 1, 0) != -1",
    "a pair of another family": "return libc.syscall(53, 30, 1, 0, (ctypes.c_int * 2)()) != -1",
    "the second door": "return libc.syscall(0x40000000 + 39) != -1 or ctypes.get_errno() == 38",
}
HELPERS = """
def page():
    import mmap
    file = open(os.__file__, "rb")
    libc.mmap.restype = ctypes.c_void_p
    return ctypes.c_void_p(libc.mmap(None, 4096, 1, 1, file.fileno(), ctypes.c_long(0)))

def madvise(advice):
    return libc.syscall(28, page(), 4096, advice)
"""


def _attempt(way: str) -> str:
    lines = "\n".join(f"    {line}" for line in WAYS[way].splitlines())
    return f"{SYSCALL}{HELPERS}\ndef attempt():\n{lines}\n\ndef solve():\n" + (
        "    try: return bool(attempt())\n    except (OSError, AttributeError): return False\n"
    )


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers of the calls are of x86-64")
@pytest.mark.parametrize("way", WAYS)
def test_no_known_way_to_remember_or_to_find_out_works(judge: Judge, way: str) -> None:
    verdict = judge.function(_attempt(way), "solve", [((), True)])
    assert verdict.reward == 0.0
    assert verdict.status in ("wrong_answer", "killed"), verdict


IN_SESSIONS_TOO = [
    way
    for way in WAYS
    if way not in ("a timer", "free memory", "pages that were not there", "somebody who waits elsewhere")
]


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers of the calls are of x86-64")
def test_no_known_way_works_in_a_session() -> None:
    with Session() as session:
        worked = [way for way in IN_SESSIONS_TOO if "False" not in session.python(_attempt(way) + "\nsolve()").output]
    assert worked == []


def test_a_lock_is_seen_by_nobody_else(judge: Judge) -> None:
    hold = "import fcntl, os, time\n{at}\nfcntl.flock(d, 2)\nfcntl.lockf(e, 2)\nprint('held')\n"
    at = "d = os.open(os.__file__, 0)\ne = os.open('/dev/null', os.O_RDWR)\nfcntl.flock(e, 2)"
    with Session() as session, Session() as other, Path("/dev/null").open("r+b") as null:
        assert session.python(hold.format(at=at)).output == "held\n"
        assert other.python(hold.format(at=at), seconds=2).output == "held\n"
        fcntl.flock(null, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(null, fcntl.LOCK_EX | fcntl.LOCK_NB)
        code = hold.format(at=at) + "def solve(): return 1"
        assert judge.function(code, "solve", [((), 1)]).status == "passed"


@pytest.mark.parametrize("submissions", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_a_blind_program_learns_nothing_from_its_submissions(judge: Judge, submissions: int) -> None:
    """It knows nothing of the task, remembers whatever way it can, and answers what it has not found wrong before."""
    code = """
import fcntl, os
ASKED = []
def marks():
    try: flags = fcntl.fcntl(0, 11)
    except OSError: flags = 0
    return flags + sum(int(os.stat(p).st_mtime) for p in ("/dev/full", "/dev/zero"))
def remember(n):
    for act in (lambda: fcntl.fcntl(0, 10, n % 60), lambda: os.utime("/dev/full", (n, n)),
                lambda: os.utime(0, (n, n)), lambda: fcntl.fcntl(0, 4, os.O_APPEND), lambda: fcntl.flock(0, 2)):
        try: act()
        except OSError: pass
START = marks()
def solve(n):
    ASKED.append(n)
    remember(len(ASKED))
    return bool(START >> len(ASKED) & 1)
"""
    primes = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29}
    test = "\n".join(f"assert solve({n}) is {n in primes}" for n in (2, 9, 4, 7, 12, 13, 15, 19, 21, 23, 27, 29))
    statuses = {judge.assertions(code, "solve", test).status for _ in range(submissions)}
    assert statuses == {"wrong_answer"}


USE_NUMPY = """
import hashlib, os, numpy as np
def solve():
    state = [np.geterr(), np.get_printoptions(), np.random.rand(), np.random.get_state()[2], np.pi, np.sum is sum]
    state.append([np.zeros(4).tolist(), np.arange(3).sum().item(), float(np.float64(0.5))])
    state += [sorted(os.listdir("/packages")), os.stat(np.__file__).st_mtime_ns, os.stat("/packages").st_nlink]
    state.append(sorted(n for n in range(64) if os.path.exists("/proc") and _is_open(n)))
    return hashlib.sha256(repr(state).encode()).hexdigest()
def _is_open(n):
    try: os.fstat(n)
    except OSError: return False
    return True
"""
SPOIL_NUMPY = """
import os, numpy as np
def solve():
    np.seterr(all="raise"), np.set_printoptions(precision=1), np.random.seed(5), np.random.rand(100)
    np.pi, np.sum = 3, sum
    np.zeros(4)[:] = np.empty(1000)[:] = 7
    for act in (lambda: open(np.__file__, "a"), lambda: os.utime(np.__file__), lambda: os.mkdir("/packages/numpy/x"),
                lambda: os.utime("/packages"), lambda: os.setxattr(np.__file__, "user.x", b"1")):
        try: act()
        except OSError: pass
    return "done"
"""


def test_nothing_remains_in_a_package_that_programs_may_import() -> None:
    try:
        judge = Judge(workers=1, packages=["numpy"])
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    with judge:
        first = judge.function(USE_NUMPY, entry="solve", tests=[((), "")]).tests[0].got
        assert len(first) == 66, first
        for _ in range(4):  # more than are kept ready
            assert judge.function(SPOIL_NUMPY, entry="solve", tests=[((), "done")]).status == "passed"
            assert judge.function(USE_NUMPY, entry="solve", tests=[((), "")]).tests[0].got == first
        scalar = "import numpy as np\ndef solve(x): return np.array(x).sum(), np.float32(0.5), np.bool_(True)"
        assert judge.function(scalar, entry="solve", tests=[(([3, 4],), (7, 0.5, True))]).status == "passed"
        test = "import numpy as np\nassert np.allclose(f([1.0, 2.0]), [2.0, 4.0])"
        assert judge.assertions("def f(x): return [2 * y for y in x]", entry="f", test_code=test).status == "passed"


def test_a_package_that_programs_cannot_have_is_named() -> None:
    with pytest.raises(SandboxUnavailable, match="'nunpy' is not installed"):
        Judge(packages=["nunpy"])
    with pytest.raises(ValueError, match="list of names"):
        Judge(packages="numpy")
    with pytest.raises(ValueError, match="behind bubblewrap only"):
        Judge(packages=["numpy"], allow_degraded=True)
