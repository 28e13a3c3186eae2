"""A sandbox as tools: what fails inside is a message, nothing outside is reached, nothing outlives its episode."""

import gc
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from processes import alive, marked, soon

from peripatos.agents.language.authors import Oracle, Script
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.scheduling import Patience
from peripatos.agents.language.tiny_llama import tiny_tokenizer
from peripatos.envs.check import check_world
from peripatos.envs.errors import UserError
from peripatos.envs.sandbox import SandboxUnavailable, SessionLimits
from peripatos.envs.tools import ToolBox, ToolWorld, Workbench, workbench
from peripatos.envs.tools.tool import MAX_ARGUMENTS, Fault, Tool, ToolResult
from peripatos.envs.tools.workbench import LIMITS
from peripatos.envs.vocabulary import Episode, Reply, ToolCall, WorldFailure

SMALL = SessionLimits(cell_s=60.0, memory_mb=300, workspace_mb=8, output_kb=4)
BRIEF = replace(SMALL, cell_s=1.0)  # for what never ends
LEFT = "until [ -e left ]; do sleep 0.02; done"


HUNGRY = """
import os, time
print("so far", flush=True)
for _ in range(4):
    if os.fork() == 0:
        x = b"x" * (120 << 20)
        time.sleep(50)
time.sleep(50)
"""


def run(bench: Workbench, name: str, text: str) -> ToolResult:
    argument = {"run_python": "code", "run_shell": "command"}[name]
    return ToolBox.of(bench).run(ToolCall(name, {argument: text}))


def python(bench: Workbench, code: str) -> str:
    return run(bench, "run_python", textwrap.dedent(code)).text


def shell(bench: Workbench, command: str) -> str:
    return run(bench, "run_shell", command).text


def ends(mark: str) -> bool:
    return soon(lambda: not alive(mark))


def leave_behind(bench: Workbench, mark: str) -> None:
    """A process in a session of its own, whose parent is gone."""
    shell(bench, f"rm -f left; setsid sh -c 'sleep {mark} & sleep {mark} & touch left' > /dev/null 2>&1 & {LEFT}")
    assert alive(mark)


@pytest.fixture
def mark() -> Iterator[str]:
    with marked() as mark:
        yield mark


@pytest.fixture(scope="module")
def shared():
    bench = Workbench(SMALL)
    yield bench
    bench.close()


@pytest.fixture
def bench():
    bench = Workbench(SMALL)
    yield bench
    bench.close()


@pytest.fixture
def brief():
    bench = Workbench(BRIEF)
    yield bench
    bench.close()


def goes_on(bench: Workbench) -> bool:
    """Whether it answers. One that is in a hurry may be too late now and then, on a busy machine."""
    return any(python(bench, "6 * 7") == "42" for _ in range(10))


# ── what the agent reads


@pytest.mark.sandbox
def test_variables_stay_and_both_tools_work_in_one_folder(shared):
    assert python(shared, "x = 20") == "[no output]"
    assert python(shared, "open('f', 'w').write('hello'); x + 1") == "21"
    assert shell(shared, "tr a-z A-Z < f; exit 3") == "HELLO\n[exit code 3]"
    assert "ZeroDivisionError" in python(shared, "x / 0")
    assert python(shared, "x") == "20"


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("run_python", "print('so far')\nwhile True: pass", ["so far", "KeyboardInterrupt", "[stopped after 1 s]"]),
        ("run_python", "import os; os._exit(1)", ["variables are lost"]),
        ("run_python", "import ctypes; ctypes.string_at(0)", ["variables are lost"]),
        ("run_python", "x = bytearray(1 << 30)", ["MemoryError"]),
        ("run_python", HUNGRY, ["so far", "together may use 300 MB", "variables are lost"]),
        ("run_python", "def", ["SyntaxError"]),
        ("run_python", "print('a' * 50_000 + 'the end')", ["aaa", "bytes cut …]", "the end"]),
        ("run_python", "import sys; sys.stdout.buffer.write(bytes([200, 0, 255]))", ["�\0�"]),
        ("run_python", "print('\\ud800')", ["UnicodeEncodeError"]),
        ("run_shell", "echo so far; sleep 30", ["so far", "[stopped after 1 s]"]),
        ("run_shell", "head -c 3000000 /dev/urandom", ["bytes cut …]"]),
        ("run_shell", "kill -9 $$", ["[exit code -9]"]),
        ("run_shell", "no-such-program", ["not found", "[exit code 127]"]),
        ("run_shell", "head -c 99000000 /dev/zero > big; rm big", ["No space left"]),
        ("run_shell", "cat", ["[no output]"]),  # there is nobody to type
    ],
    ids=lambda value: str(value)[:30],
)
def test_whatever_happens_inside_is_a_bounded_message(shared, brief, name, text, words):
    bench = brief if "[stopped after 1 s]" in words else shared
    result = run(bench, name, text)
    assert result.fault is None
    assert all(word in result.text for word in words), result.text
    assert len(result.text) < 5_000
    assert goes_on(bench)


@pytest.mark.sandbox
@pytest.mark.parametrize("name", ["run_python", "run_shell"])
def test_code_that_cannot_be_run_is_refused_in_words(shared, name):
    for text, words in (("1\0", "NUL"), ("#" * (MAX_ARGUMENTS + 1), "are allowed"), ("\ud800", "surrogate")):
        result = run(shared, name, text)
        assert (result.fault, words in result.text) == (Fault.ARGUMENTS, True), result
    assert python(shared, "6 * 7") == "42"


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run_shell", "f() { f | f & f | f & }; f; wait"),
        ("run_shell", "setsid sh -c 'while true; do setsid sleep 99 & done' > /dev/null 2>&1 & sleep 0.5"),
        ("run_python", "import os\nwhile True: os.fork()"),
        ("run_python", "import os\nwhile True:\n    os.fork()\n    os.setsid() if os.getpid() != os.getsid(0) else 0"),
        ("run_python", "import threading\nwhile True: threading.Thread(target=threading.Event().wait).start()"),
    ],
)
def test_a_fork_bomb_costs_a_call_and_never_the_episode(brief, name, text):
    begun = time.monotonic()
    assert run(brief, name, text).fault is None
    # What left its group goes on until it needs too much memory, or all processes: then the sandbox is replaced.
    assert goes_on(brief)
    assert time.monotonic() - begun < 60  # of the 300 and more that its ten calls could take


# ── what it cannot reach

OUTSIDE = (
    "import os; os.listdir('/root')",
    "open('/etc/shadow').read()",
    "open('/etc/passwd').read()",
    "open('/proc/1/environ').read()",
    "open('/proc/1/mem', 'rb').read(1)",
    "import os; os.listdir('/proc/1/fd')",
    "open('/usr/lib/x', 'w')",
    "open('/x', 'w')",
    "open('/dev/x', 'w')",
    "open('/proc/sys/kernel/hostname', 'w').write('x')",
    "import os; os.mknod('disk', 0o60666, os.makedev(8, 0))",
    "import os; os.chroot('/workspace')",
    "import os; os.setuid(0)",
    "import os; os.unshare(os.CLONE_NEWUSER) if hasattr(os, 'unshare') else os.setgid(0)",
    "import socket; socket.create_connection(('1.1.1.1', 53), 0.5)",
    "import socket; socket.getaddrinfo('example.org', 80)",
    "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)",
    "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "import numpy",
    "import peripatos",
)


@pytest.mark.sandbox
@pytest.mark.parametrize("code", OUTSIDE)
def test_what_lies_outside_cannot_be_read_written_or_become(shared, code):
    answer = python(shared, code)
    assert "Traceback" in answer, answer
    assert python(shared, "6 * 7") == "42"


@pytest.mark.sandbox
def test_no_server_of_the_host_can_be_reached(shared):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert "Error" in python(shared, f"import socket; socket.create_connection(('127.0.0.1', {port}), 0.5)")
    name = f"\0peripatos-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        assert "Error" in python(shared, f"import socket; socket.socket(socket.AF_UNIX).connect({name!r})")


@pytest.mark.sandbox
def test_neither_files_nor_variables_nor_processes_of_the_host_are_seen(shared, mark, tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("hunter2")
    for folder in (tmp_path, *list(tmp_path.parents)[:-2]):
        folder.chmod(0o755)
    monkeypatch.setenv("SECRET", "hunter2")
    for command in (f"cat {tmp_path}/secret", f"ls {Path.cwd()}", "ls -A /home /mnt /srv /var/log /run"):
        assert "No such file" in shell(shared, command)
    fresh = Workbench(SMALL)
    assert "hunter2" not in shell(fresh, "env; cat /proc/*/environ; cat /proc/*/cmdline")
    with subprocess.Popen(["sleep", mark]) as other:
        assert mark not in shell(fresh, "cat /proc/*/cmdline")
        other.kill()
    fresh.close()


@pytest.mark.sandbox
def test_signals_to_everything_end_nothing_outside(bench):
    process = subprocess.Popen(["sleep", "600"])
    shell(bench, f"kill -9 {process.pid} {os.getpid()} 1; kill -9 -1")
    python(bench, "import os, signal; os.kill(-1, signal.SIGKILL)")
    assert process.poll() is None
    process.kill()
    process.wait()
    assert python(bench, "6 * 7") == "42"


# ── how long it lives


@pytest.mark.sandbox
def test_closing_ends_what_was_left_behind_and_is_final(mark):
    bench = Workbench(SMALL)
    leave_behind(bench, mark)
    bench.close()
    bench.close()
    assert ends(mark)
    with pytest.raises(WorldFailure, match="closed"):
        run(bench, "run_python", "1")


@pytest.mark.sandbox
def test_a_bench_that_nobody_holds_is_ended(mark):
    bench = Workbench(SMALL)
    leave_behind(bench, mark)
    del bench
    gc.collect()
    assert ends(mark)


@pytest.mark.sandbox
@pytest.mark.parametrize("end", ["pass", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
def test_nothing_outlives_the_process_that_made_it(mark, end):
    code = f"""
        from peripatos.envs.tools.workbench import Workbench
        bench = Workbench()
        bench.run_shell("setsid sh -c 'touch left; exec sleep {mark}' > /dev/null 2>&1 & {LEFT}")
        print("ready", flush=True)
        input()
        {end}
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert alive(mark)
        process.communicate("\n", timeout=60)
    assert process.returncode in (0, -signal.SIGKILL)
    assert ends(mark)


@pytest.mark.sandbox
def test_a_sandbox_that_cannot_be_had_is_the_users_or_the_worlds_failure_and_never_the_agents(monkeypatch):
    def missing(*_: object) -> str:
        raise SandboxUnavailable("bubblewrap is not installed")

    bench = Workbench(SMALL)
    monkeypatch.setattr(workbench, "Session", missing)
    with pytest.raises(WorldFailure, match="bubblewrap is not installed"):
        run(bench, "run_python", "1")
    monkeypatch.setattr(workbench, "choose", missing)
    with pytest.raises(UserError, match="bubblewrap is not installed"):
        Workbench()


@pytest.mark.sandbox
def test_files_are_given_and_fetched_as_bytes_and_never_through_a_link(bench):
    assert bench.fetch("nothing") is None  # and no sandbox was started for it
    assert not bench._sessions
    bench.put("data", bytes(range(256)))
    assert python(bench, "len(open('data', 'rb').read())") == "256"
    shell(bench, "ln -s data link; ln -s /etc/passwd out; mkfifo pipe; mkdir folder; head -c 99 data > small")
    assert bench.fetch("data") == bytes(range(256))
    assert bench.fetch("data", max_bytes=255) is None
    assert [bench.fetch(name) for name in ("link", "out", "pipe", "folder", "absent")] == [None] * 5


# ── in a world


class Desk:
    """A tool of one's own beside the sandbox."""

    def __init__(self, task):
        self.answer = None

    def submit(self, answer: int) -> str:
        """Hand in the answer."""
        self.answer = answer
        return "noted"


def squares(rng):
    n = int(rng.integers(2, 5_000))
    code = f"open('sum', 'w').write(str(sum(k * k for k in range({n}))))"
    want = sum(k * k for k in range(n))
    steps = [
        {"name": "run_python", "arguments": {"code": code}},
        {"name": "run_shell", "arguments": {"command": "cat sum"}},
        {"name": "submit", "arguments": {"answer": want}},
        "Done.",
    ]
    return {"prompt": f"The sum of the first {n} squares?", "want": want, "oracle": steps}


def judged(parts, task, reply):
    desk, bench = parts
    return desk.answer == task["want"] == int(bench.fetch("sum") or 0)


def workshop(limits: SessionLimits = LIMITS) -> ToolWorld:
    return ToolWorld(squares, lambda task: [Desk(task), Workbench(limits)], judged)


@pytest.mark.sandbox
def test_a_world_with_a_sandbox_keeps_the_contract():
    assert not [finding for finding in check_world(workshop()) if not finding.passed]


@pytest.mark.sandbox
def test_every_episode_has_a_sandbox_of_its_own_which_ends_with_it(mark):
    gc.collect()  # what earlier tests left open is not closed in between
    world, descriptors = workshop(SMALL), []
    for seed in range(4):
        world.reset(seed=seed)
        assert python(world._host[1], "import os; os.listdir()") == "[]"
        assert "NameError" in python(world._host[1], "kept")
        python(world._host[1], "kept = 1; open('kept', 'w').close()")
        leave_behind(world._host[1], mark)
        terminated = False
        while not terminated:
            _, _, terminated, truncated, info = world.step(world.oracle())
            assert not truncated
        assert info["success"]
        assert world._host is None
        assert ends(mark)
        descriptors.append(len(list(Path("/proc/self/fd").iterdir())))
    assert descriptors[-1] <= descriptors[0]
    world.reset(seed=9)
    leave_behind(world._host[1], mark)
    world.reset(seed=10)  # somebody else ended the episode
    assert ends(mark)
    leave_behind(world._host[1], mark)
    world.close()
    assert ends(mark)


@pytest.mark.sandbox
def test_the_sandbox_of_a_world_that_nobody_holds_ends(mark):
    world = workshop(SMALL)
    world.reset(seed=0)
    leave_behind(world._host[1], mark)
    del world
    gc.collect()
    assert ends(mark)


@pytest.mark.sandbox
def test_episodes_at_once_share_nothing():
    renderer = Renderer(tiny_tokenizer())
    oracle = ConversationActor(workshop, Oracle(), renderer, context=100_000)
    episodes = oracle.collect(range(6), 1, seed=0, version=0).episodes
    oracle.close()
    assert all(episode.success for episode in episodes)


def collected(command: str, cell_s: float, **limits: Any) -> tuple[ConversationActor, tuple[Episode, ...]]:
    """Three episodes of somebody who runs the same command again and again, for so long at most."""
    renderer = Renderer(tiny_tokenizer())
    said = f'<tool_call>{{"name": "run_shell", "arguments": {{"command": "{command}"}}}}</tool_call>'
    engine, own = Script(lambda messages: said), replace(SMALL, cell_s=cell_s)
    actor = ConversationActor(lambda: workshop(own), engine, renderer, **{"context": 100_000, **limits})
    return actor, actor.collect(range(3), 1, seed=0, version=0).episodes


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("limits", "reason"), [({"context": 900}, "context_limit"), ({"max_turns": 2}, "turn_limit")], ids=lambda v: str(v)
)
def test_no_sandbox_survives_an_episode_that_is_cut(mark, limits, reason):
    before = sandboxes()
    actor, episodes = collected(f"ls; touch mine; setsid sleep {mark} > /dev/null 2>&1 & sleep 0.1", 60.0, **limits)
    for episode in episodes:
        assert (episode.truncated, episode.stop_reason) == (True, reason)
        seen = [message["content"] for message in episode.messages if message["role"] == "tool"]
        assert seen[:2] == ["[no output]", "mine"]
    assert not sandboxes() - before  # though the actor keeps its worlds
    assert ends(mark)
    actor.close()


@pytest.mark.sandbox
def test_no_sandbox_survives_an_episode_that_is_abandoned(mark, monkeypatch):
    monkeypatch.setattr(Tool, "longest", 0.0)  # else the calls would be granted the time that they take
    before = sandboxes()
    actor, episodes = collected(f"setsid sleep {mark} > /dev/null 2>&1 & sleep 60", 5.0, patience=Patience(step=1.0))
    assert {episode.failure for episode in episodes} == {"the world did not answer in time"}
    assert soon(lambda: len(sandboxes() - before) == 3)  # for as long as the calls take: a thread is inside each
    assert soon(lambda: not sandboxes() - before)
    assert ends(mark)
    actor.close()


def sandboxes() -> set[str]:
    """The sandboxes that this process has started."""
    children = (path.read_text().split() for path in Path("/proc/self/task").glob("*/children"))
    return {pid for pids in children for pid in pids}


@pytest.mark.sandbox
def test_a_reply_with_a_call_that_hangs_waits_for_no_longer_than_its_limit():
    world = workshop(BRIEF)
    world.reset(seed=0)
    begun = time.monotonic()
    text, *_ = world.step(Reply("", tool_calls=(ToolCall("run_shell", {"command": "sleep 60"}),)))
    assert "[stopped after 1 s]" in text
    assert time.monotonic() - begun < 30
    world.close()
