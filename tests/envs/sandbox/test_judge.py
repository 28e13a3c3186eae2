"""The judge's verdicts, its treatment of bad input, and what it does when its own parts fail."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from patience import PATIENT, hurried

from peripatos.envs.sandbox import Judge, Limits
from peripatos.envs.sandbox.frames import Deadline, Frames, Malformed
from peripatos.envs.sandbox.inside.codec import frame
from peripatos.envs.sandbox.program_run import ProgramRun
from peripatos.envs.sandbox.worker import Exit

DOUBLE = "def solve(x): return 2 * x"


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(workers=2, limits=replace(PATIENT, memory_mb=256)) as judge:
        yield judge


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("code", "status", "message"),
    [
        ("def solve(x): return 2 * x", "passed", ""),
        ("def solve(x): return 3 * x", "wrong_answer", ""),
        ("def solve(x): return float(2 * x)", "wrong_answer", ""),
        ("def solve(x): return object()", "wrong_answer", "object"),
        ("def solve(x)\n return 1", "compile_error", "SyntaxError"),
        ("def solve(x): return 'a\0b'", "compile_error", "null"),
        (b"def solve(x): return '\xff'", "compile_error", "UTF-8"),
        ("def other(x): return 1", "no_answer", "solve"),
        ("solve = 3", "no_answer", "solve"),
        ("import sys\nsys.exit(0)", "no_answer", "SystemExit"),
        ("def solve(x):\n    y = 1\n    return x / 0", "runtime_error", "ZeroDivisionError: division by zero (line 3)"),
        ("import nowhere_at_all", "runtime_error", "nowhere_at_all"),
        ("def solve(x):\n    while True: pass", "time_limit", ""),
        ("import time\ndef solve(x): time.sleep(9)", "time_limit", "1 s (wall_s)"),
        ("def solve(x): return len(bytearray(1 << 30))", "memory_limit", "MemoryError"),
        ("def solve(x): return 'a' * (3 << 20)", "output_limit", "large"),
        ("import ctypes\ndef solve(x): ctypes.string_at(0)", "killed", "SIGSEGV"),
        ("import os\ndef solve(x): os.execv('/bin/sh', ['sh'])", "killed", "SIGSYS"),
        ("import os\ndef solve(x): os.write(3, b'no frame at all'); return 1", "protocol_error", ""),
    ],
)
def test_each_end_of_a_program_has_its_status(judge: Judge, code: str | bytes, status: str, message: str) -> None:
    with hurried(judge) if status == "time_limit" else nullcontext():
        verdict = judge.function(code, entry="solve", tests=[((1,), 2), ((2,), 4)])
    assert verdict.status == status, verdict
    assert message in verdict.message
    assert verdict.reward == (1.0 if status == "passed" else 0.0)
    assert len(verdict.tests) == 2
    assert verdict.isolated


@pytest.mark.sandbox
def test_the_limit_on_processor_time_is_told_from_the_clock() -> None:
    with Judge(workers=1, limits=replace(PATIENT, wall_s=300, cpu_s=1)) as judge:
        verdict = judge.function("def solve(x):\n    while True: pass", entry="solve", tests=[((1,), 2)])
    assert verdict.status == "time_limit"
    assert "1 s of processor time" in verdict.message
    assert verdict.cpu_s < 3


@pytest.mark.sandbox
def test_ten_megabytes_of_source_end_in_a_verdict(judge: Judge) -> None:
    verdict = judge.function("x = 1\n" * (10 << 20 >> 3) + DOUBLE, entry="solve", tests=[((1,), 2)])
    assert verdict.status in ("passed", "memory_limit", "compile_error", "time_limit"), verdict
    long = judge.function("#" * (10 << 20) + "\n" + DOUBLE, entry="solve", tests=[((1,), 2)])
    assert long.status == "passed", long


@pytest.mark.sandbox
def test_partial_credit_counts_tests_and_keeps_the_status(judge: Judge) -> None:
    tests = [((i,), 2 * i) for i in range(4)]
    code = "def solve(x):\n    assert x != 1\n    return 2 * x if x < 3 else 0"
    assert judge.function(code, entry="solve", tests=tests).reward == 0.0
    partial = judge.function(code, entry="solve", tests=tests, partial=True)
    assert partial.reward == 0.5
    assert [test.status for test in partial.tests] == ["passed", "runtime_error", "passed", "wrong_answer"]
    assert partial.tests[3].got == "0"
    assert partial.status == "runtime_error"


@pytest.mark.sandbox
def test_answers_before_the_time_ran_out_earn_partial_credit(judge: Judge) -> None:
    code = "import time\ndef solve(x):\n    while x > 1: time.sleep(1)\n    return 2 * x"
    with hurried(judge, 3):
        tests = [((0,), 0), ((1,), 2), ((2,), 4), ((3,), 6)]
        verdict = judge.function(code, entry="solve", tests=tests, partial=True)
    assert (verdict.status, verdict.reward) == ("time_limit", 0.5)


def test_an_answer_that_came_in_time_counts_though_it_is_looked_at_late() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        frames, past = Frames(ours), time.monotonic() - 1
        theirs.sendall(frame({"i": 0}) + frame({"i": 1}) + frame({"i": 2})[:5])
        assert [frames.receive(past) for _ in range(2)] == [{"i": 0}, {"i": 1}]
        for _ in range(2):  # half of one, and no more of it
            with pytest.raises(Deadline):
                frames.receive(past)
        theirs.close()
        with pytest.raises(Malformed, match="unfinished"):
            frames.receive(past)


@pytest.mark.sandbox
def test_every_call_gets_fresh_arguments_and_the_program_keeps_its_state(judge: Judge) -> None:
    code = "calls = []\ndef solve(xs):\n    xs.append(1)\n    calls.append(0)\n    return [len(xs), len(calls)]"
    verdict = judge.function(code, entry="solve", tests=[(([],), [1, 1]), (([],), [1, 2])])
    assert verdict.status == "passed", verdict


@pytest.mark.sandbox
def test_a_program_is_judged_alike_twice_and_by_another_worker(judge: Judge) -> None:
    code = "import random\ndef solve(x): return [random.random(), list({'a', 'b', 'c', 'd'})]"
    seen = {judge.function(code, entry="solve", tests=[((0,), None)]).tests[0].got for _ in range(6)}
    assert len(seen) == 1


@pytest.mark.sandbox
@pytest.mark.parametrize(
    "code",
    [
        "import asyncio\nasync def f(x):\n    await asyncio.sleep(0.01)\n    return 2 * x\n"
        "def solve(x): return asyncio.run(f(x))",
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\ndef solve(x): return P(2 * x).x",
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n"
        "def solve(x): return P(2 * x).x",
        "import sys\nsys.setrecursionlimit(10**6)\ndef f(n): return 0 if n == 0 else 2 + f(n - 1)\n"
        "def solve(x): return f(20000) - 40000 + 2 * x",
        "import numbers, sqlite3, threading, queue, uuid, struct, array, zlib, hashlib, platform, tempfile, pathlib\n"
        "def solve(x): return int(hashlib.sha256(b'').hexdigest(), 16) * 0 + 2 * x",
        "import os\ndef solve(x):\n    os.system('clear')\n    return 2 * x",
        "import multiprocessing, subprocess, socket, signal\ndef solve(x): return 2 * x",
        "class Solution:\n    def f(self, x): return 2 * x\nsolve = Solution().f",
        "def solve(x):\n    if __name__ == '__main__': raise SystemExit\n    return 2 * x",
        "from concurrent.futures import ThreadPoolExecutor\ndef solve(x):\n"
        "    with ThreadPoolExecutor(8) as pool: return sum(pool.map(lambda _: x, range(2)))",
    ],
)
def test_honest_programs_that_use_the_standard_library_pass(judge: Judge, code: str) -> None:
    verdict = judge.function(code, entry="solve", tests=[((1,), 2), ((21,), 42)])
    assert verdict.status == "passed", verdict


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("print(int(input()) + 1)", "passed"),
        ("import sys\nsys.stdout.write(str(int(sys.stdin.read()) + 1))", "passed"),
        ("import os\nos.write(1, b'%d' % (int(os.read(0, 99)) + 1))\nos._exit(0)", "passed"),
        ("import atexit\natexit.register(lambda: print(n + 1))\nn = int(input())", "passed"),
        ("import threading\nthreading.Thread(target=lambda: print(int(input()) + 1)).start()", "passed"),
        ("def main():\n    print(int(input()) + 1)\nif __name__ == '__main__':\n    main()\n    exit()", "passed"),
        ("print(int(input()) + 1)\nraise SystemExit(1)", "runtime_error"),
        ("print(int(input()) + 1)\n1 / 0", "runtime_error"),
        ("print(input())", "wrong_answer"),
        ("print(int(input()) + 1, 0)", "wrong_answer"),
        ("pass", "wrong_answer"),
        ("print(", "compile_error"),
        ("input(); input()", "runtime_error"),
        ("while True: print('x' * 1000)", "output_limit"),
        ("import time\nprint(int(input()) + 1, flush=True)\ntime.sleep(9)", "time_limit"),
        ("import ctypes\nprint(int(input()) + 1, flush=True)\nctypes.string_at(0)", "killed"),
    ],
)
def test_stdio_programs_are_judged_by_their_whole_output_and_their_end(judge: Judge, code: str, status: str) -> None:
    with hurried(judge) if status == "time_limit" else nullcontext():
        verdict = judge.stdio(code, tests=[("1\n", "2\n"), ("5\n", "6\n")])
    assert verdict.status == status, verdict
    assert verdict.reward == (1.0 if status == "passed" else 0.0)


@pytest.mark.sandbox
def test_stdio_runs_every_test_whether_those_before_passed_or_not(judge: Judge) -> None:
    """The number of processes would tell a program which of its outputs were right."""
    tests = [("1", "1"), ("2", "4"), ("3", "3"), ("4", "5")]
    for partial in (False, True):
        verdict = judge.stdio("print(input())", tests, partial=partial)
        assert [test.status for test in verdict.tests] == ["passed", "wrong_answer", "passed", "wrong_answer"]
        assert verdict.tests[1].got == "2\n"
        assert verdict.reward == (0.5 if partial else 0.0)


@pytest.mark.sandbox
def test_the_limits_are_for_each_test() -> None:
    """Of those that are to be kept, a program uses a fraction, for any process may be paused."""
    pairs = [((i,), i) for i in range(6)]
    busy = "import time\ndef solve(x):\n    end = time.process_time() + {s}\n"
    busy += "    while time.process_time() < end: pass\n    return x"
    with Judge(workers=1, limits=replace(PATIENT, wall_s=3)) as judge:
        tests = [(str(i), str(i)) for i in range(5)]
        assert judge.stdio("import time\ntime.sleep(0.7)\nprint(input())", tests).reward == 1.0
        asleep = "import time\ndef solve(x):\n    time.sleep(60 * (x == 3))\n    return x"
        verdict = judge.function(asleep, entry="solve", tests=pairs, partial=True)
        assert [test.status for test in verdict.tests] == ["passed"] * 3 + ["time_limit"] * 3, verdict
    with Judge(workers=1, limits=replace(PATIENT, cpu_s=0.5)) as judge:
        right = judge.function(busy.format(s=0.2), entry="solve", tests=pairs)
        assert right.status == "passed", right
        # what the first test may have taken by the clock is not held against the second
        slow = busy.format(s="(1.2 if x == 1 else 0.05)")
        verdict = judge.function(slow, entry="solve", tests=pairs, partial=True)
        assert [test.status for test in verdict.tests] == ["passed", "time_limit"] + ["passed"] * 4, verdict


@pytest.mark.sandbox
def test_all_tests_together_have_a_limit_too(judge: Judge) -> None:
    tests = [(str(i), str(i)) for i in range(200)]
    with Judge(workers=1, limits=Limits(wall_s=2.5, total_s=2.5)) as brief:
        began = time.monotonic()
        verdict = brief.stdio("import time\ntime.sleep(0.3)\nprint(input())", tests, partial=True)
        assert time.monotonic() - began < 30  # of the 60 that all would take
        assert verdict.tests[0].status == "passed"
        assert verdict.tests[-1].status == "time_limit"
    with hurried(judge):
        hanging = judge.stdio("import time\ntime.sleep(9)", tests)
    assert [test.status for test in hanging.tests[:2]] == ["time_limit", "skipped"]


@pytest.mark.sandbox
def test_decimal_numbers_on_standard_output_may_differ_by_the_tolerance(judge: Judge) -> None:
    tests = [("", "0.333333 x 2\n")]
    assert judge.stdio("print(1 / 3, 'x', 2.0)", tests).status == "wrong_answer"
    assert judge.stdio("print(1 / 3, 'x', 2.0)", tests, tolerance=1e-5).status == "passed"
    for output in ("0.3334 x 2", "0.333333 y 2", "nan x 2", "0.333333 x", "0.333333 x 2 2", "inf x 2", "0x1 x 2"):
        assert judge.stdio(f"print({output!r})", tests, tolerance=1e-5).status == "wrong_answer"
    whole = [("", f"1000000007 {7**400} 5")]
    assert judge.stdio("print(10**9 + 7, 7**400, 5.0)", whole, tolerance=1e-5).status == "passed"
    for output in (f"1000000008 {7**400} 5", "1000000007 1 5", f"1000000007 {7**401} 5", "1000000007 1.5e999 5"):
        assert judge.stdio(f"print({output!r})", whole, tolerance=1e-5).status == "wrong_answer"


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("code", "expected", "right"),
    [
        ("return 4 // 2", 2.0, True),
        ("return 4 / 2", 2, True),
        ("return {4: 1.0, None: (True,)}", {"4": 1, "null": [True]}, True),
        ("return 2 ** 70", float(2**70), True),
        ("return [1, [2.0]]", [1.0, [2]], True),
        ("return True", 1, False),
        ("return 1", True, False),
        ("return '2'", 2, False),
        ("return 2.5", 2, False),
        ("return float('nan')", 2, False),
        ("return 10 ** 400", 1.5, False),
        ("return 2 ** 53 + 1", float(2**53), False),
        ("return {4: 1}", {"4.0": 1}, False),
    ],
)
def test_numbers_of_tests_that_came_through_json_are_pythons_equals(
    judge: Judge, code: str, expected: object, right: bool
) -> None:
    verdict = judge.function(f"def solve():\n    {code}", "solve", [((), expected)], tuples_as_lists=True)
    assert verdict.reward == float(right), verdict


@pytest.mark.sandbox
def test_programs_of_contests_run_as_they_do_there(judge: Judge) -> None:
    assert judge.stdio("print(10 ** 5000)", [("", "1" + "0" * 5000)]).reward == 1.0
    digits = judge.function("def solve(s): return str(int(s) + 1)", "solve", [(("9" * 6000,), "1" + "0" * 6000)])
    assert digits.reward == 1.0
    code = "class Solution:\n    def __init__(self): self.n = 0\n    def solve(self, xs: List[int]) -> Optional[int]:\n"
    code += "        self.n += 1\n        return sum(xs) + self.n\n"
    assert judge.function(code, "solve", [(([1, 2],), 4), (([3],), 4)]).reward == 1.0
    assert (
        judge.assertions(code, "solve", "def check(c):\n    assert c([1]) == 2\n    assert c([1]) == 2").reward == 1.0
    )
    assert judge.function("class Solution: pass", "solve", [((), 1)]).status == "no_answer"


@pytest.mark.sandbox
def test_an_answer_far_larger_than_what_is_expected_is_not_read(judge: Judge) -> None:
    code = "def solve(x): return [[i, [i]] for i in range(60_000)] if x else 1"
    began = time.thread_time()
    verdict = judge.function(code, "solve", [((i % 9,), 1) for i in range(10)], partial=True, tuples_as_lists=True)
    assert time.thread_time() - began < 0.5
    assert verdict.reward == 0.2
    assert "bytes" in verdict.message


@pytest.mark.sandbox
def test_a_death_by_a_signal_without_a_name_is_a_verdict_too(judge: Judge) -> None:
    # As the first process of its namespace a program survives it; without namespaces it does not.
    worker = judge._acquire()
    try:
        result = ProgramRun(worker, judge.limits).obituary(Exit(None, 35, 0.0, 0))
    finally:
        judge._release(worker)
    assert (result.status, result.message) == ("killed", "ended by signal 35")


@pytest.mark.sandbox
def test_a_large_input_arrives_whole(judge: Judge) -> None:
    text = "7 " * 500_000
    assert judge.stdio("print(sum(map(int, input().split())))", [(text, "3500000")]).status == "passed"


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda judge: judge.function(DOUBLE, entry="solve", tests=[]), "no tests"),
        (lambda judge: judge.stdio(DOUBLE, tests=[]), "no tests"),
        (lambda judge: judge.assertions(DOUBLE, entry="solve", test_code=" \n"), "empty"),
        (lambda judge: judge.assertions(DOUBLE, entry="solve", test_code="assert ("), "does not compile"),
        (lambda judge: judge.function(DOUBLE, entry="2x", tests=[((1,), 2)]), "2x"),
        (lambda judge: judge.function(DOUBLE, entry="solve", tests=[((1,), object())]), "object"),
        (lambda judge: judge.function(DOUBLE, entry="solve", tests=[((1,), 2, 3)]), "pair"),
        (lambda judge: judge.function(DOUBLE, entry="solve", tests=[(1, 2)]), "cannot be used"),
        (lambda judge: judge.function(DOUBLE, entry="solve", tests=[((1,), 2)], tolerance=-1.0), "-1.0"),
        (lambda judge: judge.stdio(DOUBLE, tests=[(1, "2")]), "two strings"),
        (lambda judge: judge.submit("functoin", DOUBLE), "Did you mean 'function'"),
    ],
)
def test_a_users_mistake_is_one_clear_error(judge: Judge, call: Callable[[Judge], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(judge)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"wall_s": 0}, "wall_s"),
        ({"wall_s": -1.0}, "-1.0"),
        ({"cpu_s": float("inf")}, "cpu_s"),
        ({"memory_mb": 1}, "64"),
        ({"memory_mb": 512.5}, "whole"),
        ({"threads": True}, "threads"),
    ],
)
def test_limits_without_sense_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Limits(**values)  # type: ignore[arg-type]  # that is the point


@pytest.mark.sandbox
def test_futures_from_many_threads_all_arrive_with_their_own_verdict(judge: Judge) -> None:
    def ask(i: int) -> bool:
        future = judge.submit("function", f"def solve(x): return x + {i}", entry="solve", tests=[((1,), 1 + i)])
        wrong = judge.function(f"def solve(x): return x + {i}", entry="solve", tests=[((1,), i)])
        return future.result(120).reward == 1.0 and wrong.reward == 0.0

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(40)))


@pytest.mark.sandbox
def test_a_judge_outlives_the_threads_that_used_it() -> None:
    with Judge(workers=1) as judge:
        worker = judge._idle.get()
        assert worker is not None
        os.kill(worker.pid, signal.SIGKILL)
        judge._idle.put(worker)
        verdicts = []
        for _ in range(2):  # the first thread's judgement has to start a new sandbox; then that thread ends
            thread = threading.Thread(
                target=lambda: verdicts.append(judge.function(DOUBLE, entry="solve", tests=[((1,), 2)]))
            )
            thread.start()
            thread.join()
            time.sleep(0.1)
        assert [verdict.status for verdict in verdicts] == ["passed", "passed"]


def _kill_workers(
    stop: threading.Event, passed: threading.Event, kills: list[int], children: Callable[[], set[int]]
) -> None:
    """Again and again, in quick succession; and then not before a program has passed: a start may take long."""
    for pause in itertools.cycle((0.05, 0.15, 0.3, None)):
        if stop.is_set():
            return
        for pid in children():
            try:
                os.kill(pid, signal.SIGKILL)
                kills.append(pid)
            except ProcessLookupError:
                continue
        if pause is not None:
            time.sleep(pause)
        else:
            passed.clear()
            passed.wait(120)


def _children() -> set[int]:
    """The processes that this process started and that live: the sandboxes, seen from outside."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        fields = text.rpartition(")")[2].split()
        if int(fields[1]) == os.getpid() and fields[0] != "Z":
            found.add(int(stat.parent.name))
    return found


def _survives_kills(wanted: int) -> None:
    own = _children()
    kills: list[int] = []
    stop, passed = threading.Event(), threading.Event()
    with Judge(workers=2, limits=PATIENT) as judge:
        killer = threading.Thread(target=_kill_workers, args=(stop, passed, kills, lambda: _children() - own))
        code = "import time\ndef solve(x):\n    time.sleep(0.02)\n    return 2 * x"
        killer.start()
        statuses = []
        while len(kills) < wanted:
            for future in [judge.submit("function", code, entry="solve", tests=[((1,), 2)]) for _ in range(8)]:
                statuses.append(future.result(300))
                if statuses[-1].status == "passed":
                    passed.set()
        stop.set()
        passed.set()
        killer.join()
        for verdict in statuses:
            assert verdict.status in ("passed", "infra_error", "sandbox_unavailable"), verdict
            assert (verdict.reward is None) == (verdict.status != "passed")
        assert any(verdict.status == "passed" for verdict in statuses)
        assert judge.function(DOUBLE, entry="solve", tests=[((1,), 2)]).reward == 1.0
    assert _children() <= own


@pytest.mark.sandbox
def test_every_verdict_arrives_though_sandboxes_are_killed() -> None:
    _survives_kills(10)


@pytest.mark.sandbox
@pytest.mark.slow
def test_every_verdict_arrives_though_sandboxes_are_killed_a_hundred_times() -> None:
    _survives_kills(100)


@pytest.mark.sandbox
def test_suspicions_and_statuses_are_counted(judge: Judge) -> None:
    before = judge.describe()["suspicions"]
    assert isinstance(before, dict)
    judge.function("import os\ndef solve(x): os._exit(0)", entry="solve", tests=[((1,), 2)])
    judge.function("import os\ndef solve(x): os.fork()", entry="solve", tests=[((1,), 2)])
    after = judge.describe()["suspicions"]
    assert isinstance(after, dict)
    assert after["exit_without_answer"] == before.get("exit_without_answer", 0) + 1
    assert after["probe:os.fork"] == before.get("probe:os.fork", 0) + 1


def _judge_many(judge: Judge, count: int) -> float:
    """Judge a mixture, a tenth of it hostile; seconds of this process's own work for each program."""
    hostile = (
        "import os\ndef solve(x): os._exit(0)",
        "import os\nos.write(3, b'\\xff' * 99)",
        "import os\ndef solve(x): os.execv('/bin/sh', ['sh'])",
        "import ctypes\ndef solve(x): ctypes.string_at(0)",
        "def solve(x): return bytearray(1 << 40)",
    )

    def one(i: int) -> bool:
        code = hostile[i // 10 % len(hostile)] if i % 10 == 0 else f"# {i}\n{DOUBLE}"
        return judge.function(code, entry="solve", tests=[((1,), 2)]).reward == float(i % 10 != 0)

    began = time.process_time()
    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(one, range(count)))
    return (time.process_time() - began) / count


def _listing(folder: str) -> list[str]:
    return [path.name for path in Path(folder).iterdir()]


def _resident_kb(pids: set[int]) -> int:
    total = 0
    for pid in pids | {os.getpid()}:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                total += int(line.split()[1])
    return total


def _leaks_nothing(rounds: int, count: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    own = _children()
    gc.collect()  # what earlier tests left open is no gain of this one's
    descriptors = len(_listing("/proc/self/fd"))
    with Judge(workers=2, limits=PATIENT) as judge:
        costs = [_judge_many(judge, count)]
        gc.collect()
        held, memory = len(_listing("/proc/self/fd")), _resident_kb(_children() - own)
        costs += [_judge_many(judge, count) for _ in range(rounds - 1)]
        assert len(_listing("/proc/self/fd")) <= held + 8  # spare processes may be on their way
        assert _resident_kb(_children() - own) < memory + 20_000
        assert len(_children() - own) == 2
    assert len(_listing("/proc/self/fd")) <= descriptors
    assert _children() <= own
    assert not list(folder.iterdir())
    assert min(costs[len(costs) // 2 :]) < 3 * costs[0], costs  # other load makes work dearer for a while; decay stays


@pytest.mark.sandbox
def test_hundreds_of_programs_leak_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _leaks_nothing(2, 150, tmp_path, monkeypatch)


@pytest.mark.sandbox
@pytest.mark.exhaustive
def test_ten_thousand_programs_leak_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _leaks_nothing(10, 1000, tmp_path, monkeypatch)


PARTITION = """
def check(given, expected, output):
    wanted, parts = int(given), [int(word) for word in output.split()]
    return len(parts) == 2 and min(parts) > 0 and sum(parts) == wanted
"""


@pytest.mark.sandbox
def test_a_checker_accepts_every_right_output_and_fails_on_none(judge: Judge) -> None:
    """What a program prints may make the checker raise, hang or grow: that is a wrong answer, never a broken test."""
    tests = [("7", "3 4"), ("10", "5 5")]
    for program in ("n = int(input()); print(1, n - 1)", "n = int(input()); print(n - 2, 2)"):
        assert judge.stdio(program, tests, checker=PARTITION).reward == 1.0
        assert judge.stdio(program, tests).reward == 0.0
    for output in ("1 5", "x", "", "1 2 4", "9" * 5000, "True", "\\ud800", "3 4 0"):
        assert judge.stdio(f"print({output!r})", tests, checker=PARTITION).status == "wrong_answer", output
    hanging = "def check(given, expected, output):\n    while output != expected + '\\n' and output != expected: pass\n"
    hanging += "    return True"
    with Judge(workers=1, limits=replace(PATIENT, cpu_s=0.5)) as impatient:
        assert impatient.stdio("print(1)", [("", "2")], checker=hanging).status == "wrong_answer"
        assert impatient.stdio("print(2)", [("", "2")], checker=hanging).status == "passed"


@pytest.mark.sandbox
def test_a_program_cannot_reach_its_checker(judge: Judge) -> None:
    """It has ended before the checker starts, in another process, and what it printed is a text there."""
    program = "import os, builtins\nbuiltins.int = lambda text: 0\nopen('/tmp/check.py', 'w').write('x')\n"
    program += 'os.write(3, b\'\\0\\0\\0\\x0d{"i":0,"v":true}\')\nprint(True)'
    assert judge.stdio(program, [("7", "3 4")], checker=PARTITION).reward == 0.0


@pytest.mark.sandbox
@pytest.mark.parametrize(
    "checker",
    ["def check(given, expected, output): return None", "def check(given, expected, output): return 1",
     "def check(given): return True", "import missing_module\ndef check(given, expected, output): return True",
     "def check(given, expected, output): return output != expected"],
)  # fmt: skip
def test_a_checker_that_does_not_accept_what_is_expected_is_a_broken_test(judge: Judge, checker: str) -> None:
    for program in ("print(1)", "print(2)"):
        verdict = judge.stdio(program, [("", "1")], checker=checker)
        assert (verdict.status, verdict.reward) == ("broken_test", None), verdict


@pytest.mark.sandbox
def test_outputs_are_compared_by_tokens_by_lines_in_any_order_or_exactly(judge: Judge) -> None:
    tests = [("", "a  b\nc\n")]
    passed = {
        output: [
            how for how in ("tokens", "lines", "exact") if judge.stdio(f"print({output!r})", tests, compare=how).reward
        ]
        for output in ("a  b\nc", "a b c", "c\na b", "c\nb a", "a  b \nc\n\n", "a  b\n\nc", "c\na b\nc")
    }
    assert passed == {
        "a  b\nc": ["tokens", "lines", "exact"],
        "a b c": ["tokens"],
        "c\na b": ["lines"],
        "c\nb a": [],
        "a  b \nc\n\n": ["tokens", "lines", "exact"],
        "a  b\n\nc": ["tokens", "lines"],
        "c\na b\nc": [],
    }
    for options in (
        {"compare": "lins"},
        {"checker": "def"},
        {"checker": "x = 1"},
        {"compare": "exact", "tolerance": 0.1},
    ):
        with pytest.raises(ValueError, match=r"lins|checker|tolerance"):
            judge.stdio("", tests, **options)
