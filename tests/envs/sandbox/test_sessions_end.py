"""Nothing that an agent starts outlives its session: not a close, not a replacement, not the trainer's sudden death."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import alive, lives, marked, soon

from peripatos.envs.sandbox import Judge, Session, SessionError, SessionLimits, launch
from peripatos.envs.sandbox.bubblewrap import choose
from peripatos.envs.sandbox.supervised import Supervised

pytestmark = pytest.mark.sandbox

BACKGROUND = (  # comes back when both are there
    "rm -f a b; setsid sh -c 'touch a; exec sleep {mark}' >/dev/null 2>&1 & "
    "setsid sh -c 'touch b; while :; do sleep {mark}; done' >/dev/null 2>&1 & "
    "until [ -e a ] && [ -e b ]; do sleep 0.02; done"
)


@pytest.fixture
def mark() -> Iterator[str]:
    with marked() as mark:
        yield mark


def gone(pids: list[int]) -> bool:
    return not any(map(lives, pids))


def first_process(session: Session) -> int:
    assert session._sandbox is not None
    outer = session._sandbox.pid
    (first,) = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
    return int(first)


HANG = "import os, time\nwhile True: time.sleep(1)"
FULL = "import os, time\nfor _ in range(50): os.write(3, b'\\0\\0\\0\\x0b{\"ok\":true}')\n" + HANG
HOSTILE = {
    "nothing": lambda s: None,
    "a pipe where a file will be written": lambda s: (s.shell("mkfifo f"), refused(lambda: s.put("f", b"1,2"))),
    "a pipe with a reader": lambda s: (
        s.shell("mkfifo f; setsid sh -c 'exec 3<>f; sleep 99' >/dev/null 2>&1 &"),
        refused(lambda: s.put("f", b"x" * 900_000)),
    ),
    "a pipe where a file will be read": lambda s: (s.shell("mkfifo f"), refused(lambda: s.fetch("f"))),
    "forged answers and a full channel": lambda s: [s.python(FULL), *[s.python("#" * 65_000) for _ in range(4)]],
    "a kernel that reads nothing": lambda s: [
        s.python("import os, threading, time\nos.read(3, 1)\n" + HANG),
        *[s.python("#" * 900_000) for _ in range(2)],
    ],
    "a stopped kernel": lambda s: [s.shell("kill -STOP -1"), s.python("#" * 900_000), s.python("1")],
    "half an answer": lambda s: s.python("import os\nos.write(3, b'\\0\\0\\0\\x40')\n" + HANG),
    "no processes left": lambda s: s.shell("for i in $(seq 200); do sleep 7 & done; wait", seconds=1),
}


def refused(act: Callable[[], object]) -> None:
    with pytest.raises(SessionError):
        act()


@pytest.mark.parametrize("what", HOSTILE)
def test_nothing_is_left_after_close_whatever_the_agent_did(mark: str, what: str) -> None:
    with Session(SessionLimits(cell_s=0.7)) as session:
        session.shell(BACKGROUND.format(mark=mark))
        first = first_process(session)
        HOSTILE[what](session)
        session.shell(BACKGROUND.format(mark=mark))
        began = time.monotonic()
        last = first_process(session)
    assert time.monotonic() - began < 30  # it waits for nobody: what was started would sleep for longer
    assert alive(mark) == []
    assert gone([first, last])


def test_a_blocked_supervisor_cannot_keep_a_sandbox_alive(mark: str) -> None:
    """Whatever it hangs in: the host ends the first process of the namespace, and the kernel all others."""
    session = Session()
    session.shell(BACKGROUND.format(mark=mark))
    os.kill(first_process(session), signal.SIGSTOP)
    assert len(alive(mark)) >= 2
    session.close()
    session.close()
    assert alive(mark) == []
    with pytest.raises(RuntimeError, match="closed"):
        session.python("1")


TRAINER = """
import sys, threading, time
from peripatos.envs.sandbox import Judge, Session, SessionLimits
sessions = [Session() for _ in range(2)]
for session in sessions:
    session.shell("setsid sleep {mark} >/dev/null 2>&1 &")
cell = "import time; time.sleep({mark})"
threading.Thread(target=sessions[0].python, args=(cell,), kwargs={{"seconds": 900}}).start()
judge = Judge(workers=1)
threading.Thread(target=judge.function, args=("import time; time.sleep({mark})", "f", [((), 1)])).start()
print("ready", flush=True)
time.sleep(600)
"""


def children_of(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found += [int(path.parent.name), *children_of(int(path.parent.name))]
    return found


def test_nothing_outlives_a_trainer_that_is_killed(mark: str) -> None:
    trainer = subprocess.Popen([sys.executable, "-c", TRAINER.format(mark=mark)], stdout=subprocess.PIPE)
    assert trainer.stdout is not None
    assert trainer.stdout.readline() == b"ready\n"
    assert soon(lambda: len(children_of(trainer.pid)) > 6)
    started = children_of(trainer.pid)
    trainer.kill()
    trainer.wait()
    trainer.stdout.close()
    assert soon(lambda: gone(started)), [pid for pid in started if lives(pid)]
    assert soon(lambda: alive(mark) == []), alive(mark)


STARTS = """
import sys
from peripatos.envs.sandbox import Limits, bubblewrap, launch
program, arguments = bubblewrap.choose().program, launch._judge_arguments
launch._judge_arguments = lambda *given: ["--setenv", "MARK", mark, *arguments(*given)]
print("ready", flush=True)
mark = sys.stdin.readline().strip()
while True:
    launch.start(launch.BUBBLEWRAP, Limits(), program)
"""


def test_a_trainer_that_is_killed_while_it_starts_sandboxes_leaves_none(mark: str) -> None:
    for seed in range(4):
        trainer = subprocess.Popen(
            [sys.executable, "-c", STARTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert trainer.stdin is not None
        assert trainer.stdout is not None
        trainer.stdout.readline()
        trainer.stdin.write(f"{mark}\n".encode())
        trainer.stdin.flush()
        time.sleep(random.Random(seed).uniform(0.0, 0.08))
        trainer.kill()
        trainer.communicate()
        assert soon(lambda: alive(mark) == []), seed


def test_a_sandbox_that_is_ended_while_it_starts_is_gone(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program, arguments = choose().program, launch._session_arguments
    monkeypatch.setattr(launch, "_session_arguments", lambda *given: ["--setenv", "MARK", mark, *arguments(*given)])
    rng = random.Random(5)
    for _ in range(25):

        def start() -> None:
            try:
                Supervised(program, SessionLimits()).close()
            except Exception:  # it was killed under its own hands, as it should be
                return

        thread = threading.Thread(target=start)
        thread.start()
        time.sleep(rng.uniform(0.0, 0.02))
        for pid in alive(mark):
            try:
                if "bwrap" in str(Path(f"/proc/{pid}/exe").readlink()):
                    os.kill(pid, signal.SIGKILL)
                    break
            except OSError:
                continue
        thread.join(120)
        assert not thread.is_alive()
    assert soon(lambda: alive(mark) == [])


def at_rest(session: Session, seconds: float) -> float:
    """The processor time of all in the sandbox, once nothing has been used for so long."""
    used, since = processor_s(session), time.monotonic()
    until = since + 60
    while time.monotonic() < since + seconds:
        assert time.monotonic() < until, "it does not rest"
        time.sleep(0.1)
        if (now := processor_s(session)) > used + 0.02:  # the supervisor's own looks take a tick now and then
            used, since = now, time.monotonic()
    return processor_s(session)


def test_background_work_rests_between_calls_and_goes_on_with_the_next() -> None:
    with Session() as session:
        session.shell("setsid sh -c 'while :; do :; done' >/dev/null 2>&1 &")
        session.python("import threading\nn = 0\ndef count():\n    global n\n    while True: n += 1")
        session.python("threading.Thread(target=count, daemon=True).start()")
        used = at_rest(session, 1.0)
        session.python("import time")
        assert soon(lambda: session.python("time.sleep(0.3)").status == "ok" and processor_s(session) - used > 0.15)
        assert session.python("n > 0").output == "True\n"


def test_what_wakes_itself_between_calls_is_ended() -> None:
    """A timer may send the one signal that lets a stopped process go on."""
    awake = """
import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
if os.fork() == 0:
    os.setsid()
    timer = ctypes.c_void_p()
    event = struct.pack("QiiQ", 0, 18, 0, 0) + bytes(64)
    assert libc.timer_create(1, event, ctypes.byref(timer)) == 0
    assert libc.timer_settime(timer, 0, struct.pack("qqqq", 0, 1_000_000, 0, 1_000_000), None) == 0
    while True: pass
"""
    with Session() as session:
        session.python(awake)
        used = processor_s(session)
        assert at_rest(session, 2.0) - used < 5.0
        assert session.python("1").output == "1\n"


def processor_s(session: Session) -> float:
    """Of all in the sandbox, those who have ended included."""
    ticks = 0
    first = first_process(session)
    for pid in [first, *children_of(first)]:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15])) if pid == first else sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def test_files_are_counted_and_not_only_their_bytes() -> None:
    with Session(SessionLimits(files=500)) as session:
        for folder in ("/workspace", "/tmp"):
            cell = session.python(f"for i in range(9000): open('{folder}/%0200d' % i, 'w').close()")
            assert "No space left" in cell.output
        total = sum(int(line.split()[1]) for line in session.shell("df -i /workspace /tmp").output.splitlines()[1:])
        assert total <= 1000
        assert re.search("No space left", session.shell("mkdir /workspace/d").output)


def test_a_file_is_never_reached_through_a_link() -> None:
    with Session() as session, Judge(workers=1):
        session.shell("mkdir -p real/deep; echo hi > real/deep/f; ln -s /proc d; ln -s real/deep l; ln -s real r")
        assert session.fetch("real/deep/f") == b"hi\n"
        for path in ("d/self/maps", "l/f", "r/deep/f", "d/self/cwd/real/deep/f", "real/deep/f/x", "real/deep"):
            with pytest.raises(SessionError):
                session.fetch(path)
            with pytest.raises(SessionError):
                session.put(path, b"x")
        session.put("real/deep/g", b"new")
        assert session.fetch("real/deep/g") == b"new"


@pytest.mark.exhaustive
def test_hundreds_of_hostile_episodes_leave_nothing(mark: str) -> None:
    names = list(HOSTILE)
    for i in range(int(os.environ.get("PERIPATOS_HOSTILE_EPISODES", "200"))):  # 1000: four minutes
        with Session(SessionLimits(cell_s=0.2)) as session:
            session.shell(BACKGROUND.format(mark=mark))
            if i % 20 == 0:
                HOSTILE[names[i // 20 % len(names)]](session)
    assert alive(mark) == []


@pytest.mark.exhaustive
def test_a_hundred_kills_of_the_trainer_leave_nothing(mark: str) -> None:
    for _ in range(25):
        test_a_trainer_that_is_killed_while_it_starts_sandboxes_leaves_none(mark)
