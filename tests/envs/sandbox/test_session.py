"""Sessions keep state, keep the clock, say what was lost, and let nothing out but bytes that were asked for."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from peripatos.envs.sandbox import Judge, Session, SessionError, SessionLimits
from peripatos.envs.sandbox.inside import calls, cells


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(SessionLimits(cell_s=60, memory_mb=300, workspace_mb=16, output_kb=4)) as session:
        yield session


@pytest.mark.sandbox
def test_cells_share_their_variables_and_show_the_last_value(session: Session) -> None:
    assert session.python("x = 20").output == ""
    assert session.python("print('now')\nx + 1").output == "now\n21\n"
    assert session.python("class P:\n    def f(self): return x\nP().f()").output == "20\n"
    cell = session.python("y = 1\nx / 0")
    assert cell.status == "error"
    assert "<cell 4>" in cell.output
    assert "ZeroDivisionError" in cell.output
    assert "kernel.py" not in cell.output
    assert session.python("y").output == "1\n"
    assert "SyntaxError" in session.python("def").output


@pytest.mark.sandbox
def test_a_shell_works_in_the_same_folder_and_tells_its_exit_code(session: Session) -> None:
    session.python("open('a.txt', 'w').write('hello')")
    cell = session.shell("cat a.txt | tr a-z A-Z; exit 3")
    assert (cell.output, cell.status, cell.code) == ("HELLO", "error", 3)
    assert session.shell("python3 -c 'print(6 * 7)'").output == "42\n"


@pytest.mark.sandbox
def test_a_loop_is_interrupted_and_its_variables_stay(session: Session) -> None:
    session.python("x = 1")
    began = time.monotonic()
    cell = session.python("while True: pass", seconds=0.5)
    assert time.monotonic() - began < 30
    assert (cell.status, cell.notice) == ("time_limit", "")
    assert "KeyboardInterrupt" in cell.output
    assert session.python("x").output == "1\n"


@pytest.mark.sandbox
def test_what_cannot_be_interrupted_is_killed_and_the_loss_is_told_and_files_stay(session: Session) -> None:
    session.python("x = 1; open('kept', 'w').write('k')\nimport signal; signal.signal(2, signal.SIG_IGN)")
    cell = session.python("while True: pass", seconds=0.5)
    assert cell.status == "time_limit"
    assert "variables are lost" in cell.notice
    assert "NameError" in session.python("x").output
    assert session.fetch("kept") == b"k"
    assert session.shell("sleep 30", seconds=0.5).status == "time_limit"


@pytest.mark.sandbox
@pytest.mark.parametrize("code", ["import os; os._exit(3)", "exit()", "import ctypes; ctypes.string_at(0)"])
def test_an_interpreter_that_ends_is_replaced_and_the_loss_is_told(session: Session, code: str) -> None:
    cell = session.python(code)
    assert cell.status == "ended"
    assert "variables are lost" in cell.notice
    assert session.python("1 + 1").output == "2\n"


@pytest.mark.sandbox
def test_long_output_is_cut_in_the_middle_with_a_marker(session: Session) -> None:
    cell = session.python("print('a' * 5000 + 'b' * 5000)")
    assert cell.truncated
    assert cell.output.startswith("aaa")
    assert cell.output.endswith("bbb\n")
    assert "5905 bytes cut" in cell.output
    assert len(cell.output) < 4200
    flood = session.shell("head -c 50000000 /dev/zero | tr '\\0' x")
    assert flood.truncated
    assert len(flood.output) < 4200


@pytest.mark.sandbox
def test_the_workspace_has_a_quota_and_memory_a_limit(session: Session) -> None:
    assert "No space left" in session.shell("head -c 99000000 /dev/zero > big").output
    session.shell("rm big")
    assert "MemoryError" in session.python("x = bytearray(1 << 30)").output
    hungry = "python3 -c 'import time; x = b\"x\" * (120 << 20); time.sleep(50)' & "
    cell = session.shell(hungry * 4 + "wait")
    assert cell.status == "memory_limit"
    assert session.python("1").output == "1\n"


HUNGRY = """
import os, threading, time
print("so far", flush=True)
def hold():
    x = b"x" * (120 << 20)
    time.sleep(50)
for _ in range(4):
    if os.fork() == 0:
        {act}
time.sleep(50)
"""
ONCE_ALONE = "threading.Timer(0.5, hold).start(); import ctypes; ctypes.CDLL(None).syscall({exit}, 0)"


@pytest.mark.sandbox
@pytest.mark.parametrize("act", ["hold()", ONCE_ALONE], ids=["plainly", "in threads that outlive the first"])
def test_a_cell_that_needs_too_much_memory_loses_its_variables_and_no_files(session: Session, act: str) -> None:
    session.python("x = 1; open('kept', 'w').write('k')")
    number = calls.machine()[0]["exit"]
    cell = session.python(HUNGRY.format(act=act.format(exit=number)))
    assert (cell.status, cell.output) == ("memory_limit", "so far\n")
    assert cell.notice == "The Python session was restarted: its variables are lost."
    assert session.fetch("kept") == b"k"
    cell = session.python("x")
    assert ("NameError" in cell.output, cell.notice) == (True, "")
    assert session.python("open('kept').read() * 2").output == "'kk'\n"


@pytest.mark.sandbox
def test_memory_that_no_process_has_mapped_cannot_be_had(session: Session) -> None:
    assert "PermissionError" in session.python("import os; os.memfd_create('x')").output


@pytest.mark.sandbox
@pytest.mark.parametrize("how", ["a timer of its own", "a command", "a command with too much memory"])
def test_an_interpreter_that_ends_outside_of_its_cells_costs_its_variables_and_no_files(
    session: Session, how: str
) -> None:
    session.put("kept", b"k")
    if how == "a timer of its own":
        timer = "import os, threading\nopen('number', 'w').write(str(os.getpid()))\n"
        timer += "threading.Timer(0.1, os._exit, (1,)).start()"
        gone = "while grep -qs '^State:.[^ZX]' /proc/$(cat number)/status; do sleep 0.02; done"
        cells = [session.python(timer), session.shell(gone)]
    elif how == "a command":
        session.python("x = 1")
        cells = [session.shell("kill -9 -1")]
    else:
        session.python("x = 1")
        hungry = "python3 -c 'import time; x = b\"x\" * (120 << 20); time.sleep(50)' & "
        cells = [session.shell(hungry * 4 + "wait")]
        assert (cells[0].status, cells[0].code) == ("memory_limit", -9)
    cells.append(session.python("1"))
    assert [cell.notice for cell in cells if cell.notice] == [
        "The Python session was restarted: its variables are lost."
    ]
    assert session.python("x").notice == ""
    assert session.fetch("kept") == b"k"


@pytest.mark.sandbox
def test_the_supervisor_cannot_be_killed_or_read_from_within(session: Session) -> None:
    session.python("import os, signal\nfor s in (9, 15, 19): os.kill(1, s)")
    assert session.python("os.getpid() > 1").output == "True\n"
    assert "PermissionError" in session.python("open('/proc/1/mem', 'rb').read(1)").output
    assert "PermissionError" in session.python("import os; os.listdir('/proc/1/fd')").output
    assert "Operation not permitted" in session.shell("unshare -U true").output


@pytest.mark.sandbox
def test_a_forked_cell_does_not_speak_for_the_session(session: Session) -> None:
    session.python("import os\npid = os.fork()")
    assert session.python("1 + 1").output == "2\n"
    assert session.python("pid > 0").output == "True\n"


@pytest.mark.sandbox
@pytest.mark.parametrize("frame", ["b'\\xff' * 64", "b'\\0\\0\\0\\2{}'", "b'\\0\\0\\0\\2[]'", "b'\\0\\0\\0\\1'"])
def test_a_cell_that_forges_an_answer_costs_its_variables_and_no_files(session: Session, frame: str) -> None:
    session.put("kept", b"k")
    cell = session.python(f"import os, time; os.write(3, {frame}); time.sleep(5)")
    assert cell.status == "ended"
    assert "variables are lost" in cell.notice
    assert session.python("6 * 7").output == "42\n"
    assert session.fetch("kept") == b"k"


@pytest.mark.sandbox
def test_an_answer_without_end_is_not_kept(session: Session) -> None:
    session.put("kept", b"k")
    cell = session.python("import os\nos.write(3, b'\\xff' * 4)\nwhile True: os.write(3, bytes(1 << 20))")
    assert cell.status == "ended"
    # What is kept would be kept by the supervisor, whose memory no limit of the session counts.
    assert resident_mb(session) < 100
    assert session.fetch("kept") == b"k"


def resident_mb(session: Session) -> float:
    """The most memory that the supervisor, the first process of the sandbox, has ever held."""
    assert session._sandbox is not None
    outer = session._sandbox.pid
    (supervisor,) = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{supervisor}/status").read_text())
    return int(peak) / 1024


@pytest.mark.sandbox
def test_nothing_of_the_host_is_in_reach(session: Session, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    for folder in (tmp_path, *list(tmp_path.parents)[:-2]):
        folder.chmod(0o755)
    assert "No such file" in session.shell(f"cat {secret}").output
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        cell = session.python(f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)")
    assert "Error" in cell.output
    assert session.shell("ls /home /root /etc/shadow 2>/dev/null").output == ""
    with subprocess.Popen(["sleep", "600.04711"]) as other:
        assert "sleep" in session.shell("sleep 0 & cat /proc/*/cmdline").output
        assert "04711" not in session.shell("cat /proc/*/cmdline").output
        other.kill()
    names = {line.partition("=")[0] for line in session.shell("env").output.splitlines()}
    assert names <= {"HOME", "LANG", "PATH", "PWD", "PYTHONHASHSEED", "LC_CTYPE", "OLDPWD", "_", "SHLVL"}
    assert "Read-only file system" in session.shell("touch /usr/x /x 2>&1").output


@pytest.mark.sandbox
def test_files_are_written_and_fetched_as_bytes(session: Session) -> None:
    data = bytes(range(256)) * 3000
    session.put("data.bin", data)
    assert session.fetch("data.bin") == data
    session.put("empty", b"")
    assert session.fetch("empty") == b""
    with pytest.raises(SessionError, match="more than 10"):
        session.fetch("data.bin", max_bytes=10)
    with pytest.raises(SessionError, match="No such file"):
        session.fetch("nowhere")
    session.shell("ln -s data.bin link; mkfifo pipe; mkdir folder")
    for name in ("link", "pipe", "folder"):
        with pytest.raises(SessionError):
            session.fetch(name)
    for path in ("/etc/passwd", "../x", "", "a/../../b", "a\0"):
        with pytest.raises(ValueError, match="relative"):
            session.fetch(path)


ORDINARY = {
    "ls -la / > list && cp -a list copy && mv copy moved && ln -s moved link && rm link": "",
    "mkdir -p a/b && touch a/b/c && seq 1000 | sort -rn | uniq | head -3 | tr '\\n' ' '": "1000 999 998 ",
    "find /workspace -name c; tar cf x.tar a && tar tf x.tar | wc -l": "/workspace/a/b/c\n3\n",
    "awk 'BEGIN { print 6 * 7 }'; sed -n 1p list | wc -l; date +%Y | wc -c": "42\n1\n5\n",
    "touch -d @1000 old && stat -c %Y old && chmod 640 old && stat -c %a old": "1000\n640\n",
    "timeout 50 sh -c 'sleep 0.1 & wait; echo done'": "done\n",
    "mkfifo p; (echo hi > p &); cat p": "hi\n",
    "(flock 9; echo locked) 9> lock": "locked\n",
    "nice -n 5 true; nohup true; env | grep -c HOME": "1\n",
}
PYTHON = {
    "import subprocess; print(subprocess.run(['echo', 'x'], capture_output=True, text=True).stdout)": "x\n\n",
    "import threading\nt = threading.Thread(target=print, args=('t',)); t.start(); t.join()": "t\n",
    "import asyncio\nprint(asyncio.run(asyncio.sleep(0.01, 'a')))": "a\n",
    "import sqlite3\nc = sqlite3.connect('d.db'); c.execute('create table t(x)'); c.execute('insert into t values (7)')"
    "\nc.commit(); c.close(); print(sqlite3.connect('d.db').execute('select x from t').fetchall())": "[(7,)]\n",
    "import os\nr, w = os.pipe()\nif os.fork() == 0:\n    os.write(w, b'c'); os._exit(0)\n"
    "print(os.read(r, 1), os.wait()[1])": ("b'c' 0\n"),
    "import socket, threading\ns = socket.create_server(('127.0.0.1', 0))\n"
    "t = threading.Thread(target=lambda: s.accept()[0].sendall(b'net')); t.start()\n"
    "print(socket.create_connection(s.getsockname()).recv(9))": "b'net'\n",
    "import tempfile, shutil, os\nd = tempfile.mkdtemp(); shutil.copy('list', d); print(len(os.listdir(d)))": "1\n",
    "import signal, os\nsignal.signal(10, lambda *_: print('sig')); os.kill(os.getpid(), 10)": "sig\n",
    "import concurrent.futures as f\nwith f.ThreadPoolExecutor(4) as p: print(sum(p.map(int, '123')))": "6\n",
    "import resource, time, select\nresource.getrusage(0); select.epoll().close(); print('ok')": "ok\n",
    "import ctypes.util, uuid, random, mmap\nmmap.mmap(-1, 4096).close(); uuid.uuid4(); print('ok')": "ok\n",
}


@pytest.mark.sandbox
def test_ordinary_work_is_not_in_the_way_of_the_filters(session: Session) -> None:
    for command, output in ORDINARY.items():
        cell = session.shell(command)
        assert (cell.output, cell.status) == (output, "ok"), command
    for code, output in PYTHON.items():
        assert session.python(code).output == output, code


@pytest.mark.sandbox
def test_what_an_agent_made_is_judged_elsewhere(session: Session) -> None:
    session.python("open('solution.py', 'w').write('def solve(x): return 2 * x')")
    session.python("open('conftest.py', 'w').write('raise SystemExit(0)')")
    with Judge(workers=1) as judge:
        verdict = judge.function(session.fetch("solution.py"), entry="solve", tests=[((4,), 8)])
    assert verdict.reward == 1.0


@pytest.mark.parametrize(
    "values", [{"cell_s": 0}, {"memory_mb": -1}, {"output_kb": 1.5}, {"processes": True}, {"files": 0}]
)
def test_limits_without_sense_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        SessionLimits(**values)  # type: ignore[arg-type]  # that is the point


def test_a_process_that_is_buried_while_its_threads_are_listed_holds_no_memory() -> None:
    class Vanishing:
        def __truediv__(self, name: str) -> Path:
            return Path("/nowhere") / name

        def glob(self, pattern: str) -> Iterator[Path]:
            raise ProcessLookupError(3, "No such process")

    assert cells._resident(cast(Path, Vanishing())) == 0
